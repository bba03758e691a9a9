"""Several submissions in one file."""

import os
from pathlib import Path

from nlbprob.errors import InputError
from nlbprob.scoring.hdf5 import keys, opened


def combine(out: str | os.PathLike, *submissions: str | os.PathLike) -> list[str]:
    """Copy the groups of all submissions, as they are, into a new HDF5 file; returns their names.

    Nothing is left behind where that fails. Raises FileNotFoundError or InputError where a file is missing or damaged
    or holds no group, two hold the same one, or `out` exists.
    """
    import h5py

    target = Path(out)
    if target.exists():
        raise InputError(f"{target} exists already: name a new file, or remove it first.")
    unfinished = target.with_name(f".{target.name}.part")
    origin: dict[str, str] = {}
    try:
        with h5py.File(unfinished, "w") as merged:
            for path in submissions:
                with opened(path, "submission") as file:
                    groups = [name for name in file if keys(file[name])]
                    if not groups:
                        raise InputError(f"{path}: holds no group of rates; name submissions.")
                    for name in groups:
                        if name in origin:
                            raise InputError(f"{name!r} is in {origin[name]} and in {path}; leave one of them out.")
                        file.copy(file[name], merged, name)  # pyright: ignore[reportAttributeAccessIssue]
                        origin[name] = os.fspath(path)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
    return list(origin)
