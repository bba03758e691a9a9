"""Arrays in an npz file: what it declares is looked at before anything is read, and nothing is ever unpickled."""

import io
import math
import zipfile
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import numpy as np

#: The most that the arrays of one file may take, in bytes.
LIMIT_BYTES = 4_000_000_000
#: The longest header of an array.
LONGEST_HEADER = 10_000
#: Kinds of numbers and of text that are stored; no objects, no records.
KINDS = "biufU"


class DamageError(ValueError):
    """A file is not what was written; the message is a reason, to follow the name of the file."""


class Declared(NamedTuple):
    """The shape and type of an array in a file's header."""

    shape: tuple[int, ...]
    dtype: np.dtype


def pack(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Arrays as the content of an npz file; equal arrays give equal bytes."""
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.asanyarray(array), allow_pickle=False)
    return memory.getvalue()


def declared(archive: zipfile.ZipFile) -> dict[str, Declared]:
    """The shape and kind of every array, from the headers alone.

    Raises:
        DamageError: one has no such header or is of another kind, two have one name, or all together are too large.
    """
    headers: dict[str, Declared] = {}
    for entry in archive.infolist():
        name = entry.filename.removesuffix(".npy")
        if name in headers or name == entry.filename:
            raise DamageError(f"its member {name[:100]!r} is there twice, or no array")
        with archive.open(entry) as file:
            headers[name] = header(file, name)
            size = file.tell() + math.prod(headers[name].shape) * headers[name].dtype.itemsize
        if size != entry.file_size:
            raise DamageError(f"its array {name[:100]!r} does not have the size that it declares")
    total = sum(entry.file_size for entry in archive.infolist())
    if total > LIMIT_BYTES:
        raise DamageError(f"its arrays would take {total / 1e9:.1f} GB, more than {LIMIT_BYTES / 1e9:g} GB")
    return headers


def header(file: Any, name: str) -> Declared:
    """The content of the header of an npy file. Raises DamageError where it is of objects, or of another kind."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file, max_header_size=LONGEST_HEADER)
    if dtype.hasobject or dtype.kind not in KINDS or any(size < 0 for size in shape):
        raise DamageError(f"its array {name[:100]!r} is of the kind {dtype.kind!r}, which no posterior has")
    return Declared(shape, dtype)


def unpack(archive: zipfile.ZipFile, names: Collection[str]) -> dict[str, np.ndarray]:
    """The arrays of these names, from a file that `declared` has looked at."""
    arrays = {}
    for name in names:
        with archive.open(f"{name}.npy") as file:
            arrays[name] = np.lib.format.read_array(file, allow_pickle=False, max_header_size=LONGEST_HEADER)
    return arrays
