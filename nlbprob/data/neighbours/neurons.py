"""Columns of neurons that come beside the spikes, put in the order of the units."""

from typing import Any

import numpy as np

from nlbprob.data.neighbours.session import Table
from nlbprob.data.neighbours.tables import columns_of, scalar_columns
from nlbprob.errors import InputError


def neuron_columns(neurons: Any, ids: np.ndarray) -> Table:
    """Columns by name in the order of `ids`: matched by "id" or a data frame's index, else by their order.

    Args:
        neurons: a mapping or data frame of columns.
        ids: of the units.

    Raises:
        InputError: it does not have a value for every unit, or two rows for one.
    """
    columns = columns_of(neurons)
    if columns is None:
        raise InputError(f"neurons: takes a table, one row a unit; got {type(neurons).__name__}.")
    lengths = {name: np.shape(values)[0] if np.ndim(values) else 0 for name, values in columns.items()}
    number = lengths.get("id", len(ids))
    if wrong := [name for name, length in lengths.items() if length != number]:
        raise InputError(f"neurons: {wrong[0]!r} has {lengths[wrong[0]]} values for {number} units; give one for each.")
    table = scalar_columns(columns, number)
    if "id" not in table:
        return table
    return in_order(table, ids, counted=hasattr(neurons, "iloc") and "id" not in neurons.columns)


def in_order(table: Table, ids: np.ndarray, counted: bool) -> Table:
    """The rows of the table with the given ids.

    Args:
        table: columns by name.
        ids: of the units.
        counted: the ids of the table merely count its rows and do not identify units.
    """
    names = [key(name) for name in table["id"].tolist()]
    rows = {name: row for row, name in enumerate(names)}
    wanted = [key(name) for name in ids.tolist()]
    if len(rows) < len(names):
        twice = next(name for row, name in enumerate(names) if rows[name] != row)
        raise InputError(f"neurons['id']: {twice} comes more than once; give one row a unit.")
    missing = [name for name in wanted if name not in rows]
    if missing and counted and np.array_equal(table["id"], np.arange(len(ids))):
        return {name: values for name, values in table.items() if name != "id"}
    if missing:
        raise InputError(f"neurons: no row for unit {missing[0]}; give one row for each of the {len(ids)} units.")
    chosen = [rows[name] for name in wanted]
    return {name: values[chosen] for name, values in table.items() if name != "id"}


def key(identity: Any) -> str:
    """An id as text; 1.0, which pandas makes of 1 in a column with missing values, is 1."""
    whole = isinstance(identity, float) and identity.is_integer()
    return str(int(identity)) if whole else str(identity)
