"""The manifest of a run's folder: what state it is in, and which files are the run's, with their checksums.

A folder is a run by its manifest alone.
"""

import dataclasses
import datetime
import hashlib
import importlib.metadata
import json
import os
import pathlib
import platform
from typing import Any

from nlbprob import __version__, files
from nlbprob.errors import InputError, printable
from nlbprob.storage.command import Command
from nlbprob.storage.forms import conform
from nlbprob.storage.origin import Source

NAME = "manifest.json"
FORMAT = 1
STATES = ("running", "interrupted", "failed", "done")
#: What manifest.json holds.
FORM = {
    "format": int,
    "state": str,
    "command": {"words": [str], "folder": str},
    "started": str,
    "ended": (str, None),
    "reason": (str, None),
    "versions": {str: str},
    "recording": [{"path": str, "size": int, "stamps": [int], "sha256": (str, None)}],
    "files": {str: {"size": int, "sha256": str}},
    "writes": [str],
}
#: Packages whose versions decide a run's numbers.
PACKAGES = ("jax", "jaxlib", "numpyro", "optax", "numpy", "scipy", "pynwb", "h5py", "xarray", "arviz")


@dataclasses.dataclass(frozen=True)
class Entry:
    """A file as it was written: its size in bytes, and its SHA-256 in hexadecimal."""

    size: int
    sha256: str

    @classmethod
    def of(cls, path: pathlib.Path) -> "Entry":
        """That of a file as it is now."""
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return cls(path.stat().st_size, digest)


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What manifest.json holds.

    Attributes:
        state: "running", "interrupted", "failed" or "done".
        reason: why it failed.
        started, ended: when, in ISO format.
        command: what made it.
        versions: of nlbprob, Python and the packages that decide its numbers.
        recording: the files that were fitted.
        files: by their path in the folder, with "/".
        writes: files and folders of the folder that a command is about to write, whole or not.
    """

    state: str
    command: Command
    started: str
    ended: str | None = None
    reason: str | None = None
    versions: dict[str, str] = dataclasses.field(default_factory=dict)
    recording: tuple[Source, ...] = ()
    files: dict[str, Entry] = dataclasses.field(default_factory=dict)
    writes: tuple[str, ...] = ()

    @classmethod
    def new(cls) -> "Manifest":
        """That of a run which begins now."""
        return cls("running", Command.current(), now(), versions=versions())

    def ending(self, state: str, reason: str | None = None) -> "Manifest":
        """The same where the run ends now."""
        return dataclasses.replace(self, state=state, ended=now(), reason=reason)

    def write(self, folder: pathlib.Path) -> None:
        """Write it as a whole."""
        content = {"format": FORMAT} | dataclasses.asdict(self)
        files.write_text(folder / NAME, json.dumps(content, indent=2) + "\n")


def now() -> str:
    """The time, with its zone, to the second."""
    return datetime.datetime.now().astimezone().isoformat(timespec="seconds")


def versions() -> dict[str, str]:
    """Those in use."""
    packages = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"nlbprob": __version__, "python": platform.python_version(), **packages}


def machine() -> dict[str, Any]:
    """What is computed on: the system, the kind of processor, its cores, and the devices that JAX uses."""
    import jax

    devices = [device.device_kind for device in jax.devices()]
    return {"system": platform.platform(), "processor": platform.machine(), "cores": os.cpu_count(), "devices": devices}


def read(folder: pathlib.Path) -> Manifest | None:
    """The manifest in a folder; None where there is none.

    Raises:
        InputError: it is damaged, of a later version, or names files outside the folder.
    """
    path = folder / NAME
    try:
        content = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
    except (ValueError, RecursionError) as error:
        raise InputError(damaged(path, "it is no JSON")) from error
    if isinstance(content, dict) and isinstance(content.get("format"), int) and content["format"] > FORMAT:
        raise InputError(f"{path}: is of a later version of nlbprob; install that one to read the run.")
    try:
        return parsed(content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:  # an InputError is a ValueError
        raise InputError(damaged(path, printable(str(error))[:200])) from error


def damaged(path: pathlib.Path, what: str) -> str:
    """The message about a manifest that cannot be read."""
    return (
        f"{path}: the run's manifest is damaged ({what}); take it from a copy of the run, or move the folder away and "
        "fit again."
    )


def parsed(content: Any) -> Manifest:
    """A manifest from JSON. Raises KeyError, TypeError or ValueError where it is none."""
    conform(content, FORM, "it")
    if content["format"] != FORMAT or content["state"] not in STATES:
        raise ValueError("its format or its state is unknown")
    files = {inside(name): Entry(whole(each["size"]), text(each["sha256"])) for name, each in content["files"].items()}
    return Manifest(
        state=content["state"],
        command=Command(tuple(map(text, content["command"]["words"])), text(content["command"]["folder"])),
        started=text(content["started"]),
        ended=None if content["ended"] is None else text(content["ended"]),
        reason=None if content["reason"] is None else text(content["reason"]),
        versions={text(name): text(version) for name, version in content["versions"].items()},
        recording=tuple(Source.parsed(source) for source in content["recording"]),
        files=files,
        writes=tuple(map(inside, content["writes"])),
    )


def text(value: Any) -> str:
    """A string without control characters. Raises TypeError for anything else."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r} stands in the place of a text")
    return printable(value)


def whole(value: Any) -> int:
    """A size. Raises TypeError for anything else."""
    if type(value) is not int or value < 0:
        raise TypeError(f"{value!r} stands in the place of a size")
    return value


def inside(name: str) -> str:
    """The path of a file in the folder. Raises ValueError where it leads out of it, or to what is not a run's."""
    parts = name.split("/")
    if not all(parts) or {"..", "."} & set(parts) or "\\" in name or text(name) != name or parts[0] in (NAME, ".lock"):
        raise ValueError(f"it lists {name!r}, which is no file of a run")
    return name
