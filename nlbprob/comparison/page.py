"""A comparison of runs as files in a folder: JSON, and a page to read."""

import pathlib
from typing import Any

from nlbprob import files
from nlbprob.errors import InputError, RunExistsError
from nlbprob.storage.reading import examine


def free_folder(folder: pathlib.Path, record: str) -> pathlib.Path:
    """A folder to write to, made where it does not exist; an earlier record of the same kind in it is replaced.

    Args:
        folder: that the user names.
        record: the file that marks it as one of these folders, such as "pareto.json".

    Raises:
        InputError: it is a file, or what it is to lie in does not exist.
        RunExistsError: it holds a run, or something else.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--out: {folder} is a file: name a folder.")
    if folder.is_dir() and (examine(folder) is not None or (any(folder.iterdir()) and not (folder / record).exists())):
        raise RunExistsError(f"--out: {folder} exists and holds no {record}: name another folder.")
    if not folder.parent.is_dir():
        raise InputError(f"--out: there is no folder {folder.parent}; make it first.")
    with files.translated(folder):
        folder.mkdir(exist_ok=True)
    return folder


def write_comparison(folder: pathlib.Path, found: dict[str, Any]) -> None:
    """Write comparison.json and comparison.html to a folder.

    Args:
        folder: that exists.
        found: what `nlbprob compare --json` prints.
    """
    from nlbprob.reporting.comparison import comparison_page

    files.write_json(folder / "comparison.json", found)
    files.write_text(folder / "comparison.html", comparison_page(found))
