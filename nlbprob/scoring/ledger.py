"""The ledger of test evaluations: one line for each, in the user's data folder, never rewritten.

Nobody hides the test targets any more. A model chosen for its test score has been fitted to them; the ledger lets a
user, and the readers of a report, see how often that could have happened.
"""

import contextlib
import fcntl
import json
import os
import pathlib
import sys
from collections.abc import Iterator
from typing import IO, Any

from nlbprob.errors import InputError

NAME = "test_evaluations.jsonl"


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

    One process at a time writes. Raises InputError where the ledger cannot be written, or a line of it is damaged.
    """
    with locked() as file:
        earlier = [line for line in parsed(file) if line["dataset"] == entry["dataset"]]
        file.write(json.dumps(entry, allow_nan=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
    return earlier


def entries(dataset: str) -> list[dict[str, Any]]:
    """The evaluations of a data set so far. Raises InputError where none could be added."""
    with locked() as file:
        return [line for line in parsed(file) if line["dataset"] == dataset]


@contextlib.contextmanager
def locked() -> Iterator[IO[str]]:
    """The ledger, open for appending, with other processes waiting."""
    path = data_folder() / NAME
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # released as the file closes
            yield file
    except OSError as error:
        raise InputError(
            f"{path}: the ledger of test evaluations cannot be written ({error.strerror}), and without it nothing is "
            "scored on test; make the folder writable, or name another one in NLBPROB_DATA."
        ) from error


def parsed(file: IO[str]) -> list[dict[str, Any]]:
    """All lines. Raises InputError where one is damaged."""
    file.seek(0)
    lines = []
    for number, text in enumerate(file, start=1):
        try:
            line = json.loads(text)
        except ValueError:
            line = None
        if not isinstance(line, dict) or not {"dataset", "date"} <= line.keys():
            raise InputError(f"{file.name}: line {number} is no record of an evaluation; repair or remove that line.")
        lines.append(line)
    return lines


def statement(dataset: str, earlier: list[dict[str, Any]]) -> str:
    """What a reader has to know of a test score, given the evaluations of the data set that came before."""
    if not earlier:
        return f"This is the first test evaluation of {dataset} in this ledger."
    number = len(earlier)
    came = "one came" if number == 1 else f"{number} came"
    return (
        f"This is test evaluation {number + 1} of {dataset}: {came} before it, the first on {earlier[0]['date'][:10]}. "
        "A model chosen or changed after a look at test scores has been fitted to them; its score is too good."
    )
