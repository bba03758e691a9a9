"""`Trials` from arrays and from spike times in memory."""

from collections.abc import Mapping, Sequence
from typing import Any, SupportsIndex

import numpy as np
from jaxtyping import Float

from nlbprob.arguments import checked_keywords, instance_of, real_number, seed_number
from nlbprob.data.assemble import assemble, heldout_of, split_of
from nlbprob.data.checks import three_axes
from nlbprob.data.kinds import as_given, check_spike_times, entries
from nlbprob.data.neighbours.quantities import magnitude, seconds
from nlbprob.data.options import resolve
from nlbprob.data.outliers import far_out
from nlbprob.data.plausible import FASTEST_HZ, NO_CHANCE
from nlbprob.data.series import Series
from nlbprob.data.spike_trains import alike
from nlbprob.data.tables import as_numbers, as_table, columns_of, unmasked
from nlbprob.data.trials import Trials
from nlbprob.data.units import Units
from nlbprob.errors import InputError

#: The values that an option takes in place of a column's name: kinds of NumPy.
KINDS = {"heldout": "bui", "split": "U"}
INPUTS = "arrays by name, inputs={'stimulus': array}"
COLUMNS = "the names of trials columns, ('side',)"


@checked_keywords
def from_arrays(
    counts: Any,
    bin_ms: float | int,
    *,
    seen: Any = None,
    neurons: Any = None,
    table: Any = None,
    heldout: str | Any = "heldout",
    split: str | Any = "split",
    condition: str | Sequence[str] = (),
    seed: SupportsIndex = 0,
    **fields: Any,
) -> Trials:
    """Trials from counts already in bins.

    Args:
        counts: spikes per bin, [trial, time, neuron], or a list of [time, neuron], one a trial, which are padded at the
            back, unseen. Floats are taken if they are whole; where `seen` is False they may be NaN.
        bin_ms: bin width in ms.
        seen: booleans in the form of counts. Default: all was recorded; what is masked in either is unseen.
        neurons: columns by name (a dict, a DataFrame or a structured array), one value a neuron. Default: "id", counted
            from 0.
        table: columns of the trials likewise, one value a trial.
        heldout: the column of `neurons` of held-out neurons, or a boolean for each neuron; "none": no neuron
            is. Where there is no column "heldout", a quarter of the neurons (by "area") is drawn with `seed`.
        split: the column of `table` of splits, or a name for each trial; "none": all trials are "train".
            Where there is no column "split", a fifth of the trials (by condition) is drawn as "val" with `seed`.
        condition: columns of `table` whose joint value is a trial's condition.
        seed: of what is drawn.
        **fields: other fields of `Trials`; time_ms counts from 0 by default, behavior and inputs may be lists like
            counts.

    Raises:
        InputError: shapes disagree, a column is missing, or counts are negative, fractional, NaN, infinite or all zero.
    """
    seed, bin_ms = seed_number(seed, "from_arrays"), real_number(bin_ms, "from_arrays", "bin_ms", above=0)
    array, recorded = padded(counts, "counts")
    n_trials, n_bins, n_neurons = three_axes(array)
    mask = np.broadcast_to(recorded[:, :, None], array.shape) if seen is None else padded(seen, "seen", False)[0]
    neurons, heldout = with_values(columns_of(neurons, "neurons"), "heldout", heldout, n_neurons, "neurons")
    table, split = with_values(columns_of(table, "table"), "split", split, n_trials, "trials")
    columns = as_table({"id": np.arange(n_neurons), **neurons}, n_neurons, "neurons", ("id",))
    rows = as_table({"id": np.arange(n_trials), **table}, n_trials, "table", ("id",))
    condition = (condition,) if isinstance(condition, str) else tuple(entries(condition, "condition", COLUMNS))
    columns["heldout"], seeds = heldout_of(columns, heldout, seed)
    rows["split"], split_seeds = split_of(rows, split, condition, seed)
    fields = {
        "time_ms": np.arange(n_bins) * float(bin_ms),
        "source": {"seeds": seeds | split_seeds, "notes": []},
    } | fields
    if fields.get("behavior") is not None:
        fields["behavior"] = padded(fields["behavior"], "behavior", np.nan)[0]
    inputs = instance_of(fields.get("inputs"), Mapping | None, "from_arrays", "inputs", INPUTS)
    fields["inputs"] = {name: padded(values, f"inputs[{name!r}]")[0] for name, values in (inputs or {}).items()}
    trials = Trials(array, mask, bin_ms, columns, rows, condition=condition, **fields)
    if not trials.counts.any(where=trials.seen):
        raise InputError("counts: all units are silent; hand over counts with spikes in them.")
    return with_notes(trials)


def with_notes(trials: Trials) -> Trials:
    """The trials, with a note where they have more spikes a second than neurons fire, or behavior no sensor gives."""
    notes = [] if trials.behavior is None else far_out(trials.behavior, trials.behavior_name)
    enough = (trials.counts.sum(axis=(0, 1)) >= NO_CHANCE) & (np.ptp(trials.counts, axis=(0, 1)) > 0)
    columns = [trials.counts[..., unit].tobytes() if some else b"" for unit, some in enumerate(enough)]
    notes.extend(alike(columns, trials.neurons["id"].tolist(), "counts: neurons", "counts in every bin"))
    hz = 1000 / trials.bin_ms * float(trials.counts.mean(where=trials.seen))
    if hz > FASTEST_HZ:
        notes.append(f"counts: neurons fire at {hz:.0f} Hz on average; are bins {trials.bin_ms:g} ms wide, and not s?")
    if not notes:
        return trials
    return trials.replace(source=trials.source | {"notes": [*trials.source.get("notes", []), *notes]})


def with_values(
    columns: Mapping[str, Any] | None, option: str, value: Any, number: int, what: str
) -> tuple[dict[str, Any], str]:
    """Columns with the values that were given in place of a column's name.

    Returns:
        The columns, the given values among them, and the column's name.

    Raises:
        InputError: what is given is neither a name nor a value for each.
    """
    if isinstance(value, str):
        return dict(columns or {}), value
    array = as_given(value, option)
    if array.shape != (number,) or array.dtype.kind not in KINDS[option]:
        kind = "boolean" if option == "heldout" else "name such as 'train'"
        raise InputError(
            f"{option}: expected the name of a column, or a {kind} for each of the {number} {what}, got "
            f"{type(value).__name__} of shape {array.shape}."
        )
    return {**(columns or {}), option: value}, option


def padded(values: Any, field: str, fill: Any = 0) -> tuple[np.ndarray, np.ndarray]:
    """One array of a list of trials that differ in length, and which of its bins [trial, time] are no padding.

    Raises:
        InputError: it is no array or list of arrays, or the trials differ in more than their length.
    """
    if getattr(values, "ndim", 0):
        if {"trial", "time"} <= set(getattr(values, "dims", ())):  # names of axes are believed, not their order
            values = values.transpose("trial", "time", ...)
        array = as_given(values, field)  # a mask stays
        return array, np.ones(array.shape[:2], dtype=bool)
    given = entries(values, field, "an array with the axes trial and time first, or a list of arrays, one a trial")
    trials = [as_given(trial, f"{field}: trial {number}") for number, trial in enumerate(given)]
    if odd := [trial.dtype for trial in trials if trial.dtype.kind not in "buif"]:
        raise InputError(f"{field}: expected numbers, got {odd[0]}.")
    if len({trial.shape[1:] for trial in trials}) != 1 or trials[0].ndim == 0:
        raise InputError(f"{field}: the trials of a list must be arrays that differ in their first axis, time, alone.")
    lengths = np.array([len(trial) for trial in trials])
    recorded = np.arange(lengths.max()) < lengths[:, None]
    array = np.full((*recorded.shape, *trials[0].shape[1:]), fill, dtype=np.result_type(*trials, type(fill)))
    if any(isinstance(trial, np.ma.MaskedArray) for trial in trials):
        array = np.ma.asarray(array)
        array[recorded] = np.ma.concatenate(trials)
    else:
        array[recorded] = np.concatenate(trials)
    return array, recorded


def in_seconds(times: Any, field: str) -> Float[np.ndarray, " time"]:
    """Times in s, one of which may stand alone; masked and missing ones stay in their places as NaN."""
    return seconds(times if np.ndim(times) else np.atleast_1d(times), field, aligned=True)


@checked_keywords
def from_spike_times(
    spike_times: Sequence[Any],
    start_time: Any,
    stop_time: Any,
    *,
    bin_ms: float | int,
    obs_intervals: Sequence[Any] | None = None,
    neurons: Any = None,
    table: Any = None,
    behavior: tuple[Any, Any] | None = None,
    behavior_name: str = "behavior",
    behavior_channels: Sequence[str] = (),
    **options: Any,
) -> Trials:
    """Trials from spike times, binned as `nlbprob.load` does it.

    Args:
        spike_times: of each unit, in s on one clock.
        start_time: of each trial, in s on the same clock.
        stop_time: of each trial, in s on the same clock.
        bin_ms: bin width in ms.
        obs_intervals: of each unit, [interval, (start, stop)] in s. Default: recorded throughout.
        neurons: columns by name (a dict, a DataFrame or a structured array), one value a unit. Default: "id", counted
            from 0.
        table: columns of the trials likewise, one value a trial.
        behavior: times (s) [sample] and values [sample, channel] of a signal.
        behavior_name: name of the signal.
        behavior_channels: names of its channels.
        **options: align, window_ms, forward_ms, lag_ms, condition, heldout, split, units, join, seed, as in
            `nlbprob.load`; heldout and split may be values, as in `from_arrays`.

    Raises:
        InputError: an option, a shape or a time is wrong, or no unit, trial or spike is left.
    """
    if wrong := sorted(options.keys() & {"intervals", "chunk_ms"}):
        raise InputError(f"{wrong[0]}: is for files; give start_time and stop_time of each trial instead.")
    check_spike_times(spike_times, start_time, stop_time, obs_intervals, behavior, behavior_channels)
    number, trials = len(spike_times), in_seconds(start_time, "start_time")
    neurons, options["heldout"] = with_values(
        columns_of(neurons, "neurons"), "heldout", options.get("heldout", "heldout"), number, "neurons"
    )
    table, options["split"] = with_values(
        columns_of(table, "table"), "split", options.get("split", "split"), len(trials), "trials"
    )
    columns = as_table({"id": np.arange(number), **neurons}, number, "neurons", ("id",))
    trial_columns = {
        "id": np.arange(len(trials)),
        **table,
        "start_time": trials,
        "stop_time": in_seconds(stop_time, "stop_time"),
    }
    rows = as_table(trial_columns, len(trials), "table", ("id",))
    series = None
    if behavior is not None:
        times, values = behavior
        times = in_seconds(times, "behavior: times")
        values = as_numbers(unmasked(values))
        series = Series.from_samples(behavior_name, times, values, channels=tuple(behavior_channels))
        options["behavior"] = behavior_name
    resolved = resolve(bin_ms=bin_ms, **options)
    return assemble(units_of(columns, spike_times, obs_intervals), rows, series, resolved, None)


def units_of(columns: dict[str, np.ndarray], spike_times: Sequence[Any], obs_intervals: Sequence[Any] | None) -> Units:
    """Units from their times, which may have units. Raises InputError where the intervals are not one entry a unit."""
    names = [f"unit {name}" for name in columns["id"]]
    spikes = [seconds(times, f"spike_times of {name}") for name, times in zip(names, spike_times, strict=True)]
    given = [None] * len(names) if obs_intervals is None else obs_intervals
    if len(given) != len(names):
        raise InputError(f"obs_intervals: {len(given)} entries for {len(names)} units; give one for each.")
    observed = [
        None if intervals is None else magnitude(intervals, f"obs_intervals of {name}", time=True)
        for name, intervals in zip(names, given, strict=True)
    ]
    return Units.from_lists(columns, spikes, observed)
