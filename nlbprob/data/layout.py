"""Which trials are used, and where their bins lie: from a table and the options to `Windows`."""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from nlbprob.data import pieces
from nlbprob.data.windows import CLOCK_MS, Windows, fixed_windows, whole_bins, whole_trials
from nlbprob.errors import InputError, suggestion

Table = dict[str, np.ndarray]


def column(table: Table, name: str, option: str, what: str) -> np.ndarray:
    """The column that an option names. Raises InputError where there is none."""
    if name not in table:
        raise InputError(f"{option}: {what} have no column {name!r}. {suggestion(name, table)}")
    return table[name]


def ids(table: Table, mask: np.ndarray, most: int | None = 20) -> str:
    """The ids of the rows where mask is True, at most so many of them, for a note."""
    chosen = table["id"][mask]
    shown = chosen[:most]
    return ", ".join(map(str, shown)) + ", ..." * (len(shown) < len(chosen))


def lay_out(
    table: Table, options: dict[str, Any], notes: list[str]
) -> tuple[Table, Windows, Bool[np.ndarray, "trial time"]]:
    """The trials that have at least one whole bin, their windows, and the bins that are their own (not padding).

    table: with "split". options: as `nlbprob.data.options.resolve` returns them. notes: what is left out is added.
    Raises InputError where a column is missing, a bin does not divide a window, or no trial is left.
    """
    table, align_s = timed(table, options, notes)
    own = None
    if options["join"]:
        table, windows, own = joined(table, options, notes)
    elif options["window_ms"] is None:
        windows = whole_trials(align_s, table["stop_time"], options["bin_ms"])
    else:
        windows = fixed_windows(align_s, options["window_ms"], options["bin_ms"], options["forward_ms"])
        note_overlap(table, windows, notes)
    if options["window_ms"] is None:
        note_tails(table, windows, notes)
        windows = with_forward(windows, options)
    if own is None:
        own = np.arange(windows.n_bins) < windows.bins[:, None]
    filled = windows.bins > 0
    if not filled.any():
        raise InputError(
            f"bin_ms: no trial lasts a whole bin of {windows.bin_ms:g} ms from {options['align']!r} to its stop_time; "
            "both are in s. Choose a smaller bin, or another align event."
        )
    if not filled.all():
        notes.append(f"{(~filled).sum()} trials left out, shorter than a bin: {ids(table, ~filled)}")
    return rows(table, filled), windows.select(filled), own[filled]


def rows(table: Table, chosen: np.ndarray) -> Table:
    """The rows of a table that a mask or an index array names."""
    return {name: values[chosen] for name, values in table.items()}


def timed(table: Table, options: dict[str, Any], notes: list[str]) -> tuple[Table, Float[np.ndarray, " trial"]]:
    """The trials whose align event has a time, and that time in s. Raises InputError where none has."""
    name = options["align"]
    align_s = column(table, name, "align", "the trials")
    if align_s.dtype.kind not in "uif":
        raise InputError(f"align: the column {name!r} does not hold times in s; name another.")
    known = np.isfinite(align_s)
    if options["window_ms"] is None:
        known &= np.isfinite(table["stop_time"])
    if not known.any():
        raise InputError(f"align: no trial has a time in {name!r}; align to another column.")
    if not known.all():
        notes.append(f"{(~known).sum()} trials left out, without a time of {name}: {ids(table, ~known)}")
    return rows(table, known), align_s[known].astype(np.float64)


def joined(
    table: Table, options: dict[str, Any], notes: list[str]
) -> tuple[Table, Windows, Bool[np.ndarray, "trial time"]]:
    """The trials made of pieces that follow without a gap; see `nlbprob.data.pieces.join`."""
    if options["window_ms"] is not None or options["forward_ms"] or options["align"] != "start_time":
        raise InputError("join: whole pieces are joined; leave out align, window_ms and forward_ms.")
    number = len(table["id"])
    table, windows, own = pieces.join(table, options["bin_ms"])
    for name in options["condition"]:
        column(table, name, "condition", "the joined trials, whose pieces differ in it,")
    notes.append(f"{number} pieces joined into {len(table['id'])} trials, the bins of other splits unseen")
    return table, windows, own


def with_forward(windows: Windows, options: dict[str, Any]) -> Windows:
    """Whole trials followed by forward_ms. Raises InputError where trials differ in length."""
    forward = whole_bins(options["forward_ms"], windows.bin_ms, "forward_ms")
    if forward and len(set(windows.bins.tolist())) > 1:
        raise InputError("forward_ms: trials differ in length, so no forward window follows them all; give window_ms.")
    return Windows(windows.start, windows.bins + forward, windows.bin_ms, windows.first_ms, forward)


def note_tails(table: Table, windows: Windows, notes: list[str]) -> None:
    """Note the ends of trials that are shorter than a bin, and so unseen."""
    tail_ms = 1000 * (table["stop_time"] - windows.stop)
    cut = (tail_ms > CLOCK_MS) & (windows.bins > 0)
    if cut.any():
        notes.append(
            f"{cut.sum()} trials end in less than a bin of {windows.bin_ms:g} ms (up to {tail_ms[cut].max():.3g} ms), "
            "which is unseen"
        )


def note_overlap(table: Table, windows: Windows, notes: list[str]) -> None:
    """Note scored windows that reach into one of another split, so that a score may be of bins that were learned."""
    order = np.argsort(windows.start)
    stop = (windows.stop - windows.forward_bins * windows.bin_ms / 1000)[order]
    split = table["split"][order]
    number = int(np.sum((windows.start[order][1:] < stop[:-1] - CLOCK_MS / 1000) & (split[1:] != split[:-1])))
    if number:
        notes.append(f"{number} windows overlap the next one, which is of another split; choose a shorter window_ms")
