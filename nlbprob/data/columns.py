"""The columns of a table in an NWB file: one value a row, or any number of them by the rule of the format."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Int

from nlbprob.data.foreign import with_reason
from nlbprob.data.stored import flat, numeric, stored
from nlbprob.data.tables import as_column
from nlbprob.errors import InputError, printable

# pynwb makes the attributes of its classes at run time, so that no type checker knows them.
type DynamicTable = Any
type VectorData = Any


class Columns(dict[str, np.ndarray]):
    """The columns with one number, boolean or string a row; `others`: why each other column is none of them."""

    def __init__(self) -> None:
        super().__init__()
        self.others: dict[str, str] = {}


def read_columns(table: DynamicTable) -> Columns:
    """ "id" and every column with one value a row; "id" counts from 0 where the table has none."""
    columns = Columns()
    ids = stored(table.id.data, "id")
    number = len(ids)
    columns["id"] = as_column(ids, number, "'id'")
    for name in table.colnames:
        try:
            columns[printable(name)] = as_column(column_values(table[name], number, name), number, repr(name))
        except InputError as error:
            columns.others[printable(name)] = str(error)
    return columns


def column_values(column: VectorData, number: int, name: str) -> np.ndarray:
    """The values of a column of so many rows; names instead of codes. Raises InputError where it has no value a row."""
    from pynwb.core import DynamicTableRegion, VectorIndex

    if isinstance(column, VectorIndex):
        raise InputError(f"{name!r} holds lists, any number of values a row")
    if isinstance(column, DynamicTableRegion):
        raise InputError(f"{name!r} holds references to rows of another table")
    with with_reason(repr(name)):
        shape = np.shape(column.data)
    if np.prod(shape, dtype=object) != number or max(shape, default=0) != number:
        raise InputError(f"{name!r} holds an array of shape {shape}")
    values = flat(stored(column.data, repr(name)))
    return values if getattr(column, "elements", None) is None else names_of(values, column.elements, name)


def names_of(codes: np.ndarray, elements: VectorData, name: str) -> np.ndarray:
    """The name that each code of an enumeration stands for. Raises InputError where one stands for none."""
    names = stored(elements.data, f"{name}_elements")
    if codes.dtype.kind not in "ui" or (codes.size and not 0 <= codes.min() <= codes.max() < len(names)):
        raise InputError(f"{name!r} has a code that is none of its {len(names)} elements")
    return names[codes]


def demand(columns: Columns, wanted: Mapping[str, Iterable[str]], what: str) -> None:
    """See that the columns that options ask for have one value a row, as far as the table has them.

    Args:
        columns: of the table.
        wanted: the names of columns by the option that names them.
        what: whose columns they are, such as "trials".

    Raises:
        InputError: the table has such a column, but not with one value a row.
    """
    for option, names in wanted.items():
        for name in names:
            if name in columns.others and name not in columns:
                raise InputError(
                    f"{option}: {what} column {columns.others[name].rstrip('.')}; a column with one number, boolean "
                    "or string a row is needed."
                )


def ragged(table: DynamicTable, name: str) -> list[np.ndarray]:
    """The entries of a column with any number of values a row: row i is data[index[i - 1]:index[i]].

    Raises:
        InputError: the column has no index, an index of an index, or one that does not divide its data.
    """
    from pynwb.core import VectorIndex

    column = table[name]
    if not isinstance(column, VectorIndex):
        raise InputError(without_index(table.name, name))
    if isinstance(column.target, VectorIndex):
        raise InputError(f"{name}: holds lists of lists ({name}_index_index); write one list of values a row.")
    shape = np.shape(column.target.data)
    ends = row_ends(stored(column.data, f"{name}_index"), len(table.id), shape[0] if shape else 0, name)
    values = numeric(stored(column.target.data, name, int(ends[-1]) if len(ends) else 0), name)
    return np.split(values[:, 0] if values.shape[1:] == (1,) else values, ends[:-1])


def without_index(table: str, name: str) -> str:
    """The message about a column of lists without an index."""
    return (
        f"{name}: the table {table} has no {name}_index, with the end of each row's values; write the file again "
        "with one."
    )


def row_ends(index: np.ndarray, rows: int, values: int, name: str) -> Int[np.ndarray, " row"]:
    """The end of each row of a column, by its index. Raises InputError where it cannot be so."""
    index = flat(index)
    if index.dtype.kind not in "ui" or index.shape != (rows,):
        raise InputError(
            f"{name}_index: expected one whole number for each of {rows} rows, got {index.dtype} {index.shape}; "
            "write the file again."
        )
    falls = np.flatnonzero((index[1:] < index[:-1]) | (index[1:] > values)) + 1
    if rows and not 0 <= index[0] <= values:
        falls = np.r_[0, falls]
    if len(falls):
        raise InputError(
            f"{name}_index: row {falls[0]} ends at {index[falls[0]]}, of {values} values, and the row before it at "
            f"{index[falls[0] - 1] if falls[0] else 0}; each must end after the other: write the file again."
        )
    return index.astype(np.int64)
