"""New files of a run are written aside, in a folder within its own, and take their places together.

    RUN/manifest.json       what the run is; while it is first made: "running"
    RUN/unfinished/         what a fit is writing, with a manifest of its own
    RUN/.added/             what `report` or `test` is writing, likewise
    RUN/.finished/          one of them once it is whole, for the moment in which its files are moved to RUN

A process that ends at any moment leaves the old files or the new ones: what lies in `.finished` is moved on by whoever
opens the folder next. Only files that a manifest lists are replaced or deleted.
"""

import contextlib
import dataclasses
import os
import pathlib
from collections.abc import Iterable, Iterator, Sequence

from nlbprob import files
from nlbprob.errors import InputError, printable, was_interrupted
from nlbprob.storage import lock, manifest
from nlbprob.storage.manifest import Manifest
from nlbprob.storage.stage import CHECKPOINT, Origin, Stage, begin, manifest_of, remove, torn

UNFINISHED, ADDED, FINISHED = STAGES = ("unfinished", ".added", ".finished")
#: The reason of a failure that the process could not record.
KILLED = "its process was killed, or could write no more"


@contextlib.contextmanager
def new_run(folder: pathlib.Path, names: Sequence[str], keep: bool, origin: Origin | None = None) -> Iterator[Stage]:
    """Write a run aside; at the end of the block it takes its place in the folder, as the run that it then is.

    Where the block ends by an error or by Ctrl-C, what was noted so far takes its place, too, as a run that failed or
    was interrupted. keep: but not that of the run that the folder holds: then it stays in RUN/unfinished.

    Args:
        folder: of the run; made if need be.
        names: the files and folders that will be written.
        keep: whether the folder holds a run that only a whole one may replace.
        origin: the unfinished run that is gone on from, in this folder or in its stage.

    Raises:
        InputError: another process writes there, or a file that is not the run's is in the way.
    """
    with writing(folder, names) as old:
        fresh = Manifest.new()
        shown = dataclasses.replace(fresh, files=old.files if old else {})
        if not keep and origin is None:  # seen by others from now on
            shown.write(folder)
        stage = begin(folder / UNFINISHED, fresh, names, origin)
        if not keep and origin is not None:  # only now that its checkpoint lies in the stage, too
            shown.write(folder)
        try:
            yield stage
            with files.signals_deferred():
                stage.add_live()
                stage.drop(CHECKPOINT)  # a run that is done needs none
                stage.note(**vars(stage.manifest.ending("done")))
                finish(stage.path)
        except BaseException as error:
            with contextlib.suppress(OSError, InputError), files.signals_deferred():
                if stage.path.is_dir():  # else it has taken its place already
                    state = "interrupted" if was_interrupted(error) else "failed"
                    stage.manifest = stage.manifest.ending(state, reason(error))
                    stage.add_live()
                    if not keep:
                        finish(stage.path)
            raise


@contextlib.contextmanager
def additions(folder: pathlib.Path, names: Sequence[str]) -> Iterator[Stage]:
    """Write files aside that belong to the run in a folder; at the end of the block they take their places there.

    Where the block ends by an error, the run stays as it was.

    Raises:
        InputError: another process writes there, or a file that is not the run's is in the way.
    """
    with writing(folder, names) as old:
        assert old is not None
        stage = begin(folder / ADDED, dataclasses.replace(Manifest.new(), recording=old.recording), names)
        try:
            yield stage
        except BaseException:
            with files.signals_deferred():
                remove(stage.path, names)
            raise
        with files.signals_deferred():
            stage.note(**vars(dataclasses.replace(old, files=old.files | stage.manifest.files, writes=tuple(names))))
            finish(stage.path)


@contextlib.contextmanager
def writing(folder: pathlib.Path, names: Sequence[str]) -> Iterator[Manifest | None]:
    """Be the folder's only writer; yields the manifest that is there, after what another writer has left to do.

    What other code has made of Ctrl-C in the block is Ctrl-C after it.
    """
    created = not folder.exists()
    with files.translated(folder):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        with lock.locked(folder):
            settle(folder)
            old = manifest.read(folder)
            check_ways(folder, names, old)
            yield old
    except Exception as error:
        if was_interrupted(error):
            raise KeyboardInterrupt from error
        raise
    finally:
        if created:
            with contextlib.suppress(OSError):
                folder.rmdir()  # where it is empty


def check_ways(folder: pathlib.Path, names: Iterable[str], old: Manifest | None) -> None:
    """Raise InputError where something lies in the way that is not the run's, or a link that leads elsewhere."""
    listed = set() if old is None else {part for name in old.files for part in (name, name.partition("/")[0])}
    ways = [name for name in names if name not in listed and os.path.lexists(folder / name)]
    tops = {name.partition("/")[0] for name in (*names, *listed) if "/" in name}
    ways += [name for name in tops if (folder / name).is_symlink()]
    ways += [name for name in STAGES if not ours(folder / name)]
    if ways:
        raise InputError(
            f"{folder}: {', '.join(dict.fromkeys(ways))} there belongs to no run, and is in the way; move it away, or "
            "name another folder."
        )


def ours(stage: pathlib.Path) -> bool:
    """Whether there is nothing of this name, or a stage that a command has left, be it as good as empty."""
    if not os.path.lexists(stage):
        return True
    if stage.is_symlink() or not stage.is_dir():
        return False
    with contextlib.suppress(InputError):
        if manifest.read(stage) is not None:
            return True
    return all(path.is_dir() or torn(path) for path in stage.rglob("*"))


def reason(error: BaseException) -> str | None:
    """Why a run failed, in a line; None where it was interrupted."""
    if was_interrupted(error):
        return None
    return printable(f"{error}".partition("\n")[0] or type(error).__name__)[:500]


def finish(stage: pathlib.Path) -> None:
    """Put what lies in a stage, which is whole, in its place."""
    folder = stage.parent
    old, new = manifest.read(folder), manifest.read(stage)
    assert new is not None
    check_ways(folder, [name for name in new.files if (stage / name).exists()], old)
    os.rename(stage, folder / FINISHED)
    move(folder)


def move(folder: pathlib.Path) -> None:
    """Move the files of a stage that is whole to where they belong, remove those of the old run, the manifest last."""
    stage, old = folder / FINISHED, manifest.read(folder)
    new = manifest.read(stage)
    assert new is not None
    if old is not None:
        dataclasses.replace(old, state="running").write(folder)
    for name in new.files:
        if (stage / name).exists():
            with files.translated(folder / name):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                os.replace(stage / name, folder / name)
    for name in set() if old is None else old.files.keys() - new.files.keys():
        (folder / name).unlink(missing_ok=True)
        prune((folder / name).parent, folder)
    for name in {str(pathlib.PurePosixPath(name).parent) for name in new.files}:
        files.flush_folder(folder / name)
    dataclasses.replace(new, writes=()).write(folder)
    remove(stage, new.writes)
    clear(folder)


def settle(folder: pathlib.Path) -> None:
    """Complete what a process that was killed has left; the lock must be held.

    What it had begun to put in its place is put there. Of a first run that was cut short, the files that were whole
    become a run that failed; where it was to replace another one, they stay in the stage.
    """
    if (folder / FINISHED / manifest.NAME).is_file():
        move(folder)
    for stage in (folder / UNFINISHED, folder / ADDED):
        left, current = manifest_of(stage), manifest.read(folder)
        if left is not None and left.state == "done":
            finish(stage)
        elif left is not None and stage.name == ADDED:
            remove(stage, left.writes)
        elif left is not None and left.state == "running":
            Stage(stage, dataclasses.replace(left, state="failed", reason=KILLED)).add_live()
            if current is not None and current.state == "running":
                finish(stage)
    current = manifest.read(folder)
    if current is not None and current.state == "running":
        dataclasses.replace(current, state="failed", reason=KILLED).write(folder)
    clear(folder)


def unsettled(folder: pathlib.Path) -> bool:
    """Whether a process is writing to a folder, or has left it to be settled."""
    left, current = manifest_of(folder / UNFINISHED), manifest.read(folder)
    return (
        (folder / FINISHED).is_dir()
        or (folder / ADDED).is_dir()
        or (left is not None and left.state in ("running", "done"))
        or (current is not None and current.state == "running")
    )


def clear(folder: pathlib.Path) -> None:
    """Remove what is left of a stage whose files have been moved, and of a manifest that was being written."""
    for path in folder.glob(f".{manifest.NAME}.*.tmp"):
        path.unlink()
    stage = folder / FINISHED
    if stage.is_dir() and not (stage / manifest.NAME).exists():
        remove(stage, ())
        if stage.is_dir() and not (folder / UNFINISHED).exists():  # somebody has put other files there
            os.rename(stage, folder / UNFINISHED)


def prune(folder: pathlib.Path, top: pathlib.Path) -> None:
    """Remove a folder within the run's that has become empty, and those above it."""
    while folder != top and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
