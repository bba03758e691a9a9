"""Which trials are used, and where their bins lie: from a table and the options to `Windows`."""

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from nlbprob.data.overlap import keep_apart
from nlbprob.data.pieces import join as join_pieces
from nlbprob.data.plausible import (
    Table,
    check_clock,
    check_events,
    check_lengths,
    check_order,
    check_reach,
    check_spikes,
    ids,
)
from nlbprob.data.units import Units
from nlbprob.data.windows import CLOCK_MS, Windows, fixed_windows, whole_bins, whole_trials
from nlbprob.errors import InputError, suggestion


def column(table: Table, name: str, option: str, what: str) -> np.ndarray:
    """The column that an option names. Raises InputError where there is none."""
    if name not in table:
        raise InputError(f"{option}: {what} have no column {name!r}. {suggestion(name, table)}")
    return table[name]


def lay_out(
    table: Table, options: dict[str, Any], units: Units, drawn: bool, notes: list[str]
) -> tuple[Table, Windows, Bool[np.ndarray, "trial time"]]:
    """The trials that have at least one whole bin, their windows, and the bins that are their own (not padding).

    Args:
        table: with "split".
        options: as `nlbprob.data.options.resolve` returns them.
        units: the whole recording, which the trials must lie in.
        drawn: whether the split was drawn, and may be changed where trials share their time.
        notes: what is left out, or cannot be meant, is added.

    Raises:
        InputError: where a column is missing, a bin does not divide a window, no trial is left, or times cannot be
            meant (see `nlbprob.data.plausible` and `nlbprob.data.overlap`).
    """
    table, align_s = timed(table, options, notes)
    if options["window_ms"] is None:
        windows = whole_trials(align_s, table["stop_time"].astype(np.float64), options["bin_ms"])
    else:
        windows = fixed_windows(align_s, options["window_ms"], options["bin_ms"], options["forward_ms"])
    table, windows = filled(table, windows, options["align"], notes)
    check_lengths(table, windows, len(units), notes)
    check_clock(units, windows, notes)
    check_reach(table, units, windows, notes)
    check_spikes(units, windows, notes)
    if options["join"]:
        return joined(keep_apart(table, windows, drawn, notes), options, notes)
    if options["window_ms"] is None:
        note_tails(table, windows, notes)
        windows = with_forward(windows, options)
    table = keep_apart(table, windows, drawn, notes)
    return table, windows, np.arange(windows.n_bins) < windows.bins[:, None]


def filled(table: Table, windows: Windows, align: str, notes: list[str]) -> tuple[Table, Windows]:
    """The trials that have a whole bin. Raises InputError where none has."""
    some = windows.bins > 0
    if not some.any():
        raise InputError(
            f"bin_ms: no trial lasts a whole bin of {windows.bin_ms:g} ms from {align!r} to its stop_time; both are in "
            "s. Choose a smaller bin, or another align event."
        )
    if not some.all():
        notes.append(f"{(~some).sum()} trials left out, shorter than a bin: {ids(table, ~some)}")
    return rows(table, some), windows.select(some)


def rows(table: Table, chosen: np.ndarray) -> Table:
    """The rows of a table that a mask or an index array names."""
    return {name: values[chosen] for name, values in table.items()}


def timed(table: Table, options: dict[str, Any], notes: list[str]) -> tuple[Table, Float[np.ndarray, " trial"]]:
    """The trials whose align event has a time, and that time in s. Raises InputError where none has."""
    name = options["align"]
    align_s = column(table, name, "align", "the trials")
    if align_s.dtype.kind not in "uif":
        raise InputError(f"align: the column {name!r} does not hold times in s; name another.")
    finite = np.isfinite(align_s)
    if options["window_ms"] is None:
        finite &= np.isfinite(table["stop_time"])
    if not finite.any():
        raise InputError(f"align: no trial has a time in {name!r}; align to another column.")
    if not finite.all():
        notes.append(f"{(~finite).sum()} trials left out, without a time of {name}: {ids(table, ~finite)}")
    table, align_s = rows(table, finite), align_s[finite].astype(np.float64)
    check_order(table, notes)
    check_events(table, name, align_s, notes)
    return table, align_s


def joined(
    table: Table, options: dict[str, Any], notes: list[str]
) -> tuple[Table, Windows, Bool[np.ndarray, "trial time"]]:
    """The trials made of pieces that follow without a gap; see `nlbprob.data.pieces.join`."""
    if options["window_ms"] is not None or options["forward_ms"] or options["align"] != "start_time":
        raise InputError("join: whole pieces are joined; leave out align, window_ms and forward_ms.")
    number = len(table["id"])
    table, windows, pieces_inside = join_pieces(table, options["bin_ms"])
    for name in options["condition"]:
        column(table, name, "condition", "the joined trials, whose pieces differ in it,")
    notes.append(f"{number} pieces joined into {len(table['id'])} trials, the bins of other splits unseen")
    note_tails(table, windows, notes)
    return table, windows, pieces_inside


def with_forward(windows: Windows, options: dict[str, Any]) -> Windows:
    """Whole trials followed by forward_ms. Raises InputError where trials differ in length."""
    forward = whole_bins(options["forward_ms"], windows.bin_ms, "forward_ms")
    if forward and len(set(windows.bins.tolist())) > 1:
        raise InputError("forward_ms: trials differ in length, so no forward window follows them all; give window_ms.")
    return dataclasses.replace(windows, bins=windows.bins + forward, forward_bins=forward)


def note_tails(table: Table, windows: Windows, notes: list[str]) -> None:
    """Note the ends of trials that are shorter than a bin, and so unseen."""
    tail_ms = 1000 * (table["stop_time"] - windows.stop)
    cut = (tail_ms > CLOCK_MS + 2000 * windows.error_s) & (windows.bins > 0)
    if cut.any():
        notes.append(
            f"{cut.sum()} trials end in less than a bin of {windows.bin_ms:g} ms (up to {tail_ms[cut].max():.3g} ms), "
            "which is unseen"
        )
