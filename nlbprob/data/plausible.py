"""Times that cannot be meant: other units, other clocks, columns that were swapped.

Each check adds a note with numbers, or raises InputError where nothing sensible can follow.
"""

import numpy as np
from jaxtyping import Bool, Float, UInt

from nlbprob.data.clock import singles, step_s
from nlbprob.data.outliers import far_out
from nlbprob.data.series import Series
from nlbprob.data.units import Units
from nlbprob.data.windows import Windows, touching_s
from nlbprob.errors import InputError

Table = dict[str, np.ndarray]

#: Fractions from which on nearly all trials lie outside the recording, or events outside their trials; and below which
#: hardly any spike lies between the first trial and the last.
NEARLY_ALL, FEW, HARDLY_ANY = 0.95, 0.1, 0.005
#: With fewer spikes the length of a recording is not estimated.
FEW_SPIKES = 100
#: So many spikes missing from a stretch in which units usually fire are no chance.
NO_CHANCE = 20
#: Mean rates (Hz) that no recording has, and the time (s) that one in twenty pauses between spikes always undercuts.
SLOWEST_HZ, FASTEST_HZ, LONG_PAUSE_S = 0.1, 1000.0, 1.0
#: A recording so many times as long as its trials, or a trial as the median one, is out of proportion.
FAR_LONGER, LONGER = 100, 20
#: Entries (trial, bin, unit) above which padding to one trial that is far too long would exhaust the memory.
MOST_ENTRIES = 4e9
#: Entries that no machine holds, whatever the trials' lengths.
IMPOSSIBLE_ENTRIES = 1e12
#: A signal without a value in such a fraction of the bins is worth a note, and one whose steps differ by such a factor.
OFTEN_MISSING, UNEVEN = 0.1, 2.0


def ids(table: Table, mask: np.ndarray, most: int | None = 20) -> str:
    """The ids of the rows where mask is True, at most so many of them, for a note."""
    chosen = table["id"][mask]
    shown = chosen[:most]
    return ", ".join(map(str, shown)) + ", ..." * (len(shown) < len(chosen))


def moment(time_s: float) -> str:
    """A time (s) in few digits, but to the second however far away the clock started."""
    return f"{time_s:g}" if abs(time_s) < 1e5 else f"{time_s:.0f}" if abs(time_s) < 1e12 else f"{time_s:.6g}"


def stretch(first: float, last: float) -> str:
    """Two times (s) in words."""
    return f"{moment(first)} to {moment(last)} s"


def check_order(table: Table, notes: list[str]) -> None:
    """Trials that stop before they start. Raises InputError where all do."""
    backwards = table["stop_time"] < table["start_time"]
    if not backwards.any():
        return
    if backwards.all():
        raise InputError(
            f"stop_time: lies before start_time in all {len(backwards)} trials; are the two columns exchanged?"
        )
    notes.append(f"{backwards.sum()} trials stop before they start: {ids(table, backwards)}")


def check_events(table: Table, name: str, align_s: Float[np.ndarray, " trial"], notes: list[str]) -> None:
    """Align events outside their own trial.

    Raises:
        InputError: nearly all are and they do not advance with the trials either: times since the start of each trial,
            or in other units.
    """
    start, stop = (np.asarray(table[column], dtype=np.float64) for column in ("start_time", "stop_time"))
    slack = touching_s(align_s)
    outside = (align_s < start - slack) | (align_s > stop + slack)
    if name in ("start_time", "stop_time") or not outside.any():
        return
    message = (
        f"align: {name!r} lies outside its trial (start_time to stop_time) in {outside.sum()} of {len(outside)} trials"
    )
    finite = np.isfinite(start)
    apart = start[finite] - start[finite].mean() if finite.any() else start[finite]
    slope = (apart @ align_s[finite]) / max(apart @ apart, 1e-300)
    if finite.sum() > 2 and np.ptp(start[finite]) > 0 and outside.mean() >= NEARLY_ALL and not 0.5 <= slope <= 1.5:
        raise InputError(
            f"{message}, from {align_s.min():g} to {align_s.max():g} where these start from {start[finite].min():g} to "
            f"{start[finite].max():g} s; is it counted from the start of each trial, or not in s? Put it on the clock "
            "of the recording, or align to another column."
        )
    notes.append(f"{message}: {ids(table, outside)}")


def check_lengths(table: Table, windows: Windows, n_units: int, notes: list[str]) -> None:
    """A trial far longer than the others, to which all are padded. Raises InputError where memory would not do."""
    usual, longest = float(np.median(windows.bins)), windows.n_bins
    if usual * len(windows.bins) * n_units > IMPOSSIBLE_ENTRIES:
        raise InputError(
            f"bin_ms: {len(windows.bins)} trials of {usual:.3g} bins and {n_units} units are more than any memory "
            "holds; choose wider bins or shorter windows, both in ms."
        )
    if longest <= LONGER * max(usual, 1) or longest * len(windows.bins) <= LONGER / 2 * windows.bins.sum():
        return
    seconds = windows.bin_ms / 1000
    which = table["id"][windows.bins.argmax()]
    message = f"trial {which} lasts {longest * seconds:g} s, the median one {usual * seconds:g} s"
    if longest * len(windows.bins) * n_units > MOST_ENTRIES:
        raise InputError(f"stop_time: {message}, and all are padded to it; mend its times (s), or leave it out.")
    notes.append(f"{message}; all are padded to it, unseen")


def check_clock(units: Units, windows: Windows, notes: list[str]) -> None:
    """Times too coarse for the bins. Raises InputError where they do not distinguish neighbouring bins."""
    single = any(singles(*units.spike_times))
    last = float(np.abs(windows.stop).max())
    step_ms = 1000 * float(max(step_s(windows.stop, single).max(), step_s(windows.stop, windows.single).max()))
    stored = f"are stored as {32 if single or windows.single else 64}-bit numbers, with steps of {step_ms:.2g} ms"
    if step_ms > windows.bin_ms:
        raise InputError(
            f"times: {stored} at {last:g} s, and bins are {windows.bin_ms:g} ms wide; store them as 64-bit numbers "
            "of s, counted from the start of the recording."
        )
    if step_ms > windows.bin_ms / 50:
        notes.append(
            f"times {stored} at {last:g} s: a spike closer than that to a bin's edge may count in the next bin"
        )


def check_reach(table: Table, units: Units, windows: Windows, notes: list[str]) -> None:
    """Trials outside the recording.

    Raises:
        InputError: nearly all are, though some spike lies inside a trial. (Where no spike does, counting them says so.)
    """
    if units.spike_count < FEW_SPIKES:
        return
    first, last = units.extent
    length = windows.stop - windows.start
    inside = (np.minimum(windows.stop, last) - np.maximum(windows.start, first)) / length
    span = windows.start.min(), windows.stop.max()
    message = f"lie outside the recording, which reaches from {stretch(first, last)}"
    beyond = int((inside < FEW).sum())
    entries = windows.n_bins * len(length) * len(units)
    if 1 < beyond >= NEARLY_ALL * len(length) and (units.spikes_between(*span) or entries > MOST_ENTRIES):
        raise InputError(
            f"start_time: {beyond} of {len(length)} trials ({stretch(*span)}) {message}; are both in s, on one clock?"
        )
    outside = inside < 1 / 2
    hz = units.spike_count / max(last - first, 1e-9)
    expected = hz * max(span[1] - last, first - span[0])
    if outside.any() and expected >= NO_CHANCE and any(intervals is None for intervals in units.observed):
        notes.append(f"{outside.sum()} of {len(outside)} trials {message}, and count as silent: {ids(table, outside)}")


def check_spikes(units: Units, windows: Windows, notes: list[str]) -> None:
    """Spikes before the first trial or after the last, of all units or of some.

    Raises:
        InputError: nearly all are, while they are also too rare and the recording out of proportion.
    """
    first, last = units.extent
    start, stop = windows.start.min(), windows.stop.max()
    number = np.array([len(times) for times in units.spike_times])
    inside = np.array([np.diff(np.searchsorted(times, [start, stop]))[0] for times in units.spike_times])
    fraction = inside.sum() / number.sum()
    span = f"({stretch(start, stop)})"
    reach = f"the recording reaches from {stretch(first, last)}"
    if 0 < fraction < HARDLY_ANY:
        outside = f"spike_times: {1 - fraction:.1%} of the spikes"
        message = f"{outside} lie before the first trial or after the last {span}, {reach}"
        hz = number.sum() / (last - first) / units.firing
        if last - first >= FAR_LONGER * (stop - start) and hz < SLOWEST_HZ:
            raise InputError(f"{message}, in which units fire at {hz:.2g} Hz on average; are both in s, on one clock?")
        notes.append(message)
        return
    fractions = inside / np.maximum(number, 1)
    astray = (fractions < HARDLY_ANY) & (number >= NO_CHANCE)
    if fraction and astray.any() and np.median(fractions[number > 0]) > FEW:
        notes.append(
            f"spike_times: of {astray.sum()} units hardly any spike lies between the first trial and the last {span}, "
            f"unlike those of the others; are all in s, on one clock? {ids(units.columns, astray)}"
        )


def check_silence(
    table: Table,
    counts: UInt[np.ndarray, "trial time neuron"],
    seen: Bool[np.ndarray, "trial time neuron"],
    notes: list[str],
) -> None:
    """Trials with hardly a spike, where many are expected: nothing was recorded there, though it counts as silence.

    Expected are spikes at the rate of the trial in which the median spike lies.
    """
    spikes, entries = counts.sum((1, 2), dtype=np.int64), seen.sum((1, 2))
    some = np.flatnonzero(spikes)
    rate = spikes[some] / entries[some]
    order = np.argsort(rate)
    reached = np.cumsum(spikes[some][order])
    expected = rate[order][np.searchsorted(reached, reached[-1] / 2)] * entries
    silent = (expected >= NO_CHANCE) & (spikes <= (1 - NEARLY_ALL) * expected)
    if silent.any():
        notes.append(
            f"{silent.sum()} of {len(silent)} trials hold {spikes[silent].sum()} spikes, where about "
            f"{expected[silent].sum():.0f} are expected; they count as silent: say in obs_intervals or invalid_times "
            f"when nothing was recorded, or select other trials: {ids(table, silent)}"
        )


def check_invalid(units: Units, windows: Windows, notes: list[str]) -> None:
    """Invalid times all of which lie before the recording and its trials, or after them."""
    if not len(units.invalid):
        return
    first, last = units.extent
    first, last = min(first, windows.start.min()), max(last, windows.stop.max())
    if not np.any((units.invalid[:, 0] < last) & (units.invalid[:, 1] > first)):
        notes.append(
            f"invalid_times: none of its {len(units.invalid)} intervals "
            f"({stretch(units.invalid.min(), units.invalid.max())}) lies in the recording, which reaches from "
            f"{stretch(first, last)}; are both in s, on one clock?"
        )


def check_firing(units: Units, notes: list[str]) -> None:
    """Rates that no recording has: spike times in other units, as may be the trials' too."""
    if not units.spike_count:
        return
    first, last = units.extent
    hz = units.spike_count / max(last - first, 1e-9) / units.firing
    if hz > FASTEST_HZ:
        notes.append(f"spike_times: units fire at {hz:.0f} Hz on average; are their times in s?")
    if hz > SLOWEST_HZ:
        return
    pauses = np.concatenate([np.diff(times) for times in units.spike_times])
    if len(pauses) >= 10 * NO_CHANCE and (usual := np.quantile(pauses, 0.05)) > LONG_PAUSE_S:
        notes.append(
            f"spike_times: units fire at {hz:.2g} Hz on average, and 95% of the pauses between a unit's spikes are "
            f"longer than {usual:.2g} s; are their times in s?"
        )


def check_signal(series: Series, windows: Windows) -> None:
    """Raise InputError where a signal lasts out of all proportion and has hardly a sample where the trials are."""
    start, stop = windows.start.min(), windows.stop.max()
    inside = int(np.sum((series.times >= start) & (series.times <= stop)))
    if len(series.times) < 2 or np.ptp(series.times) < FAR_LONGER * (stop - start) or inside >= len(windows.start):
        return
    raise InputError(
        f"behavior: {series.name!r} reaches from {stretch(*series.times[[0, -1]])} and has {inside} samples in the "
        f"time of the {len(windows.start)} trials ({stretch(start, stop)}); are its times in s?"
    )


def check_behavior(
    series: Series,
    values: Float[np.ndarray, "trial time channel"],
    inside: Bool[np.ndarray, "trial time"],
    notes: list[str],
) -> None:
    """A signal without a value in many of the bins of the trials: where its samples are, and how far apart; values far
    from all others.
    """
    notes.extend(far_out(values, series.name))
    missing = np.isnan(values[inside])
    fraction = float(missing.mean(axis=0).max())
    low, high = np.quantile(np.diff(series.times), [0.05, 0.95]) if len(series.times) > 1 else (0.0, 0.0)
    steps = f"{1000 * low:.3g} ms" if high <= UNEVEN * low else f"{1000 * low:.3g} to {1000 * high:.3g} ms"
    if fraction < OFTEN_MISSING:
        if high > UNEVEN * low:
            notes.append(f"behavior: the samples of {series.name!r} are unevenly spaced, {steps} apart")
        return
    where = f"{series.name!r}" if missing.all(axis=1).mean() >= fraction / 2 else f"a channel of {series.name!r}"
    notes.append(
        f"behavior: {where} has no value in {fraction:.0%} of the bins of the trials; it has "
        f"{len(series.times)} samples from {stretch(*series.times[[0, -1]])}, {steps} apart, and is never "
        "carried over a gap"
    )
