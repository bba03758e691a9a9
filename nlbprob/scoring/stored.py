"""The content of an HDF5 file, as far as it can be known without reading it or any other file."""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from nlbprob.errors import InputError, printable

#: The form of HDF5 in which structures carry checksums, as gzip's values do; HDF5 1.10 and all later ones read it.
CHECKED = ("v110", "v110")
#: The largest array that is read, several times the size of the benchmark's largest.
MOST_BYTES = 2**31
#: Entries of one group that are looked at, and soft links that are followed one after the other.
MOST_ENTRIES, MOST_LINKS = 1000, 8


@dataclasses.dataclass(frozen=True)
class Unusable:
    """An entry of a file that is not read.

    Attributes:
        reason: follows its name in a message.
        whole: whether it is an array in the file itself, though not of numbers.
    """

    reason: str
    whole: bool = False


@dataclasses.dataclass(frozen=True)
class StoredArray:
    """An array in a file, fit to be read as far as its header shows."""

    dataset: Any
    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    def read(self, key: str) -> np.ndarray:
        """The values. Raises InputError, naming `key`, where they are damaged."""
        try:
            return self.dataset[()]
        except Exception as error:  # h5py has no common class for damage
            raise InputError(f"{key} {damaged(error)}") from error


class StoredGroup(Mapping[str, Any]):
    """A group in a file: its entries are StoredGroup, StoredArray or Unusable."""

    def __init__(self, group: Any):
        self.group = group
        self.names = tuple(itertools.islice(group, MOST_ENTRIES))

    def __getitem__(self, name: str) -> Any:
        if name not in self.names:
            raise KeyError(name)
        return look(self.group, name)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


def clause(error: Exception) -> str:
    """The part of an error of h5py that names the fault: the one in brackets, where there is one."""
    text = (str(error).strip("'\"") or type(error).__name__).splitlines()[0]
    inner = text.partition("(")[2].rstrip(")")
    return printable((inner or text)[:200])


def damaged(error: Exception) -> str:
    """The message about an entry that h5py cannot read."""
    if any(words in str(error) for words in ("plugin", "filter is not", "filter not", "not available")):
        return f"is compressed in a way that is not installed ({clause(error)}); write it with gzip or without."
    return f"cannot be read ({clause(error)}); write or download the file again."


def look(group: Any, name: str) -> StoredGroup | StoredArray | Unusable:
    """What stands under a name of an h5py group."""
    import h5py

    try:
        item = follow(group, name, MOST_LINKS)
        if isinstance(item, Unusable):
            return item
        if isinstance(item, h5py.Group):
            return StoredGroup(item)
        if isinstance(item, h5py.Dataset):
            return look_at_array(item)
        return Unusable("is the name of a type, and not an array.")
    except Exception as error:  # h5py has no common class for damage
        return Unusable(damaged(error))


def follow(node: Any, path: str, steps: int) -> Any:
    """The object at a path inside a file, found without asking for any other file; Unusable where there is none."""
    import h5py

    if path.startswith("/"):
        node = node.file["/"]
    for part in path.split("/"):
        if part in ("", "."):
            continue
        links, encoded = node.id.links, part.encode("utf-8", "surrogateescape")
        kind = links.get_info(encoded).type
        if kind == h5py.h5l.TYPE_SOFT:  # pyright: ignore[reportAttributeAccessIssue]
            if not steps:
                return Unusable("is a link that leads round in a circle; put its values in its place.")
            node = follow(node, links.get_val(encoded).decode("utf-8", "surrogateescape"), steps - 1)
            if isinstance(node, Unusable):
                return node
        elif kind != h5py.h5l.TYPE_HARD:  # pyright: ignore[reportAttributeAccessIssue]
            return Unusable("is a link to another file, which is not followed; put its values in its place.")
        else:
            node = node[part]
    return node


def look_at_array(dataset: Any) -> StoredArray | Unusable:
    """A data set of h5py, unless it is none that could hold rates or counts."""
    import h5py

    shape, dtype = dataset.shape, dataset.dtype
    if shape is None:
        return Unusable("is empty.")
    if dataset.is_virtual or dataset.external:
        return Unusable("keeps its values in other files, which are not read; put its values in its place.")
    size = elements(shape) * dtype.itemsize
    if max(size, elements(dataset.chunks or ()) * dtype.itemsize) > MOST_BYTES:
        return Unusable(f"has the shape {shape}: {size / 2**30:.3g} GiB, and no array of the benchmark has over 2.")
    if size and not dataset.id.get_storage_size():
        return Unusable(f"has the shape {shape} and no values; write them.")
    if not (dtype.kind in "fiub" or lists_numbers(dtype)) or named_codes(dtype):
        return Unusable(
            f"holds {described(dtype)}, not numbers; write floats.", whole=h5py.check_ref_dtype(dtype) is None
        )
    return StoredArray(dataset, shape, dtype)


def elements(shape: tuple[int, ...]) -> int:
    """The number of entries, as an integer that cannot overflow."""
    number = 1
    for length in shape:
        number *= int(length)
    return number


def lists_numbers(dtype: np.dtype) -> bool:
    """Whether each entry is a list of whole numbers, as the trials of a condition are."""
    import h5py

    base = h5py.check_vlen_dtype(dtype)
    return base is not None and np.dtype(base).kind in "iu"


def named_codes(dtype: np.dtype) -> bool:
    """Whether numbers stand for names."""
    import h5py

    return h5py.check_enum_dtype(dtype) is not None


def described(dtype: np.dtype) -> str:
    """What a type that holds no numbers is called."""
    import h5py

    if dtype.kind in "SU" or h5py.check_string_dtype(dtype) is not None:
        return "text"
    if h5py.check_ref_dtype(dtype) is not None:
        return "references"
    if named_codes(dtype):
        return "codes for names"
    return (
        "records"
        if dtype.names
        else {"c": "complex values", "O": "objects", "V": "raw bytes"}.get(dtype.kind, printable(str(dtype)))
    )
