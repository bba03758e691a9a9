"""The ledger of test evaluations: one line for each, in the user's data folder, never rewritten.

Nobody hides the test targets any more. A model chosen for its test score has been fitted to them; the ledger lets a
user, and the readers of a report, see how often that could have happened. A damaged line could be of any data set, and
therefore counts as an evaluation of each.
"""

import contextlib
import errno
import fcntl
import json
import os
import pathlib
import sys
import time
from collections.abc import Iterator
from typing import IO, Any

from nlbprob.errors import InputError, printable
from nlbprob.files import REMEDIES, flush_folder, signals_deferred

NAME = "test_evaluations.jsonl"
#: Seconds after which a user hears what is waited for, and after which the wait ends.
TELL_S, GIVE_UP_S = 3.0, 60.0
#: What the place of a record in the ledger is called in an entry that stands for a damaged line.
DAMAGED = "damaged_line"


def data_folder() -> pathlib.Path:
    """Where nlbprob keeps what belongs to the user and not to a run: NLBPROB_DATA, or the platform's place.

    Raises InputError where that cannot be known.
    """
    if named := os.environ.get("NLBPROB_DATA"):
        return pathlib.Path(named)
    try:
        if sys.platform == "darwin":
            return pathlib.Path.home() / "Library" / "Application Support" / "nlbprob"
        return pathlib.Path(os.environ.get("XDG_DATA_HOME") or pathlib.Path.home() / ".local" / "share") / "nlbprob"
    except RuntimeError as error:
        raise InputError(
            "This user has no home folder to keep the ledger of test evaluations in: name a folder in NLBPROB_DATA."
        ) from error


def record(entry: dict[str, Any]) -> list[dict[str, Any]]:
    """Add a line to the ledger; returns the earlier ones of the same "dataset", whatever their bin width.

    Damaged lines are among them, as in `entries`. One process at a time writes; a line that cannot be written whole is
    taken back. Raises InputError where the ledger cannot be written, or another process holds it for a minute.
    """
    with locked() as file:
        earlier = of_dataset(file, entry["dataset"])
        append(file, json.dumps(entry, allow_nan=False).encode() + b"\n")
    return earlier


def entries(dataset: str) -> list[dict[str, Any]]:
    """The evaluations of a data set so far, and all damaged lines: {"dataset": dataset, "damaged_line": its number}.

    Raises InputError where none could be added.
    """
    with locked() as file:
        return of_dataset(file, dataset)


def append(file: IO[bytes], line: bytes) -> None:
    """Write a line at the end, on a line of its own, or nothing."""
    end = file.seek(0, os.SEEK_END)
    if end:
        file.seek(end - 1)
        line = (b"" if file.read(1) == b"\n" else b"\n") + line
    with signals_deferred():
        try:
            while line:
                line = line[os.write(file.fileno(), line) :]
            os.fsync(file.fileno())
        except BaseException:
            os.ftruncate(file.fileno(), end)
            raise


@contextlib.contextmanager
def locked() -> Iterator[IO[bytes]]:
    """The ledger, open for appending, with other processes waiting."""
    path = data_folder() / NAME
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new = not path.exists()
        with path.open("a+b", buffering=0) as file:
            lock(file)  # released as the file closes
            yield file
        if new:
            flush_folder(path.parent)
    except OSError as error:
        reason = printable(error.strerror or str(error))
        remedy = REMEDIES.get(error.errno or 0, "make the folder writable")
        raise InputError(
            f"{path}: the ledger of test evaluations cannot be written ({reason}), and without it nothing is scored on "
            f"test; {remedy}; NLBPROB_DATA names the folder."
        ) from error


def lock(file: IO[bytes]) -> None:
    """Wait for the ledger, with a message after a few seconds. Raises InputError where it does not come free."""
    started, notice_printed = time.monotonic(), False
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
        waited = time.monotonic() - started
        if waited > GIVE_UP_S:
            raise InputError(
                f"{file.name}: {holder(file)} has held the ledger of test evaluations for {waited:.0f} s, and without "
                "it nothing is scored on test; end that process, or wait for it, and try again."
            )
        if waited > TELL_S and not notice_printed:
            notice_printed = True
            print(f"Waiting for the ledger {file.name}: {holder(file)} holds it.", file=sys.stderr, flush=True)
        time.sleep(0.02)


def holder(file: IO[bytes]) -> str:
    """The holder of the lock, where the system names it."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        inode = str(os.fstat(file.fileno()).st_ino)
        for line in pathlib.Path("/proc/locks").read_text(encoding="ascii").splitlines():
            words = line.split()
            if words[1] == "FLOCK" and words[5].rpartition(":")[2] == inode and int(words[4]) > 0:
                return f"process {words[4]}"
    return "another process"


def of_dataset(file: IO[bytes], dataset: str) -> list[dict[str, Any]]:
    """The records of a data set, and an entry for every line that is none."""
    file.seek(0)
    content, matching = file.read(), []
    for number, line in enumerate(content.removesuffix(b"\n").split(b"\n") if content else [], start=1):
        entry = parsed(line)
        if entry is None:
            matching.append({"dataset": dataset, DAMAGED: number})
        elif entry["dataset"] == dataset:
            matching.append(entry)
    return matching


def parsed(line: bytes) -> dict[str, Any] | None:
    """The record in a line; None where there is none."""
    try:
        entry = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    complete = isinstance(entry, dict) and all(isinstance(entry.get(key), str) for key in ("dataset", "date"))
    return entry if complete else None


def statement(dataset: str, earlier: list[dict[str, Any]]) -> str:
    """What a reader has to know of a test score, given the evaluations of the data set that came before."""
    if not earlier:
        return f"This is the first test evaluation of {dataset} in this ledger."
    number = len(earlier)
    came = "one came" if number == 1 else f"{number} came"
    dates = [printable(entry["date"][:10]) for entry in earlier if DAMAGED not in entry]
    first = f", the first on {dates[0]}" if dates else ""
    return (
        f"This is test evaluation {number + 1} of {dataset}: {came} before it{first}. A model chosen or changed after "
        f"a look at test scores has been fitted to them; its score is too good.{damage_told(earlier)}"
    )


def damage_told(earlier: list[dict[str, Any]]) -> str:
    """The message about damaged lines, if there are any."""
    lines = [str(entry[DAMAGED]) for entry in earlier if DAMAGED in entry]
    if not lines:
        return ""
    listed = ", ".join(lines[:5]) + (", ..." if len(lines) > 5 else "")
    what = (
        f"line {listed} is no record of an evaluation and counts as one"
        if len(lines) == 1
        else (f"lines {listed} are no records of evaluations and count as {len(lines)}")
    )
    return f" In {data_folder() / NAME}, {what}: repair or remove what is damaged."
