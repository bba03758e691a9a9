"""Spike times in plain containers: a mapping of ids to times, a list of times, or a table of units."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from nlbprob.data.neighbours.neurons import neuron_columns
from nlbprob.data.neighbours.quantities import magnitude, seconds
from nlbprob.data.neighbours.session import Session
from nlbprob.data.neighbours.tables import index_of
from nlbprob.errors import InputError

#: What objects of neo, pynwb and others have that hold the spikes of many units.
HOLDERS = ("spiketrains", "segments", "acquisition", "get_unit_spike_train")


def takes(source: Any) -> bool:
    """Whether it is a mapping or list of spike times, or a table with a column of them."""
    if isinstance(source, Mapping) or (hasattr(source, "iloc") and hasattr(source, "columns")):
        return True
    return isinstance(listed(source), list) and not any(is_recording(entry) for entry in source)


def is_recording(entry: Any) -> bool:
    """Whether it is a path, or an object that holds the spikes of many units: no spike times of one."""
    return isinstance(entry, str | os.PathLike) or any(hasattr(entry, name) for name in HOLDERS)


def listed(source: Any) -> Any:
    """A list of what is one, which may be an array of arrays that differ in length; others as they are."""
    of_arrays = isinstance(source, np.ndarray) and source.dtype == object and source.ndim == 1
    return list(source) if isinstance(source, list | tuple) or of_arrays else source


def session(source: Any) -> Session:
    """The units of a mapping or a list. Raises InputError where there are none, or times are no list of numbers."""
    source = listed(source)
    if not isinstance(source, list) and "spike_times" in source:
        return of_table(source)
    if not isinstance(source, list | Mapping):
        raise InputError(
            f"a data frame needs a column spike_times, one list of times (s) a unit; it has {list(source)}."
        )
    if len(source) == 0:
        raise InputError("no units; give the spike times (s) of each, by its id.")
    ids = np.asarray(list(source) if isinstance(source, Mapping) else range(len(source)))
    if ids.ndim != 1 or ids.dtype.kind not in "iuU":
        raise InputError(f"ids of units: expected whole numbers or strings, got {next(iter(source))!r}.")
    trains = source.values() if isinstance(source, Mapping) else source
    times = [seconds(train, f"spike times of unit {unit}") for unit, train in zip(ids.tolist(), trains, strict=True)]
    return Session("spike times", {"id": ids}, times, [None] * len(times))


def of_table(source: Any) -> Session:
    """The units of a table with a column "spike_times" and perhaps "obs_intervals", each entry a list of its own."""
    lists = [name for name in ("spike_times", "obs_intervals") if name in source]
    trains = list(source["spike_times"])
    frame = hasattr(source, "iloc")
    others = source.drop(columns=lists) if frame else {name: source[name] for name in source if name not in lists}
    ids = np.asarray({"id": np.arange(len(trains)), **(index_of(source) if frame else {}), **others}["id"])
    columns = neuron_columns(others, ids) if len(list(others)) else {}
    times = [seconds(train, f"spike_times of unit {unit}") for unit, train in zip(ids.tolist(), trains, strict=True)]
    observed = [None] * len(times)
    if "obs_intervals" in lists:
        observed = [np.asarray(magnitude(intervals, "obs_intervals"), float) for intervals in source["obs_intervals"]]
    return Session("table of units", {"id": ids} | columns, times, observed)
