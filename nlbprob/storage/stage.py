"""A stage: the folder within a run's where a command writes, and what it has written there so far."""

import contextlib
import dataclasses
import pathlib
import shutil
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from nlbprob import files
from nlbprob.errors import InputError
from nlbprob.storage import manifest
from nlbprob.storage.command import Command
from nlbprob.storage.manifest import Entry, Manifest

#: What a fit writes to all the time; it is listed as it is when the fit ends, or when its process is found killed.
LIVE = (CHECKPOINT, LOG) = ("checkpoint", "log.jsonl")


class Origin(NamedTuple):
    """An unfinished run that a new one goes on from: its folder, the files that are taken over, its command."""

    folder: pathlib.Path
    names: tuple[str, ...]
    command: Command


class Stage:
    """Where a command writes: `path`, and the manifest of what it has written so far."""

    def __init__(self, path: pathlib.Path, base: Manifest):
        self.path, self.manifest = path, base

    def add(self, *names: str) -> None:
        """Note files, or all files of folders, as whole."""
        paths = [path for name in names for path in files_under(self.path / name)]
        entries = {path.relative_to(self.path).as_posix(): Entry.of(path) for path in paths}
        self.note(files=self.manifest.files | entries)

    def add_live(self) -> None:
        """Note what was written to all the time, as it is now."""
        self.add(*(name for name in LIVE if (self.path / name).exists()))

    def drop(self, name: str) -> None:
        """Note that a folder does not belong to the run any more."""
        kept = {path: entry for path, entry in self.manifest.files.items() if not path.startswith(f"{name}/")}
        self.note(files=kept)

    def note(self, **changes) -> None:
        """Change the manifest, here and on the disk."""
        self.manifest = dataclasses.replace(self.manifest, **changes)
        self.manifest.write(self.path)


def files_under(path: pathlib.Path) -> list[pathlib.Path]:
    """A file alone, or all those of a folder that are whole."""
    return sorted(each for each in path.rglob("*") if each.is_file() and not torn(each)) if path.is_dir() else [path]


def begin(path: pathlib.Path, start: Manifest, names: Sequence[str], origin: Origin | None = None) -> Stage:
    """A stage, empty but for what it takes over, whose manifest marks it as being written."""
    stage = Stage(path, dataclasses.replace(start, writes=tuple(names)))
    left = manifest_of(path)
    if origin is not None:
        stage.manifest = dataclasses.replace(stage.manifest, command=origin.command)
    if origin is not None and origin.folder == path:
        assert left is not None
        discard(path, set(left.writes) - set(origin.names))
    elif left is not None:
        remove(path, left.writes)
    with files.translated(path):
        path.mkdir(exist_ok=True)
        if origin is not None and origin.folder != path:
            copy(origin, path)
    stage.add(*(() if origin is None else origin.names))
    return stage


def copy(origin: Origin, path: pathlib.Path) -> None:
    """Copy the files that are taken over to a stage."""
    for source in (each for name in origin.names for each in files_under(origin.folder / name)):
        place = path / source.relative_to(origin.folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        files.write_bytes(place, source.read_bytes())


def remove(stage: pathlib.Path, names: Iterable[str]) -> None:
    """Remove a stage: these files and folders in it, what was not renamed yet, its manifest, and itself if empty."""
    discard(stage, names)
    for path in sorted(stage.rglob("*"), reverse=True):
        if torn(path):
            path.unlink()
        elif path.is_dir() and not path.is_symlink():
            with contextlib.suppress(OSError):
                path.rmdir()
    (stage / manifest.NAME).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        stage.rmdir()


def discard(stage: pathlib.Path, names: Iterable[str]) -> None:
    """Remove these files and folders of a stage."""
    for name in names:
        path = stage / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def manifest_of(stage: pathlib.Path) -> Manifest | None:
    """The manifest of a stage; None where there is none that can be read."""
    with contextlib.suppress(InputError):
        return manifest.read(stage)
    return None


def torn(path: pathlib.Path) -> bool:
    """Whether a file is one that `files.replacing` could not finish."""
    return path.name.startswith(".") and path.suffix == ".tmp"
