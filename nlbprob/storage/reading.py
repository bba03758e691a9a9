"""What state a run is in, and its files as it wrote them: every verb that reads a run looks here first."""

import contextlib
import dataclasses
import json
import pathlib
import shlex
from typing import Any

from nlbprob.errors import InputError, RunExistsError, printable
from nlbprob.storage import lock, manifest, stage, staging
from nlbprob.storage.forms import conform
from nlbprob.storage.lock import Holder
from nlbprob.storage.manifest import Entry, Manifest


@dataclasses.dataclass(frozen=True)
class Run:
    """A folder that holds a run.

    Attributes:
        manifest: of the run.
        left: that of what a command has left unfinished beside it.
        holder: who is writing to the folder.
    """

    folder: pathlib.Path
    manifest: Manifest
    left: Manifest | None
    holder: Holder | None

    @property
    def state(self) -> str:
        """The run's state in words, with the reason of a failure."""
        if self.manifest.state == "running":
            return "running" if self.holder else f"failed: {staging.KILLED}"
        return f"failed: {self.manifest.reason}" if self.manifest.state == "failed" else self.manifest.state

    @property
    def kept(self) -> bool:
        """Whether it holds something that took a fit to find."""
        return self.manifest.state == "done" or has_posterior(self.manifest) or has_checkpoint(self.manifest)


def examine(folder: pathlib.Path) -> Run | None:
    """The run in a folder, after what a killed process has left to do; None where the folder holds none.

    Raises:
        InputError: its manifest is damaged.
    """
    holder = lock.holder(folder) or (lock.holder(folder.parent) if folder.name == staging.UNFINISHED else None)
    if holder is None and folder.is_dir() and staging.unsettled(folder):
        with contextlib.suppress(InputError, OSError), lock.locked(folder):  # a folder that may only be read stays
            staging.settle(folder)
    manifest_there = manifest.read(folder)
    return (
        None
        if manifest_there is None
        else Run(folder, manifest_there, stage.manifest_of(folder / staging.UNFINISHED), holder)
    )


def require(folder: pathlib.Path, *names: str) -> Run:
    """A run that is done, with files (or folders of them) that are as it wrote them.

    Raises:
        InputError: there is no run, it is not done, or a file is missing or was changed; with what to do.
    """
    run = existing(folder)
    if run.manifest.state != "done":
        absent = " and ".join(name for name in names if not listed(run.manifest, name))
        raise InputError(f"{folder}: {ending(run)}{f', and has no {absent}' if absent else ''}. {advice(run)}")
    if wrong := damages(run, names):
        raise InputError(
            f"{folder}: {'; '.join(wrong)}. Take it from a copy of the run, or fit again: "
            f"`{again(run, '--force')}` (`nlbprob check {folder}` looks at all files)."
        )
    return run


def resumable(folder: pathlib.Path) -> Run:
    """The unfinished run in a folder to go on with: the one itself, or what is left of the one that was to replace it.

    Raises:
        InputError: there is none, its process still runs, or its configuration or model is missing or was changed.
    """
    run = existing(folder)
    if run.holder is not None:
        raise InputError(f"{folder}: another process writes there ({run.holder}); wait until it has ended.")
    if run.left is not None:
        run = Run(folder / staging.UNFINISHED, run.left, None, None)
    elif run.manifest.state == "done":
        raise InputError(
            f"{folder}: the run is done; there is nothing to go on with. `nlbprob score {folder}` reads it."
        )
    if wrong := damages(run, ("config.json", "model.py")):
        raise InputError(f"{run.folder}: {'; '.join(wrong)}. Fit again: `{again(run, '--force')}`.")
    return run


def existing(folder: pathlib.Path) -> Run:
    """The run in a folder. Raises InputError where it holds none."""
    run = examine(folder)
    if run is None:
        older = " A run without one is of an earlier version: fit again." if (folder / "config.json").exists() else ""
        raise InputError(
            f"{folder} holds no run (no {manifest.NAME}): `nlbprob fit MODEL DATA --out {folder}` makes one.{older}"
        )
    return run


def check_free(folder: pathlib.Path, force: bool) -> None:
    """Raise RunExistsError where `folder` holds anything that a run would overwrite or stand among."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file: name a folder for the run.")
    if not folder.exists():
        return
    run = examine(folder)
    if run is None:
        if any(path.name != lock.NAME and not stage.torn(path) for path in folder.iterdir()):
            raise RunExistsError(f"{folder} exists and holds no run (no {manifest.NAME}): name another folder.")
    elif run.holder is not None:
        raise InputError(f"{folder}: another process writes there ({run.holder}); wait, or name another folder.")
    elif run.kept and not force:
        what = "a run" if run.manifest.state == "done" else "what an unfinished run found"
        raise RunExistsError(f"{folder} already holds {what}: name another folder, or add --force to replace it.")


def ending(run: Run) -> str:
    """How a run that is not done stands, in words."""
    if run.holder is not None and run.manifest.state == "running":
        return f"the run has not ended yet ({run.holder})"
    return {"interrupted": "the run was interrupted"}.get(run.manifest.state, f"the run {run.state}")


def advice(run: Run) -> str:
    """What to do about a run that is not done: a command that works as it stands."""
    if run.holder is not None and run.manifest.state == "running":
        return "Wait for it."
    if has_checkpoint(run.manifest):
        return f"What was found is kept: go on where it ended with `{resuming(run.folder)}`."
    if not has_posterior(run.manifest):
        return f"Nothing had been found yet: start again with `{again(run)}`."
    return f"What was found is kept: go on from it with `{again(run, '--force', init=run.folder)}`."


def remark(run: Run) -> str | None:
    """The message about a fit that should have replaced this run and did not; None where there is none."""
    if run.left is None or run.manifest.state == "running":
        return None
    if run.holder is not None:
        return f"A new run is being made to replace this one ({run.holder})."
    place = run.folder / staging.UNFINISHED
    left = Run(place, run.left, None, None)
    how = "was interrupted" if run.left.state == "interrupted" else f"failed ({run.left.reason})"
    what = f"A later fit {how}; this run was kept."
    if has_checkpoint(run.left):
        return f"{what} Go on where that fit ended with `{resuming(run.folder)}`."
    if not has_posterior(run.left):
        return what
    line = again(dataclasses.replace(left, folder=run.folder), "--force", init=place)
    return f"{what} What that fit had found is in {place}: go on from it with `{line}`."


def again(run: Run, *flags: str, init: pathlib.Path | None = None) -> str:
    """The command that makes the run in this folder once more, and begins where another one ended."""
    command = run.manifest.command
    if command.verb not in ("fit", "demo", "average", "entry"):
        options = [*flags, *(["--init", str(init)] if init else [])]
        return " ".join(["nlbprob fit MODEL DATA --out", str(run.folder), *options])
    here = pathlib.Path(command.folder) == pathlib.Path.cwd()
    place = {
        name: str(path if here else path.resolve()) for name, path in (("--out", run.folder), ("--init", init)) if path
    }
    if command.verb == "demo":
        return command.typed(options={"--out": place["--out"]})
    return command.typed(*flags, options=place)


def resuming(folder: pathlib.Path) -> str:
    """The command that goes on with an unfinished run."""
    return shlex.join(["nlbprob", "fit", "--resume", str(folder)])


def has_checkpoint(content: Manifest) -> bool:
    """Whether a manifest lists a fit's checkpoint."""
    return bool(listed(content, stage.CHECKPOINT))


def has_posterior(content: Manifest) -> bool:
    """Whether a manifest lists a posterior."""
    return bool(listed(content, "posterior"))


def listed(content: Manifest, name: str) -> list[str]:
    """The files that a manifest lists of this name, or in a folder of it."""
    return [path for path in content.files if path == name or path.startswith(f"{name}/")]


def damages(run: Run, names: tuple[str, ...] | list[str]) -> list[str]:
    """What is wrong with these files of a run, in words."""
    damaged = []
    for name in names:
        paths = listed(run.manifest, name)
        damaged += [f"{path} {state}" for path in paths if (state := condition(run, path)) != "ok"]
        if not paths:
            damaged.append(f"{name} is missing (the run never had it)")
    return damaged


def condition(run: Run, name: str) -> str:
    """Whether a file that the manifest lists is "ok", or how it is not."""
    try:
        now = Entry.of(run.folder / name)
    except (FileNotFoundError, NotADirectoryError):
        return "is missing"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return "ok" if now == run.manifest.files[name] else "was changed since the run wrote it"


def strangers(run: Run) -> list[str]:
    """Files in the folder that are not the run's."""
    own_files = {manifest.NAME, lock.NAME, *staging.STAGES}
    names = [path.relative_to(run.folder).as_posix() for path in sorted(run.folder.rglob("*")) if not path.is_dir()]
    return [name for name in names if name not in run.manifest.files and name.partition("/")[0] not in own_files]


def read_json(folder: pathlib.Path, name: str, form: Any = dict) -> dict[str, Any]:
    """A JSON file of a run that is done, as the run wrote it.

    Args:
        folder: of the run.
        name: of the file.
        form: what it has to hold, see `conform`.

    Raises:
        InputError: there is no such run or file, it was changed, or it does not hold what it should.
    """
    require(folder, name)
    return parsed_json(folder / name, form)


def parsed_json(path: pathlib.Path, form: Any) -> dict[str, Any]:
    """A JSON file of a run. Raises InputError where it does not hold what it should."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"), parse_constant=float)
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(refusal(path, "it is no JSON")) from error
    check_form(path, content, form)
    return content


def check_form(path: pathlib.Path, content: Any, form: Any) -> None:
    """Raise InputError where the content of a JSON file of a run does not have a form, see `conform`."""
    try:
        conform(content, form, path.name)
    except InputError as error:
        raise InputError(refusal(path, str(error))) from error


def refusal(path: pathlib.Path, what: str) -> str:
    """The message about a JSON file of a run that cannot be used."""
    return f"{path}: the file is damaged ({printable(what)[:200]}); fit again, or take a copy."
