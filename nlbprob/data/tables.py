"""Columns of tables, from whatever holds them, as arrays of numbers, booleans or strings."""

import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nlbprob.data.conditions import missing
from nlbprob.errors import InputError, printable


def as_table(columns: Any, length: int, field: str, required: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Columns of equal length, with unique ids. Raises InputError where one is missing, or an id comes twice."""
    columns = columns_of(columns, field)
    for name in required:
        if name not in columns:
            raise InputError(f"{field}: the column {name!r} is missing; give one value for each of {length}.")
    table = {name: as_column(values, length, f"{field}[{name!r}]") for name, values in columns.items()}
    if missing(table["id"]).any():
        raise InputError(f"{field}['id']: {missing(table['id']).sum()} are missing; give each row an id of its own.")
    ids, times = np.unique(table["id"], return_counts=True)
    if (times > 1).any():
        raise InputError(f"{field}['id']: {ids[times > 1][0]} comes more than once; ids must be unique.")
    return table


def columns_of(table: Any, field: str) -> dict[str, Any]:
    """The columns of a mapping, a DataFrame or a structured array by name; no column for None.

    Columns of a DataFrame whose entries are lists, arrays or tables are left out, as those of an NWB file are. An index
    called "id", as pynwb's `to_dataframe` gives it, is the column of that name.

    Raises:
        InputError: it is none of these.
    """
    if table is None:
        return {}
    if isinstance(table, Mapping):
        return {printable(str(name)): values for name, values in table.items()}
    if isinstance(table, np.ndarray) and table.dtype.names:
        return {printable(str(name)): table[name] for name in table.dtype.names}
    if not (hasattr(table, "columns") and hasattr(table, "__getitem__")):
        raise InputError(f"{field}: expected columns by name, as a dict or a DataFrame, got {type(table).__name__}.")
    frame: Any = table
    columns = {printable(str(name)): frame[name] for name in frame.columns}
    index = getattr(frame, "index", None)
    if getattr(index, "name", None) == "id":
        columns = {"id": index} | columns
    return {name: values for name, values in columns.items() if not nested(values)}


def nested(values: Any) -> bool:
    """Whether a column holds lists, arrays or tables instead of one value a row."""
    try:
        array = np.asarray(values)
    except ValueError:  # of entries that differ in shape
        return True
    return array.dtype.kind == "O" and any(
        hasattr(value, "__len__") and not isinstance(value, str | bytes) for value in array.ravel()
    )


def as_column(values: Any, length: int, field: str) -> np.ndarray:
    """A table column as a one-dimensional array of numbers, booleans or strings.

    Missing entries (masked, None, NaN, pandas' NA and NaT) become NaN among numbers and booleans, '' among strings.
    Dates become text, durations seconds; control characters are written out. A single row or column of a matrix counts
    as one-dimensional.

    Raises:
        InputError: the length is wrong or the entries are neither numbers nor strings.
    """
    try:
        column = unmasked(values)
    except (TypeError, ValueError):
        raise InputError(f"{field}: its entries differ in shape; give one number, boolean or string each.") from None
    if column.dtype.kind == "U" and isinstance(values, Sequence) and not all(isinstance(v, str) for v in values):
        column = np.array(values, dtype=object)  # NumPy makes the text "nan" of a NaN among strings
    if column.size == length == max(column.shape, default=0):
        column = column.reshape(length)
    if column.shape != (length,):
        raise InputError(f"{field}: expected one value for each of {length}, got shape {column.shape}.")
    if column.dtype.kind in "OT":
        column = of_objects(list(column), field)
    elif column.dtype.kind == "M":
        column = np.where(np.isnat(column), "", np.datetime_as_string(column))
    elif column.dtype.kind == "m":
        column = np.where(np.isnat(column), np.nan, column / np.timedelta64(1, "s"))
    elif column.dtype.kind == "S":
        column = np.char.decode(column, "utf-8", "backslashreplace")
    if column.dtype.kind not in "buifU":
        raise InputError(f"{field}: expected numbers, booleans or strings, got {column.dtype}; leave the column out.")
    return np.array([printable(text) for text in column], dtype=str) if column.dtype.kind == "U" else native(column)


def native(array: np.ndarray) -> np.ndarray:
    """The array in this machine's byte order, which is all that JAX and pandas take."""
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def as_numbers(values: np.ndarray) -> np.ndarray:
    """An array of objects that are numbers, some of them perhaps missing, as floats; any other array as it is."""
    if values.dtype.kind != "O" or not all(
        isinstance(v, numbers.Real | np.bool_) or is_missing(v) for v in values.flat
    ):
        return values
    return np.array([np.nan if is_missing(value) else float(value) for value in values.flat]).reshape(values.shape)


def unmasked(values: Any) -> np.ndarray:
    """An array in which masked entries are NaN, NaT, None or ''; whole numbers and booleans become floats for it."""
    array: Any = np.asanyarray(values)
    if not isinstance(array, np.ma.MaskedArray):
        return np.asarray(array)
    if not np.ma.getmaskarray(array).any():
        return array.data
    if array.dtype.kind in "biu":
        array = np.ma.asarray(array, dtype=np.float64)
    blank = {"f": np.nan, "U": "", "S": b"", "M": "NaT", "m": "NaT"}.get(array.dtype.kind)
    return array.filled(blank) if blank is not None else np.where(np.ma.getmaskarray(array), np.array(None), array.data)


def of_objects(entries: list[Any], field: str) -> np.ndarray:
    """Entries of one kind as an array of that kind. Raises InputError where kinds differ, or one is none of ours."""
    absent = np.array([is_missing(entry) for entry in entries], dtype=bool)
    present = [entry for entry, gone in zip(entries, absent, strict=True) if not gone]
    if all(isinstance(entry, str | bytes) or hasattr(entry, "isoformat") for entry in present):
        return np.array(["" if gone else text(entry) for entry, gone in zip(entries, absent, strict=True)], dtype=str)
    if not all(isinstance(entry, numbers.Real | np.bool_) for entry in present):
        odd = next(entry for entry in present if not isinstance(entry, str | bytes))
        raise InputError(
            f"{field}: expected numbers or strings, found {shortened(repr(odd))}; make the column all one type."
        )
    if absent.any():
        return np.array([np.nan if gone else float(entry) for entry, gone in zip(entries, absent, strict=True)])
    return np.array(entries)


def is_missing(entry: Any) -> bool:
    """Whether an entry is None, masked, or differs from itself, as NaN, NaT and pandas' NA do."""
    if entry is None or entry is np.ma.masked:
        return True
    try:
        return bool(entry != entry)
    except TypeError:  # pandas' NA is neither equal to itself nor different
        return True
    except ValueError:  # an array
        return False


def text(entry: Any) -> str:
    """An entry as text: a string as it is, bytes decoded, a date in ISO 8601."""
    if isinstance(entry, bytes):
        return entry.decode("utf-8", "backslashreplace")
    return entry if isinstance(entry, str) else entry.isoformat()


def shortened(words: str, most: int = 120) -> str:
    """Words cut to a length that a message can hold."""
    return words if len(words) <= most else f"{words[: most - 3]}..."
