"""HDF5 files of the benchmark's form, read with messages that say which file is damaged and what to do."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

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


def keys(item: Any) -> set[str]:
    """The names in a group; none where the item is an array."""
    return set(item) if isinstance(item, Mapping) else set()


def array(group: Tensors, key: str) -> np.ndarray:
    """An array of a group, at least as exact as float32. Raises InputError where it is missing."""
    if key not in group:
        raise InputError(f"{key} is missing; predict it too, or take the file from `nlbprob tensors`.")
    values = np.asarray(content(group[key]))
    return values if values.dtype.itemsize >= 4 else values.astype(np.float32)


def content(values: Any) -> Any:
    """What a data set of a file holds; arrays and lists as they are."""
    return values[()] if hasattr(values, "shape") else values


def require(values: np.ndarray, key: str, shape: tuple[int | None, ...]) -> None:
    """Raise InputError where an array has not that shape; None: any length."""
    if values.ndim == len(shape) and all(want in (None, have) for want, have in zip(shape, values.shape, strict=True)):
        return
    wanted = ", ".join("any" if length is None else str(length) for length in shape)
    raise InputError(
        f"{key} has shape {values.shape}, the targets need ({wanted}) (trial, bin, neuron); are both of one phase, "
        "bin width and data set?"
    )
