"""Trials that are pieces of one recording: cutting one into pieces, and joining pieces that follow without a gap."""

import numpy as np
from jaxtyping import Bool

from nlbprob.data.binning import covered
from nlbprob.data.clock import step_s
from nlbprob.data.units import Units
from nlbprob.data.windows import Windows, merge, runs, whole_bins, whole_trials
from nlbprob.errors import InputError


def cut(units: Units, chunk_ms: float | int, bin_ms: float | int) -> dict[str, np.ndarray]:
    """A table of pieces of chunk_ms, one after the other, from the recording's first moment to its last.

    The recording reaches as far as any observation interval or spike does, stray spikes apart (`Units.extent`); the
    last piece may be shorter.

    Raises:
        InputError: bin_ms does not divide chunk_ms, or there is neither an interval nor a spike.
    """
    whole_bins(chunk_ms, bin_ms, "chunk_ms")
    first, last = units.extent
    if not first < last:
        raise InputError("units: no observation interval and no two spikes, so there is no recording to cut.")
    error_s = float(step_s(np.array([first, last])).sum())
    number = max(int(np.ceil((last - first - error_s) / (chunk_ms / 1000) - 1e-9)), 1)
    edges = first + np.arange(number + 1) * (chunk_ms / 1000)
    return {"id": np.arange(number), "start_time": edges[:-1], "stop_time": np.minimum(edges[1:], last)}


def join(
    table: dict[str, np.ndarray], bin_ms: float | int
) -> tuple[dict[str, np.ndarray], Windows, Bool[np.ndarray, "trial time"]]:
    """One trial for each run of pieces that follow without a gap, and each split in it.

    A piece follows another if it starts within half a bin of the other's end. Bins lie on the true clock from the
    start of the joined trial, so joining moves no spike. A run with pieces of several splits becomes one trial for
    each of these, from the first to the last piece of that split; the bins of other splits in it are not its own.

    Returns the table (the id of the first piece; "pieces", how many; every column that is constant within each joined
    trial), the windows, and the bins that lie in pieces of the trial's own split as a whole.
    """
    spans = np.column_stack([table["start_time"], table["stop_time"]])
    gap_s = bin_ms / 2000
    members = [
        run[table["split"][run] == split] for run in runs(spans, gap_s) for split in np.unique(table["split"][run])
    ]
    first = np.array([pieces[0] for pieces in members])
    last = np.array([pieces[-1] for pieces in members])
    joined = {
        name: column[first]
        for name, column in table.items()
        if name in ("id", "start_time") or all(len(set(column[pieces].tolist())) == 1 for pieces in members)
    }
    joined |= {"stop_time": table["stop_time"][last], "pieces": np.array([len(pieces) for pieces in members])}
    windows = whole_trials(spans[first, 0], spans[last, 1], bin_ms)
    inside = np.zeros((len(members), windows.n_bins), dtype=bool)
    for split in np.unique(joined["split"]):
        trials = joined["split"] == split
        inside[trials] = covered(merge(spans[table["split"] == split], gap_s), windows)[trials]
    return joined, windows, inside
