"""Files that are whole or not there: written under another name, flushed to the disk, then renamed."""

import contextlib
import errno
import io
import json
import os
import pathlib
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import IO, Any

from nlbprob.arguments import instance_of
from nlbprob.errors import printable

#: What to do about an error of the system that ends the writing of a file.
REMEDIES = {
    errno.ENOSPC: "free some space, or name a folder on another disk",
    errno.EDQUOT: "your quota is used up: delete something, or name a folder on another disk",
    errno.EACCES: "ask for the permission to write there, or name another folder",
    errno.EPERM: "ask for the permission to write there, or name another folder",
    errno.EROFS: "this disk is read-only: name a folder on another one",
    errno.EIO: "the disk reports a fault: name a folder on another one",
    errno.EFBIG: "this disk or your limits (ulimit -f) do not take so large a file: name a folder on another one",
}


class WriteError(OSError):
    """A file could not be written; the message names the file, the reason and the remedy."""


def path_of(value: Any, caller: str, name: str, example: str) -> pathlib.Path:
    """The path that was handed over.

    Args:
        value: the argument.
        caller: the function that took it, for messages.
        name: of the argument, for messages.
        example: a path that would do.

    Raises:
        InputError: it is none.
    """
    return pathlib.Path(instance_of(value, str | os.PathLike, caller, name, f"a path, such as {example!r}"))


@contextlib.contextmanager
def replacing(path: str | os.PathLike, mode: str = "wb") -> Iterator[IO[Any]]:
    """A file to write to that takes the place of `path` once the block has ended well, and leaves no trace otherwise.

    It is flushed to the disk before it is renamed, and its name after, so that a crash of the machine leaves the old
    content or the new one. Signals that would end the process wait for the last step.

    Args:
        path: the file; its folder must exist.
        mode: "wb", or "w" for text in UTF-8.

    Raises:
        WriteError: the system does not take the file.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        raise WriteError(f"{printable(str(path))} cannot be written: it is a folder; name a file.")
    if not path.parent.is_dir():
        where = printable(str(path.parent))
        raise WriteError(f"{printable(str(path))} cannot be written: there is no folder {where}; make it first.")
    temporary = None
    try:
        with translated(path):
            encoding = None if "b" in mode else "utf-8"
            handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
            temporary = pathlib.Path(name)
            os.fchmod(handle, 0o666 & ~umask())
            with open(handle, mode, encoding=encoding) as file:
                yield file
                with signals_deferred():
                    file.flush()
                    os.fsync(file.fileno())
            with signals_deferred():
                os.replace(temporary, path)
                temporary = None
                flush_folder(path.parent)
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def translated(path: pathlib.Path) -> Iterator[None]:
    """Turn an error of the system in the block into a WriteError that names `path`."""
    try:
        yield
    except OSError as error:
        if isinstance(error, WriteError) or error.errno not in REMEDIES:
            raise
        reason = os.strerror(error.errno).lower()
        raise WriteError(f"{printable(str(path))} cannot be written: {reason}; {REMEDIES[error.errno]}.") from error


def write_bytes(path: str | os.PathLike, content: bytes | bytearray | memoryview) -> None:
    """Write a file as a whole. Raises WriteError where the system does not take it."""
    with replacing(path) as file:
        file.write(content)


def write_text(path: str | os.PathLike, content: str) -> None:
    """Write a file of UTF-8 text as a whole. Raises WriteError where the system does not take it."""
    write_bytes(path, content.encode("utf-8"))


def write_json(path: pathlib.Path, content: dict) -> None:
    """Write `content` as JSON that any reader takes: NumPy's values as plain ones, what is not finite as null."""
    write_text(path, json.dumps(plain(content), indent=2, allow_nan=False) + "\n")


def plain(value):
    """`value` in terms of dict, list, str, int, float, bool and None."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float) and value - value != 0:
        return None
    return str(value) if isinstance(value, pathlib.Path) else value


def write_hdf5(path: str | os.PathLike, fill: Callable[[Any], None], libver: Any = None) -> None:
    """Write an HDF5 file: `fill` is called with an open h5py.File, which is built in memory.

    The HDF5 library ends the process where the disk is full, so that it never writes to one here.

    Args:
        path: the file; its folder must exist.
        fill: writes into the open file.
        libver: the versions of HDF5 that are to read it, as h5py takes them.

    Raises:
        WriteError: the system does not take the file.
    """
    import h5py

    memory = io.BytesIO()
    with h5py.File(memory, "w", libver=libver) as file:
        fill(file)
    write_bytes(path, memory.getvalue())  # a view of the buffer would crash the process where the write fails


def flush_folder(folder: pathlib.Path) -> None:
    """Flush the names in a folder to the disk, where the system can."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def umask() -> int:
    """The permissions that new files do not get; the system returns them only when they are set."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


@contextlib.contextmanager
def signals_deferred() -> Iterator[None]:
    """Ctrl-C and SIGTERM wait until the block has ended; off the main thread Python itself keeps them away."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting: list[tuple[int, FrameType | None]] = []
    kept = {name: signal.getsignal(name) for name in (signal.SIGINT, signal.SIGTERM)}
    changed = [name for name, handler in kept.items() if handler is not None]
    for name in changed:
        signal.signal(name, lambda number, frame: waiting.append((number, frame)))
    try:
        yield
    finally:
        for name in changed:
            signal.signal(name, kept[name])
        for number, _ in waiting[:1]:
            signal.raise_signal(number)
