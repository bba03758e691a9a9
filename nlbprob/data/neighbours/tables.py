"""Tables of trials and of neurons, in whatever form they are held, to columns."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from nlbprob.data.columns import Columns, read_columns
from nlbprob.data.neighbours.quantities import magnitude, seconds
from nlbprob.data.tables import as_column
from nlbprob.errors import InputError, printable, suggestion

#: Under what names libraries keep the start and the end of a trial.
STARTS, STOPS = ("start_time", "start", "onset"), ("stop_time", "end_time", "stop", "end")
FORMS = "a table with columns start_time and stop_time in s, or (starts, stops)"
#: pynapple takes so much (s) off an interval that ends where the next one starts; more is a gap that is meant.
TAKEN_OFF = 1.0005e-6


def trial_table(trials: Any) -> Columns:
    """Columns of trials: "id", "start_time" and "stop_time" (s), and every other column with one number, boolean or
    string a trial.

    Args:
        trials: a mapping or data frame of columns; an IntervalSet of pynapple; an Interval of temporaldata; an Epoch of
            neo; an intervals table of pynwb; (starts, stops); or an array of them [trial, (start, stop)].

    Raises:
        InputError: it is none of these, or has no start or end.
    """
    columns = columns_of(trials)
    if columns is None:
        start_stop = pair(trials)
        columns = {"start_time": start_stop[0], "stop_time": start_stop[1]}
    start = first_of(columns, STARTS)
    begin = seconds(columns.pop(start), f"trials {start!r}", aligned=True)
    stop = first_of(columns, (*STOPS, "duration"))
    end = seconds(columns.pop(stop), f"trials {stop!r}", aligned=True)
    if len(begin) != len(end) or not len(begin):
        raise InputError(f"trials: {len(begin)} starts and {len(end)} ends; give one of each for at least one trial.")
    end = begin + end if stop == "duration" else end
    table = scalar_columns(columns, len(begin))
    table.setdefault("id", np.arange(len(begin)))
    table.update(start_time=begin, stop_time=end)
    return table


def columns_of(table: Any) -> dict[str, Any] | None:
    """The columns of a table as they are held, by name; None where the object is no table that is known."""
    if hasattr(table, "metadata_columns") and hasattr(table, "start"):
        metadata = {name: table.get_info(name) for name in table.metadata_columns}
        return metadata | {"start_time": table.start, "stop_time": untouched_ends(table.start, table.end)}
    if hasattr(table, "durations") and hasattr(table, "labels"):
        metadata = {"label": table.labels, **table.array_annotations} if len(table.labels) else table.array_annotations
        return dict(metadata) | {"start_time": table.times, "duration": table.durations}
    if hasattr(table, "colnames") and hasattr(table, "id"):
        return dict(read_columns(table))
    if hasattr(table, "iloc") and hasattr(table, "columns"):
        metadata = {str(name): table[name].to_numpy() for name in table.columns}
        return index_of(table) | metadata
    if isinstance(table, Mapping):
        return {str(name): values for name, values in table.items()}
    if isinstance(table, np.ndarray) and table.dtype.names:
        return {str(name): table[name] for name in table.dtype.names}
    keys: Any = getattr(table, "keys", None)
    if keys is not None and hasattr(table, "start"):
        return {name: getattr(table, name) for name in keys()}
    return None


def index_of(frame: Any) -> dict[str, Any]:
    """The index of a data frame as ids, where it is one: whole numbers or strings, each once."""
    index = frame.index
    usable = index.is_unique and index.nlevels == 1 and np.asarray(index).dtype.kind in "iuUO"
    return {"id": np.asarray(index)} if usable else {}


def pair(trials: Any) -> tuple[Any, Any]:
    """Starts and ends: a tuple of the two, or rows (start, stop). Raises InputError on anything else."""
    if isinstance(trials, tuple) and len(trials) == 2:
        return trials
    if not isinstance(trials, list | tuple | np.ndarray) or isinstance(trials, str):
        raise InputError(f"trials: takes {FORMS}; got {type(trials).__name__}.")
    array = magnitude(trials, "trials")
    if array.ndim != 2 or array.shape[1] != 2 or array.dtype.kind not in "uif":
        raise InputError(f"trials: takes {FORMS}, as a tuple; got {array.dtype} of shape {array.shape}.")
    return array[:, 0], array[:, 1]


def untouched_ends(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The ends as they were before pynapple took a microsecond off those at which the next interval starts."""
    following = np.append(start[1:], np.inf)
    return np.where((following > end) & (following - end <= TAKEN_OFF), following, end)


def first_of(columns: Mapping[str, Any], names: tuple[str, ...]) -> str:
    """The first of the names that is a column. Raises InputError where none is."""
    first = next((name for name in names if name in columns), None)
    if first is None:
        raise InputError(f"trials: no column {names[0]!r}; give {FORMS}. {suggestion(names[0], columns)}")
    return first


def scalar_columns(columns: Mapping[str, Any], number: int) -> Columns:
    """The columns with one number, boolean or string a row, times in s; of the others why they are left out."""
    table = Columns()
    for name, values in columns.items():
        try:
            table[printable(name)] = as_column(magnitude(values, repr(name)), number, repr(name))
        except InputError as error:
            table.others[printable(name)] = str(error)
    return table
