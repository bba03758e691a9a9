"""Conditions: the joint values of one or more columns of a table."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Int


def missing(column: np.ndarray) -> Bool[np.ndarray, " row"]:
    """Where a column has no value: NaN in numbers, '' in strings."""
    if column.dtype.kind == "f":
        return np.isnan(column)
    return column == "" if column.dtype.kind == "U" else np.zeros(column.shape, dtype=bool)


def joint_values(columns: Sequence[np.ndarray], length: int) -> tuple[Int[np.ndarray, " row"], list[str]]:
    """Position of each row's joint value among the sorted joint values, and a label for each of these.

    Rows in which any column is missing get -1; with no column at all, every row does.
    """
    index = np.full(length, -1)
    complete = np.flatnonzero(~np.any([missing(column) for column in columns], axis=0)) if columns else np.arange(0)
    if not complete.size:
        return index, []
    codes = np.stack([np.unique(column[complete], return_inverse=True)[1] for column in columns], axis=1)
    _, first, index[complete] = np.unique(codes, axis=0, return_index=True, return_inverse=True)
    values = [[column[row] for column in columns] for row in complete[first]]
    short = [", ".join(map(label, joint)) for joint in values]
    return index, short if len(set(short)) == len(short) else [", ".join(map(exact_label, joint)) for joint in values]


def label(value: Any) -> str:
    """A value as people write it: 1 for 1.0."""
    return f"{value:g}" if isinstance(value, np.floating) else str(value)


def exact_label(value: Any) -> str:
    """A value as it differs from every other: all digits of a number, quotes around text."""
    return f"{value}" if isinstance(value, np.floating) else repr(value.item())
