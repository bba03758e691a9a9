"""From units, a table of trials and a signal to `Trials`: the steps that files and spike times in memory share."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Shaped, UInt

from nlbprob.data.binning import bin_series, count_spikes, covered, observed
from nlbprob.data.checks import as_mask
from nlbprob.data.conditions import joint_values, label
from nlbprob.data.draws import draw_heldout, draw_split
from nlbprob.data.expressions import evaluate
from nlbprob.data.layout import column, lay_out, rows
from nlbprob.data.plausible import (
    Table,
    check_behavior,
    check_firing,
    check_invalid,
    check_signal,
    check_silence,
    ids,
    stretch,
)
from nlbprob.data.series import Series
from nlbprob.data.spike_trains import check_trains
from nlbprob.data.trials import Trials
from nlbprob.data.units import Units
from nlbprob.data.windows import Windows, without
from nlbprob.errors import InputError

NO_SPLIT = ("none", "nan", "")  # trials marked so are left out


def assemble(units: Units, table: Table, series: Series | None, options: dict[str, Any], file: str | None) -> Trials:
    """Bin the spikes of the units, and the signal, in the windows of the trials that the options ask for.

    Args:
        units: all units.
        table: "id", "start_time" and "stop_time" (s) and other columns, one value a trial.
        series: the signal, if there is one.
        options: as `nlbprob.data.options.resolve` returns them.
        file: recorded in `source`.

    Raises:
        InputError: a column is missing, nothing is selected, or no spike is left.
    """
    notes: list[str] = []
    check_firing(units, notes)
    if options["chunk_ms"] is not None:
        note_stray(units, notes)
    recording, units = units, chosen_units(units, options["units"])
    units = dataclasses.replace(units, columns=with_unique_ids(units.columns, "units", notes))
    check_trains(units, options["bin_ms"], notes)
    heldout, seeds = heldout_of(units.columns, options["heldout"], options["seed"])
    table = with_unique_ids(table, "trials", notes)
    split, split_seeds = split_of(table, options["split"], options["condition"], options["seed"])
    seeds |= split_seeds
    notes.extend(f"{name} drawn with seed {seed}, for want of a column" for name, seed in seeds.items())
    used = ~np.isin(split, NO_SPLIT)
    if not used.any():
        raise InputError(
            f"split: none of the {len(split)} trials is in one; see the trials column {options['split']!r}."
        )
    table = rows(table | {"split": split}, used)
    table, windows, inside_windows = lay_out(table, options, recording, "split" in split_seeds, notes)
    inside_windows = inside_windows & valid_bins(units, windows, inside_windows, notes)
    check_invalid(units, windows, notes)
    counts, seen = binned(units, windows, inside_windows, notes)
    check_silence(table, counts, seen, notes)
    some = seen.any(axis=(1, 2))
    if not some.all():
        where = "inside obs_intervals" + " and outside invalid_times" * bool(len(units.invalid))
        notes.append(f"{(~some).sum()} trials left out, without a bin {where}: {ids(table, ~some)}")
    trials = Trials(
        counts=counts,
        seen=seen,
        bin_ms=windows.bin_ms,
        neurons=units.columns | {"heldout": heldout},
        table=table,
        time_ms=windows.time_ms,
        forward_bins=windows.forward_bins,
        condition=tuple(options["condition"]),
        behavior=None if series is None else binned_series(series, windows, inside_windows, options["lag_ms"], notes),
        behavior_name=None if series is None else series.name,
        behavior_channels=() if series is None else series.channels,
        lag_ms=options["lag_ms"],
        source={"file": file, "options": options, "seeds": seeds, "notes": notes},
    )
    return trials if some.all() else trials.select(trials=some)


def chosen_units(units: Units, expression: str | None) -> Units:
    """The units for which the expression holds. Raises InputError where there is none, or none of them has a spike."""
    if expression is not None:
        mask = evaluate(expression, units.columns | {"rate": units.rates_hz()})
        if not mask.any():
            raise InputError(f"units: {expression!r} holds for none of the {len(units)} units; widen it.")
        units = units.select(mask)
    if not units.spike_count:
        raise InputError(f"units: all {len(units)} units are silent (no spike_times); nothing can be learned of them.")
    return units


def with_unique_ids(table: Table, what: str, notes: list[str]) -> Table:
    """The table, its rows numbered from 0 where the ids that it gives repeat."""
    number = len(table["id"])
    if len(np.unique(table["id"])) == number:
        return table
    notes.append(f"ids of {what} repeat: numbered from 0 instead")
    return table | {"id": np.arange(number)}


def heldout_of(columns: Table, name: str, seed: int) -> tuple[Bool[np.ndarray, " neuron"], dict[str, int]]:
    """Which neurons are held out: by the column, none for "none", or drawn; and the draw's seed."""
    number = len(columns["id"])
    if name == "none" and name not in columns:
        return np.zeros(number, dtype=bool), {}
    if name == "heldout" and name not in columns:
        return draw_heldout(columns.get("area"), number, seed), {"heldout": seed}
    heldout = as_mask(column(columns, name, "heldout", "the units"), f"heldout: units column {name!r}")
    if heldout.all():
        raise InputError(f"heldout: {name!r} holds out all {number} units; leave some to predict from.")
    return heldout, {}


def split_of(
    table: Table, name: str, condition: Sequence[str], seed: int
) -> tuple[Shaped[np.ndarray, " trial"], dict[str, int]]:
    """The split of each trial: by the column, "train" for "none", or drawn by condition; and the draw's seed."""
    conditions = [column(table, by, "condition", "the trials") for by in condition]
    number = len(table["id"])
    if name == "none" and name not in table:
        return np.full(number, "train"), {}
    if name == "split" and name not in table:
        return draw_split(joint_values(conditions, number)[0], seed), {"split": seed}
    return np.array([label(value) for value in column(table, name, "split", "the trials")], dtype=str), {}


def valid_bins(
    units: Units, windows: Windows, inside_windows: Bool[np.ndarray, "trial time"], notes: list[str]
) -> Bool[np.ndarray, "trial time"]:
    """The bins that no invalid time touches, with a note of how many are touched. Raises InputError where all are."""
    if not len(units.invalid):
        return inside_windows
    valid = covered(without(np.array([[-np.inf, np.inf]]), units.invalid), windows)
    lost = inside_windows & ~valid
    if lost.sum() == inside_windows.sum():
        raise InputError("invalid_times: every bin of the trials lies in one; select other trials, or mend that table.")
    if lost.any():
        notes.append(
            f"{lost.sum()} of {inside_windows.sum()} bins, in {lost.any(axis=1).sum()} trials, "
            "lie in invalid_times: unseen"
        )
    return valid


def binned(
    units: Units, windows: Windows, inside_windows: Bool[np.ndarray, "trial time"], notes: list[str]
) -> tuple[UInt[np.ndarray, "trial time neuron"], Bool[np.ndarray, "trial time neuron"]]:
    """Counts and seen. Units without a spike are noted. Raises InputError where no bin is seen, or no spike is."""
    seen = observed(units.observed, windows)
    seen &= inside_windows[:, :, None]
    span = stretch(windows.start.min(), windows.stop.max())
    if not seen.any():
        raise InputError(f"obs_intervals: no bin of a trial ({span}) lies inside one; are both in s, on one clock?")
    counts = count_spikes(units.spike_times, windows)
    counts *= seen
    silent = ~counts.any(axis=(0, 1))
    if silent.all():
        first, last = units.extent
        raise InputError(
            f"spike_times: every spike lies outside the windows of the trials ({span}), the recording reaches from "
            f"{stretch(first, last)}; are both in s, on one clock?"
        )
    if silent.any():
        notes.append(f"{silent.sum()} units without a spike: {ids(units.columns, silent, most=None)}")
    if any(intervals is None for intervals in units.observed):
        notes.append("no obs_intervals for some units: all their bins count as recorded")
    return counts, seen


def binned_series(
    series: Series,
    windows: Windows,
    inside_windows: Bool[np.ndarray, "trial time"],
    lag_ms: float | int,
    notes: list[str],
) -> Float[np.ndarray, "trial time channel"]:
    """The signal in the trials' own bins. Raises InputError where it has no value in any."""
    check_signal(series, windows)
    values = bin_series(series, windows, lag_ms)
    values[~inside_windows] = np.nan
    if np.isnan(values).all():
        raise InputError(f"behavior: {series.name!r} has no value inside a trial; check its times (s) and lag_ms.")
    notes.extend(series.notes)
    check_behavior(series, values, inside_windows, notes)
    return values


def note_stray(units: Units, notes: list[str]) -> None:
    """Note spikes outside the recording as it was cut into pieces."""
    stray = units.stray()
    if stray:
        first, last = units.extent
        times = np.concatenate(list(stray.values()))
        named = ", ".join(str(units.columns["id"][unit]) for unit in list(stray)[:20])
        notes.append(
            f"{len(times)} stray spikes at {times.min():g} to {times.max():g} s (units {named}) lie far outside the "
            f"others, and the pieces reach from {stretch(first, last)} without them"
        )
