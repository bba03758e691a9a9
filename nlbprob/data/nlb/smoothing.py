"""Means over trials of spikes that are smoothed at 1 ms and then summed in bins, without smoothing the whole recording.

Both steps are linear, so the spikes of all trials that lie alike are added up first, and their sum is smoothed.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from nlbprob.data.nlb.resampled import Resampled, locate
from nlbprob.data.nlb.spans import Spans


@dataclasses.dataclass(frozen=True, eq=False)
class Average:
    """The trials of one condition, and the bins over which they are averaged: first, ..., first + bins - 1.

    first: relative to the bin of the align event.
    """

    spans: Spans
    first: int
    bins: int


@dataclasses.dataclass(frozen=True, eq=False)
class Group:
    """Trials of one condition whose recorded time lies alike in their bins.

    at: the bin of the average at which they begin. counted: the milliseconds whose smoothed spikes count.
    """

    condition: int
    at: int
    counted: Bool[np.ndarray, " millisecond"]


@dataclasses.dataclass(frozen=True, eq=False)
class Pieces:
    """Uninterrupted stretches of recorded time around the bins of the trials.

    begin, length: the milliseconds of each piece whose spikes count; origin: where the first bin of its trial begins.
    group: which of the `groups` it belongs to.
    number: trials that were recorded in each bin of each condition.
    """

    begin: Int[np.ndarray, " piece"]
    length: Int[np.ndarray, " piece"]
    origin: Int[np.ndarray, " piece"]
    group: Int[np.ndarray, " piece"]
    groups: list[Group]
    number: Int[np.ndarray, "condition bin"]


def gaussian(sd_ms: int) -> Float[np.ndarray, " sample"]:
    """w[j] proportional to exp(-(j - 3 s + 1/2)^2 / 2 s^2), j < 6 s, summing to 1; s = sd_ms."""
    place = np.arange(6 * sd_ms) - (6 * sd_ms - 1) / 2
    window = np.exp(-(place**2) / (2 * sd_ms**2))
    return window / window.sum()


def cut(resampled: Resampled, averages: Sequence[Average], heldout: bool, reach: tuple[int, int]) -> Pieces:
    """The pieces of all trials. reach: how many ms before and after a bin its smoothed spikes come from."""
    q, recorded = resampled.bin_ms, resampled.session.recorded[int(heldout)]
    edges = np.flatnonzero(np.diff(recorded, prepend=False, append=False)).reshape(-1, 2)
    number = np.zeros((len(averages), max(average.bins for average in averages)), dtype=np.int64)
    groups: dict[tuple, tuple[int, Group]] = {}
    pieces = []
    for condition, average in enumerate(averages):
        zero = average.spans.align + average.first
        first = np.maximum(average.spans.first, zero)
        last = np.minimum(average.spans.first + average.spans.count, zero + average.bins)
        for origin, begin, end in zip(zero, first, last, strict=True):
            at, bins = int(begin - origin), int(end - begin)
            known = resampled.inside(resampled.recorded[int(heldout)], begin[None], bins, beyond=False)[0]
            number[condition, at : at + bins] += known
            low = np.searchsorted(edges[:, 1], begin * q, side="right")
            high = np.searchsorted(edges[:, 0], end * q)
            for start, stop in edges[low:high]:
                inside = int(max(start - begin * q, 0)), int(min(stop - begin * q, bins * q))
                key = condition, at, bins, inside, known.tobytes()
                if key not in groups:
                    counted = np.repeat(known, q)
                    counted[: inside[0]] = counted[inside[1] :] = False
                    groups[key] = len(groups), Group(condition, at, counted)
                from_ms, to_ms = max(start, begin * q - reach[0]), min(stop, end * q + reach[1])
                pieces.append((from_ms, to_ms - from_ms, begin * q, groups[key][0]))
    columns = np.array(pieces, dtype=np.int64).reshape(-1, 4).T
    return Pieces(*columns, [group for _, group in groups.values()], number)
