"""One writer to a folder at a time, known by name to all others."""

import contextlib
import dataclasses
import datetime
import errno
import fcntl
import json
import os
import pathlib
import socket
import time
from collections.abc import Iterator
from typing import IO

from nlbprob.errors import InputError, printable
from nlbprob.files import translated
from nlbprob.storage.command import Command

NAME = ".lock"
#: A reader holds the lock for an instant as it looks whether a writer does; a writer tries again for so long.
PATIENCE_S = 0.5
#: What a file system that knows no locks answers.
UNSUPPORTED = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL}


@dataclasses.dataclass(frozen=True)
class Holder:
    """Who writes to a folder: the process, its host, since when, and the command."""

    pid: int
    host: str
    since: str
    command: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}: {self.command}"


@contextlib.contextmanager
def locked(folder: pathlib.Path) -> Iterator[None]:
    """Be the only writer to a folder, which must exist, until the block has ended.

    The system lets go of the lock when the process ends, however it ends.

    Raises:
        InputError: another process writes there; it is named.
    """
    path = folder / NAME
    file = acquire(path)
    try:
        since = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
        holder = Holder(os.getpid(), socket.gethostname(), since, str(Command.current()))
        with contextlib.suppress(OSError):  # a full disk: the lock is held all the same
            os.write(file.fileno(), json.dumps(dataclasses.asdict(holder)).encode())
        yield
    finally:
        with contextlib.closing(file):
            path.unlink(missing_ok=True)


def acquire(path: pathlib.Path) -> IO[str]:
    """The lock's file, empty and locked."""
    end = time.monotonic() + PATIENCE_S
    while True:
        with translated(path):
            file = path.open("a+", encoding="utf-8")
        taken = take(file, fcntl.LOCK_EX)
        if taken and same(file, path):  # else its last holder has removed the file meanwhile
            file.truncate(0)
            return file
        file.close()
        if not taken and time.monotonic() > end:
            who = read(path)
            raise InputError(
                f"{path.parent}: another process writes to this folder ({who or 'which one is not known'}); wait "
                "until it has ended, or name another folder."
            )
        time.sleep(0.02)


def take(file: IO[str], kind: int) -> bool:
    """Whether the lock could be had; where the file system knows none, it could."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in UNSUPPORTED
    return True


def same(file: IO[str], path: pathlib.Path) -> bool:
    """Whether an open file is the one of this name."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def holder(folder: pathlib.Path) -> Holder | None:
    """Who writes to a folder; None where nobody does."""
    path = folder / NAME
    try:
        with path.open(encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return read(path) or Holder(0, "an unknown host", "an unknown time", "an unknown command")
            except OSError:  # no locks on this file system: a process on this host can be looked for
                content = read(path)
                return content if content and (content.host != socket.gethostname() or alive(content.pid)) else None
    except OSError:
        return None
    return None


def read(path: pathlib.Path) -> Holder | None:
    """The holder of a lock, as its file names it."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        names = [field.name for field in dataclasses.fields(Holder)]
        return Holder(int(content["pid"]), *(printable(str(content[name])) for name in names[1:]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def alive(pid: int) -> bool:
    """Whether a process of this number runs on this host."""
    try:
        os.kill(pid, 0)
    except OSError as error:
        return error.errno == errno.EPERM  # it runs, and is another user's
    return True
