"""What repeats an entry on another machine: exact versions, the code of nlbprob, and a script that runs it all."""

import importlib.metadata
import importlib.resources
import io
import pathlib
import re
import shlex
import zipfile
from collections.abc import Mapping, Sequence

from nlbprob import committee
from nlbprob.entry.source import Source
from nlbprob.resources import folder

CODE, REQUIREMENTS, SCRIPT = "nlbprob.zip", "requirements.txt", "reproduce.sh"
#: The name of a requirement, and what says that only an extra needs it.
NAME, EXTRA = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*"), re.compile(r";.*\bextra\b")
#: The time stamp of every file in the archive, so that equal code gives equal bytes.
EPOCH = (1980, 1, 1, 0, 0, 0)


def requirements(versions: Mapping[str, str]) -> str:
    """Every package that nlbprob needs here, with its exact version.

    Args:
        versions: those that a run was made with, which come before those in use now.
    """
    pinned: dict[str, str] = {}
    waiting = ["nlbprob"]
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in pinned:
            continue
        try:
            found = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # for another system, or another Python
        pinned[name] = versions.get(name, found.version)
        needs = [need for need in found.requires or [] if not EXTRA.search(need)]
        waiting += [match[0] for need in needs if (match := NAME.match(need))]
    pinned.pop("nlbprob", None)
    python = versions.get("python", "3.12")
    lines = [f"# Python {python}; nlbprob {versions.get('nlbprob')} itself is in {CODE}."]
    return "\n".join([*lines, *(f"{name}=={pinned[name]}" for name in sorted(pinned))]) + "\n"


def code() -> bytes:
    """The package nlbprob, with the models that come with it, as a zip archive."""
    package, memory = pathlib.Path(str(importlib.resources.files("nlbprob"))), io.BytesIO()
    files = {f"nlbprob/{path.relative_to(package).as_posix()}": path for path in package.rglob("*") if path.is_file()}
    models = folder("models")
    files |= {f"nlbprob/share/models/{path.name}": path for path in models.glob("*.py")}
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in sorted(files.items()):
            if "__pycache__" not in path.parts and not path.name.startswith("."):
                archive.writestr(zipfile.ZipInfo(name, EPOCH), path.read_bytes(), zipfile.ZIP_DEFLATED)
    return memory.getvalue()


def script(sources: Sequence[Source]) -> str:
    """A shell script that fits every run again and compares its scores with those of the entry."""
    recordings = sources[0].recordings
    return TEMPLATE.format(
        recordings=" ".join(pathlib.PurePath(each).name or each for each in recordings),
        count=1 + len(recordings),
        code=CODE,
        requirements=REQUIREMENTS,
        steps="\n".join(line for source in sources for line in repeated(source)),
    )


#: `$@` are the recordings, after the folder to write to.
TEMPLATE = """#!/bin/sh
# Fits everything in this entry again, and compares the scores with those of the entry:
#
#     sh reproduce.sh OUT {recordings}
#
# OUT is a new folder. It gets an environment with the exact versions of {requirements}, for which packages are
# downloaded; PYTHON=/path/to/python uses the packages of that Python as they are.
set -eu
if [ $# -ne {count} ]; then sed -n '2,7s/^# \\{{0,1\\}}//p' "$0"; exit 2; fi
here=$(cd "$(dirname "$0")" && pwd)
out=$1
shift
mkdir -p "$out"
if [ -z "${{PYTHON:-}}" ]; then
    if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 12))'; then
        echo "python3 is older than 3.12; put a newer one first in PATH."
        exit 2
    fi
    python3 -m venv "$out/venv"
    PYTHON=$out/venv/bin/python
    "$PYTHON" -m pip install --requirement "$here/{requirements}"
fi
"$PYTHON" -m zipfile -e "$here/{code}" "$out/code"
PYTHONPATH=$(cd "$out/code" && pwd)
export PYTHONPATH
run() {{ "$PYTHON" -m nlbprob "$@"; }}
{steps}
"""


def repeated(source: Source) -> list[str]:
    """The lines that fit a run again and compare it."""
    kept, new = f'"$here"/runs/{source.name}', f'"$out"/{source.name}'
    if source.view.committee is None:
        lines = [f'run fit {kept}/model.py "$@" --config {kept} --out {new}']
    else:
        lines, members = [], []
        for name in source.view.committee.members:
            place, fitted = f"{kept}/{committee.MEMBERS}/{shlex.quote(name)}", f"{new}-{shlex.quote(name)}"
            lines.append(f'run fit {place}/model.py "$@" --config {place}/config.json --out {fitted}')
            members.append(f"{shlex.quote(name)}={fitted}")
        weights = " ".join(f"{weight:.17g}" for weight in source.view.committee.weights.values())
        lines.append(f"run average {' '.join(members)} --weights {weights} --out {new}")
    return [*lines, f'run entry --check "$here" --rerun {new}']
