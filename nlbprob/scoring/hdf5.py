"""HDF5 files of the benchmark's form, read with messages that say which file is damaged and what to do."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import Any

from nlbprob.errors import InputError

#: A file's groups, or the arrays of one group: h5py's objects, or the same in memory.
Tensors = Mapping[str, Any]


@contextlib.contextmanager
def opened(source: str | os.PathLike | Tensors, what: str) -> Iterator[Tensors]:
    """The HDF5 file, open for reading while the context lasts; a mapping as it is.

    what: what the file is to hold, for messages. Raises FileNotFoundError where there is none, InputError where it is
    no HDF5 file, ends too early, or cannot be read inside the context.
    """
    import h5py

    if isinstance(source, Mapping):
        yield source
        return
    path = os.fspath(source)
    if not os.path.exists(path):
        raise FileNotFoundError(f"{path}: there is no such file; name one with {what}.")
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError) as error:  # h5py raises the second for damage inside a file
        reason = "it ends too early" if "truncated" in str(error) else str(error).splitlines()[0]
        raise InputError(f"{path}: cannot be read as HDF5 ({reason}); write or download the {what} again.") from error


def name_of(source: str | os.PathLike | Tensors, what: str) -> str:
    """How messages call a file, or what is in memory."""
    return what if isinstance(source, Mapping) else os.fspath(source)
