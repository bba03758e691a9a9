"""Several submissions in one file."""

import contextlib
import os
from pathlib import Path
from typing import Any

from nlbprob.errors import InputError, printable
from nlbprob.files import write_hdf5
from nlbprob.scoring.check_group import FORWARD, WINDOW
from nlbprob.scoring.hdf5 import about, keys, opened
from nlbprob.scoring.stored import CHECKED, StoredArray, StoredGroup, Unusable, damaged


def combine(out: str | os.PathLike, *submissions: str | os.PathLike) -> list[str]:
    """Copy the groups of all submissions, as they are, into a new HDF5 file; returns their names.

    Every array is read once, so that nothing damaged is copied. The file is there as a whole or not at all.
    Raises FileNotFoundError or InputError where a file is missing or damaged or holds no group, a group holds what is
    not stored in the file itself, two hold the same one, or `out` exists; WriteError where it cannot be written.
    """
    target = Path(out)
    if os.path.lexists(target):
        raise InputError(f"{target} exists already: name a new file, or remove it first.")
    if not target.parent.is_dir():
        raise InputError(f"{target}: there is no folder {target.parent}; make it first.")
    origin: dict[str, str] = {}
    groups: list[tuple[str, Any]] = []
    with contextlib.ExitStack() as stack:
        for path in submissions:
            where, before = printable(os.fspath(path)), len(groups)
            file = stack.enter_context(opened(path, "submission"))
            for name in file:
                group: Any = file[name]
                if not keys(group) and not isinstance(group, Unusable):
                    continue
                if name in origin:
                    raise InputError(f"{name!r} is in {origin[name]} and in {where}; leave one of them out.")
                check_entries(f"{where}: {printable(name)}", group)
                groups.append((name, group))
                origin[name] = where
            if len(groups) == before:
                raise InputError(f"{where}: holds no group of rates; name submissions.")

        def fill(merged: Any) -> None:
            for name, group in groups:
                copy(group.group, merged, name)

        write_hdf5(target, fill, CHECKED)
    return list(origin)


def check_entries(where: str, group: StoredGroup | Unusable) -> None:
    """Raise InputError where a group holds anything but arrays of its own, or rates that cannot be read."""
    if isinstance(group, Unusable):
        raise InputError(f"{where}: {group.reason}")
    for key in group:
        entry = group[key]
        if isinstance(entry, StoredArray):
            with about(where):
                entry.read(printable(key))
        elif isinstance(entry, StoredGroup):
            raise InputError(f"{where}: {printable(key)} is a group, not an array; remove it.")
        elif not entry.whole or key in (*WINDOW, *FORWARD):
            raise InputError(f"{where}: {printable(key)} {entry.reason}")


def copy(group: Any, merged: Any, name: str) -> None:
    """Copy a group of h5py. Raises InputError where the file is damaged."""
    try:
        group.file.copy(group, merged, name, expand_soft=True)
    except Exception as error:  # h5py has no common class for damage
        raise InputError(f"{printable(str(group.file.filename))}: {printable(name)} {damaged(error)}") from error
