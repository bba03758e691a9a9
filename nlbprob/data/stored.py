"""Arrays as they are stored, in an HDF5 file or in memory, read whole or up to a row once their size was looked at."""

from typing import Any

import numpy as np

from nlbprob.data.foreign import with_reason
from nlbprob.data.tables import unmasked
from nlbprob.errors import InputError

#: A data set may declare so many bytes whatever is stored of it, ...
SMALL_BYTES = 1 << 28
#: ... and beyond that, so many for each byte that is stored; gzip compresses by less than 1,100.
COMPRESSION = 2000


def stored(data: Any, field: str, stop: int | None = None) -> np.ndarray:
    """The entries of a data set, or those before the row `stop`.

    Args:
        data: a list, an array, an h5py data set or a wrapper of pynwb around one. Text comes as bytes or strings.
        field: what messages call it.
        stop: the row before which to stop; None: read all.

    Raises:
        InputError: it cannot be read, or declares far more than it stores.
    """
    data = getattr(data, "dset", data)  # of text, pynwb's wrapper decodes strictly; bytes are decoded later
    with with_reason(field):
        refuse_hollow(data, field, stop)
        return unmasked(data[:stop])


def refuse_hollow(data: Any, field: str, stop: int | None) -> None:
    """Raise InputError where a data set declares far more than it stores: reading it would fill the memory."""
    import h5py

    if not isinstance(data, h5py.Dataset) or data.is_virtual or not data.shape:
        return
    rows = data.shape[0] if stop is None else min(stop, data.shape[0])
    declared = rows * int(np.prod(data.shape[1:], dtype=object)) * data.dtype.itemsize
    kept = data.id.get_storage_size()
    if declared > max(SMALL_BYTES, COMPRESSION * kept):
        raise InputError(
            f"{field}: declares {declared:.3g} bytes, of which the file stores {kept}; it is damaged: write it again."
        )


def numeric(values: np.ndarray, field: str) -> np.ndarray:
    """The values themselves. Raises InputError where they are no numbers."""
    if values.dtype.kind not in "uif":
        raise InputError(f"{field}: expected numbers, got {values.dtype}; write them as floats.")
    return values


def flat(values: np.ndarray) -> np.ndarray:
    """One axis of values that come as a single row or column of a matrix; others as they are."""
    return values.reshape(-1) if values.ndim > 1 and values.size == max(values.shape) else values
