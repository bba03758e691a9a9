"""What an NWB file holds of a recording: its units, its tables of intervals, the times that are invalid."""

from typing import Any

import numpy as np
from jaxtyping import Float

from nlbprob.data.columns import Columns, ragged, read_columns
from nlbprob.data.units import Units
from nlbprob.errors import InputError, printable, suggestion

# pynwb makes the attributes of its classes at run time, so that no type checker knows them.
NWBFile = Any


def read_units(nwbfile: NWBFile) -> tuple[Units, Columns]:
    """All sorted units, and their columns. Raises InputError where the file has none, or no spike times."""
    table = nwbfile.units
    if table is not None and not len(table.id):
        raise InputError("the units table has no unit; was anything sorted? nlbprob needs sorted units, one a row.")
    if table is None or "spike_times" not in table.colnames:
        raise InputError("no units table with spike_times; nlbprob needs sorted units, one a row.")
    columns = read_columns(table)
    spikes = ragged(table, "spike_times")
    if any(times.ndim != 1 for times in spikes):
        raise InputError(f"spike_times: expected one number a spike, got entries of shape {spikes[0].shape[1:]}.")
    observed = ragged(table, "obs_intervals") if "obs_intervals" in table.colnames else [None] * len(spikes)
    return Units.from_lists(dict(columns), spikes, observed, read_invalid(nwbfile)), columns


def read_invalid(nwbfile: NWBFile) -> Float[np.ndarray, "interval 2"]:
    """The times (s) that the file's table `invalid_times` says are not to be used.

    Raises:
        InputError: one of them does not end after it starts.
    """
    if nwbfile.invalid_times is None or not len(nwbfile.invalid_times.id):
        return np.zeros((0, 2))
    columns = read_columns(nwbfile.invalid_times)
    ends = [columns.get(name, np.zeros(0)) for name in ("start_time", "stop_time")]
    if any(end.dtype.kind not in "uif" for end in ends) or not (ends[0].size and np.all(ends[0] <= ends[1])):
        raise InputError("invalid_times: a row does not end after it starts; give start_time and stop_time in s.")
    return np.column_stack(ends).astype(np.float64)


def read_table(nwbfile: NWBFile, name: str) -> Columns:
    """The intervals table `name`, such as "trials", by column. Raises InputError where the file has no such table."""
    tables_by_name = {key: table for key in ("trials", "epochs") if (table := getattr(nwbfile, key)) is not None}
    tables = {
        **nwbfile.intervals,
        **tables_by_name,
    }  # those of a file that was never written are not among its intervals
    if name not in tables:
        raise InputError(
            f"no intervals table {name!r}; name another (intervals), or cut a continuous recording into pieces "
            f"(chunk_ms). {suggestion(name, map(printable, tables))}"
        )
    columns = read_columns(tables[name])
    if not len(columns["id"]):
        raise InputError(
            f"the table {name!r} has no row; name another (intervals), or cut a continuous recording into pieces "
            "(chunk_ms)."
        )
    for required in ("start_time", "stop_time"):
        if required not in columns or columns[required].dtype.kind not in "uif":
            raise InputError(f"the table {name!r} needs a column {required!r} with one time (s) a row; write it again.")
        columns[required] = columns[required].astype(np.float64)  # whole seconds of few bits would overflow as ms
    return columns
