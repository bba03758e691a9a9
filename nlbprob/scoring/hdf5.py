"""HDF5 files of the benchmark's form: what stands in one is looked at before it is read.

A file may come from anybody. Links to other files are not followed, and type, shape and size of an array are known and
found fit before a byte of it is read.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from nlbprob.errors import InputError, printable
from nlbprob.scoring.stored import StoredArray, StoredGroup, Unusable, clause, described

#: A file's groups, or the arrays of one group: as in a file, or the same in memory.
Tensors = Mapping[str, Any]
#: Kinds of NumPy types that hold numbers, and that hold a choice or lists of whole numbers.
NUMBERS, CHOICES, LISTS = "fiu", "biuf", "iuO"


@contextlib.contextmanager
def opened(source: Any, what: str) -> Iterator[Tensors]:
    """The groups of an HDF5 file that is open for reading while the context lasts; a mapping as it is.

    Args:
        source: a path, an open file of h5py, or {group: {key: array}}.
        what: what it is to hold, for messages.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: it is no HDF5 file, or damaged.
    """
    import h5py

    if isinstance(source, h5py.Group):
        yield StoredGroup(source)
    elif isinstance(source, Mapping):
        if wrong := [name for name in source if not isinstance(name, str)]:
            raise InputError(f"the {what}: groups and arrays have names, not {wrong[0]!r}; name each by a text.")
        yield source
    else:
        path = existing(source, what)
        with contextlib.ExitStack() as stack:
            try:
                file = h5py.File(path, "r")
                stack.callback(close, file)
                groups = StoredGroup(file)
            except Exception as error:  # h5py has no common class for damage
                raise InputError(unreadable(path, what, error)) from error
            yield groups


def close(file: Any) -> None:
    """Close a file that was read; a damaged one may refuse, which changes nothing."""
    with contextlib.suppress(Exception):
        file.close()


def existing(source: Any, what: str) -> str:
    """The path of a regular file. Raises FileNotFoundError or InputError, so that no pipe is waited for."""
    if not isinstance(source, str | os.PathLike):
        raise InputError(f"the {what}: expected a file or a dictionary of groups, got {type(source).__name__}.")
    path = os.fspath(source)
    if not os.path.exists(path):
        raise FileNotFoundError(f"{printable(path)}: there is no such file; name one with {what}.")
    if not os.path.isfile(path):
        raise InputError(f"{printable(path)}: is a folder or a device; name a file with {what}.")
    return path


def unreadable(path: str, what: str, error: Exception) -> str:
    """Why a file cannot be opened, and what to do."""
    message = clause(error)
    where = printable(path)
    if "unable to lock" in message:
        return f"{where}: another program is writing to it; close it there first."
    if isinstance(error, PermissionError) or "ermission denied" in message:
        return f"{where}: may not be read; ask its owner for the permission."
    reason = "it ends too early" if "truncated" in str(error) else message
    return f"{where}: cannot be read as HDF5 ({reason}); write or download the {what} again."


@contextlib.contextmanager
def about(where: str) -> Iterator[None]:
    """Put a place before the words of an InputError."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def name_of(source: str | os.PathLike | Tensors, what: str) -> str:
    """How messages call a file, or what is in memory."""
    return printable(os.fspath(source)) if isinstance(source, str | os.PathLike) else what


def keys(item: Any) -> set[str]:
    """The names in a group; none where the item is an array, or cannot be read."""
    return set(item) if isinstance(item, Mapping) else set()


def entry(group: Tensors, key: str, kinds: str = NUMBERS) -> StoredArray | np.ndarray:
    """An array of a group, unread where it is in a file; masked entries in memory are NaN.

    Args:
        group: that holds it.
        key: its name.
        kinds: the kinds of NumPy's types that it may be of.

    Raises:
        InputError: it is missing, or of another kind.
    """
    if key not in group:
        raise InputError(f"{key} is missing; predict it too, or take the file from `nlbprob tensors`.")
    item = group[key]
    if isinstance(item, Unusable):
        raise InputError(f"{key} {item.reason}")
    if isinstance(item, Mapping):
        raise InputError(f"{key} is a group, not an array.")
    if not isinstance(item, StoredArray):
        item = in_memory(item, key)
    if item.dtype.kind not in kinds:
        raise InputError(f"{key} holds {described(item.dtype)}, not numbers; write floats.")
    return item


def in_memory(values: Any, key: str) -> np.ndarray:
    """Whatever NumPy makes an array of. Raises InputError where it makes none."""
    if isinstance(values, np.ma.MaskedArray):
        floats: Any = values.astype(np.result_type(values.dtype, np.float32))
        values = floats.filled(np.nan)
    try:
        return np.asarray(values)
    except Exception as error:  # of whatever library the object is
        raise InputError(f"{key} is no array of numbers ({clause(error)}).") from error


def array(group: Tensors, key: str, shape: tuple[int | None, ...] | None = None, kinds: str = NUMBERS) -> np.ndarray:
    """The values of an array of a group, at least as exact as float32.

    Args:
        group: that holds it.
        key: its name.
        shape: what is needed, None for any length; an array of another shape is not read.
        kinds: the kinds of NumPy's types that it may be of.

    Raises:
        InputError: as `entry` does, and where the shape is another one.
    """
    item = entry(group, key, kinds)
    if shape is not None:
        require(item, key, shape)
    values = item.read(key) if isinstance(item, StoredArray) else item
    return values if values.dtype.itemsize >= 4 else values.astype(np.float32)


def require(values: Any, key: str, shape: tuple[int | None, ...]) -> None:
    """Raise InputError where an array has not that shape; None: any length."""
    if values.ndim == len(shape) and all(want in (None, have) for want, have in zip(shape, values.shape, strict=True)):
        return
    wanted = ", ".join("any" if length is None else str(length) for length in shape)
    raise InputError(
        f"{key} has shape {values.shape}, the targets need ({wanted}) (trial, bin, neuron); are both of one phase, "
        "bin width and data set?"
    )
