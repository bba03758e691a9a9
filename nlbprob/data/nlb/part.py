"""One NWB file as the benchmark's tools read it: spikes, intervals and a signal on a clock of whole milliseconds."""

import dataclasses
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from nlbprob.data.checks import as_mask
from nlbprob.data.columns import ragged
from nlbprob.data.nlb.facts import Dataset
from nlbprob.data.opening import naming, open_nwb
from nlbprob.data.recording import read_table, read_units
from nlbprob.data.series import channels_of
from nlbprob.data.signals import all_places, sample_times
from nlbprob.data.stored import numeric, stored
from nlbprob.errors import InputError, printable, suggestion

#: No recording of the benchmark comes near to this, more than a day.
LONGEST_MS = 10**8


@dataclasses.dataclass(frozen=True, eq=False)
class Part:
    """What one file holds, from 0 ms to the end of its obs_intervals; the fields are those of a `Session`."""

    file: Path
    length_ms: int
    neurons: dict[str, np.ndarray]
    spikes: tuple[Int[np.ndarray, " _"], ...]
    recorded: Bool[np.ndarray, "2 millisecond"]
    table: dict[str, np.ndarray]
    times: dict[str, np.ndarray]
    behavior: Float[np.ndarray, "millisecond channel"] | None
    channels: tuple[str, ...]


def read_part(file: Path, dataset: Dataset, kind: str) -> Part:
    """One file of a data set; the kind is "train" or "test", which has fewer columns and no behavior.

    Raises:
        InputError: a column or the series is missing, or the file is no readable NWB file.
    """
    with naming(str(file)), open_nwb(file) as nwbfile:
        units, _ = read_units(nwbfile)
        require({"heldout"}, units.columns, "units: no column", dataset)
        require({"obs_intervals"}, nwbfile.units.colnames, "units: no column", dataset)
        heldout = as_mask(units.columns["heldout"], "units column 'heldout'")
        intervals = ragged(nwbfile.units, "obs_intervals")
        length_ms = clock_length(intervals)
        rows = read_table(nwbfile, "trials")
        columns = dataset.train_columns if kind == "train" else dataset.test_columns
        require(columns, rows, "trials: no column", dataset)
        values, channels = read_signal(nwbfile, dataset, length_ms) if kind == "train" else (None, ())
    table, times = split_times(rows)
    with naming(str(file)):
        require({name for name in columns if name.endswith("_time")}, times, "trials: no times (s) in", dataset)
        if table["split"].dtype.kind != "U" or table["id"].dtype.kind not in "iu":
            raise InputError("trials: expected names in 'split' and whole numbers in 'id'; write the file again.")
    return Part(
        file=file,
        length_ms=length_ms,
        neurons=units.columns | {"heldout": heldout},
        spikes=tuple(milliseconds(of_unit, length_ms) for of_unit in units.spike_times),
        recorded=np.stack([first_recorded(intervals, mask, length_ms) for mask in (~heldout, heldout)]),
        table=table,
        times=times,
        behavior=values,
        channels=channels,
    )


def clock_length(intervals: list[np.ndarray]) -> int:
    """The last millisecond of the obs_intervals. Raises InputError where there is none, or it cannot be meant."""
    last_s = float(max((of_unit[-1, 1] for of_unit in intervals if len(of_unit)), default=0))
    if not last_s > 0:
        raise InputError("obs_intervals: no unit has one, so nothing was recorded; write the file again.")
    if last_s * 1000 > LONGEST_MS or not all(np.isfinite(of_unit).all() for of_unit in intervals):
        raise InputError(f"obs_intervals: the last ends at {last_s:g} s; are they in s, from the recording's begin?")
    return round(last_s * 1000)


def require(needed: set[str], present: Iterable[str], what: str, dataset: Dataset) -> None:
    """Raise InputError where something that the files of the data set have is missing."""
    present_columns = list(present)
    for name in sorted(needed.difference(present_columns)):
        raise InputError(
            f"{what} {name!r}, which {dataset.name} has; is this a file of it? {suggestion(name, present_columns)}"
        )


def milliseconds(times: Float[np.ndarray, " spike"], length_ms: int) -> Int[np.ndarray, " inside"]:
    """The number of the millisecond of each spike; spikes outside the clock are left out."""
    rounded = np.round(times * 1000, 6)
    return rounded[(rounded > -1) & (rounded < length_ms)].astype(np.int32)


def first_recorded(
    intervals: list[np.ndarray], mask: Bool[np.ndarray, " neuron"], length_ms: int
) -> Bool[np.ndarray, " millisecond"]:
    """Whether each millisecond lies in the obs_intervals of the first unit of the mask; nowhere without a unit.

    The benchmark takes that unit's intervals for all of the mask, and so do we; where units were observed at different
    times, its numbers, and these, treat time that was not recorded as time without a spike, or leave out what was.
    """
    recorded = np.zeros(length_ms, dtype=bool)
    if mask.any():
        for start, stop in np.round(intervals[int(mask.argmax())] * 1000, 6):
            recorded[max(int(np.ceil(start)), 0) : max(int(np.floor(stop)), 0)] = True
    return recorded


def split_times(rows: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Columns of values, and columns of times (named *_time) as timedelta64[ns]."""
    times = {
        name: nanoseconds(column)
        for name, column in rows.items()
        if name.endswith("_time") and column.dtype.kind in "iuf"
    }
    return {name: column for name, column in rows.items() if name not in times}, times


def nanoseconds(seconds: Shaped[np.ndarray, " trial"]) -> Shaped[np.ndarray, " trial"]:
    """Times in s as timedelta64[ns], whole seconds and their fraction apart, as pandas has it.

    NaT for NaN, and for what lies beyond any recording.
    """
    finite = np.isfinite(seconds) & (np.abs(seconds) < LONGEST_MS / 1000)
    whole_seconds = np.trunc(np.where(finite, seconds, 0))
    fraction = np.round(np.where(finite, seconds, 0) - whole_seconds, 9)
    exact = whole_seconds.astype(np.int64) * 10**9 + (fraction * 1e9).astype(np.int64)
    return np.where(finite, exact.astype("m8[ns]"), np.timedelta64("NaT", "ns"))


def read_signal(
    nwbfile: Any, dataset: Dataset, length_ms: int
) -> tuple[Float[np.ndarray, "millisecond channel"] | None, tuple[str, ...]]:
    """The behavior on the clock, NaN where there is no sample, and its channels in ascending order; None without one.

    The numbers are those in the file: the benchmark does not apply the series' conversion.

    Raises:
        InputError: there is no such series, or a sample lies off the clock; the benchmark drops such a series.
    """
    if dataset.behavior is None:
        return None, ()
    every = {series.name: series for _, series in reversed(list(all_places(nwbfile)))}
    require({dataset.behavior}, every, "behavior: no series", dataset)
    series, title = every[dataset.behavior], f"behavior {dataset.behavior!r}"
    samples = numeric(stored(series.data, title), title)
    samples = samples.reshape(len(samples), -1)
    times = sample_times(series, len(samples), title)
    if times.shape != (len(samples),) or not np.isfinite(times).all():
        raise InputError(f"{title}: expected one finite time for each of {len(samples)} samples; write it again.")
    at = np.rint(times * 1000)
    off_clock = np.round(times, 6) != np.round(at / 1000, 6)
    if off_clock.any() or at.min(initial=0) < 0 or at.max(initial=0) >= length_ms:
        raise InputError(
            f"behavior: a sample of {series.name!r} does not lie on a whole millisecond inside the obs_intervals, "
            "so that the benchmark cannot use it; resample it at 1 ms."
        )
    values = np.full((length_ms, samples.shape[1]), np.nan)
    values[at.astype(np.int64)] = samples
    # The benchmark sorts the names as they stand in the comment, blanks included.
    listed = re.search(r"columns=.*\[([^\]]*)\]", printable(series.comments or ""))
    names = listed[1].split(",") if listed else []
    order = np.argsort(names, kind="stable") if len(names) == samples.shape[1] else np.arange(samples.shape[1])
    channels = channels_of(printable(series.comments or ""), samples.shape[1])
    return values[:, order], tuple(channels[channel] for channel in order)
