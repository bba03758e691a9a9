"""Means over trials of spikes that are smoothed at 1 ms and then summed in bins, without smoothing a whole recording.

Both steps are linear, so spikes of trials that lie alike are added up first, and only their sum is smoothed.
"""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from nlbprob.data.nlb.resampled import Resampled, locate
from nlbprob.data.nlb.spans import Spans


@dataclasses.dataclass(frozen=True, eq=False)
class Average:
    """The trials of one condition, and the bins over which they are averaged: first, ..., first + bins - 1.

    Attributes:
        first: relative to the bin of the align event.
    """

    spans: Spans
    first: int
    bins: int

    def within(self) -> Iterator[tuple[int, int, int]]:
        """Of each trial, where the average begins on the clock, and the first and last + 1 of its bins in there."""
        for align, first, count in zip(self.spans.align, self.spans.first, self.spans.count, strict=True):
            zero = int(align) + self.first
            begin = max(int(first), zero)
            yield zero, begin, max(min(int(first + count), zero + self.bins), begin)


@dataclasses.dataclass(frozen=True, eq=False)
class Gaussian:
    """w[j] proportional to exp(-(j - 3 s + 1/2)^2 / 2 s^2) for j < 6 s, summing to 1; s in ms.

    y[t] = sum_j w[j] x[t + 3 s - 1 - j]: as 6 s is even, y comes half a millisecond early.
    """

    sd_ms: int

    @property
    def before(self) -> int:
        """How many milliseconds before t spikes count for y[t]; after it one less."""
        return 3 * self.sd_ms

    def smooth(self, x: Float[np.ndarray, "row sample"]) -> Float[np.ndarray, "row millisecond"]:
        """y of each row, wherever all of w lies inside x."""
        from scipy.signal import fftconvolve

        place = np.arange(2 * self.before) - self.before + 0.5
        window = np.exp(-(place**2) / (2 * self.sd_ms**2))
        return fftconvolve(x, (window / window.sum())[None], mode="valid", axes=1)


@dataclasses.dataclass(frozen=True, eq=False)
class Pieces:
    """Stretches of time without a gap in the recording, around the bins of the trials.

    Attributes:
        begin: first millisecond of each piece whose spikes count.
        length: number of milliseconds whose spikes count.
        origin: where the bins of its trial begin.
        group: of each piece.
        condition: of each group.
        at: of each group, where its bins begin in the average of its condition.
        counted: the milliseconds of each group whose smoothed spikes count.
        number: how many trials were recorded in each bin of each condition.
    """

    bin_ms: int
    kernel: Gaussian
    begin: Int[np.ndarray, " piece"]
    length: Int[np.ndarray, " piece"]
    origin: Int[np.ndarray, " piece"]
    group: Int[np.ndarray, " piece"]
    condition: Int[np.ndarray, " group"]
    at: Int[np.ndarray, " group"]
    counted: Bool[np.ndarray, "group millisecond"]
    number: Int[np.ndarray, "condition bin"]

    def mean(self, spikes: Int[np.ndarray, " spike"]) -> Float[np.ndarray, "condition bin"]:
        """The average of one unit in each condition; NaN where no trial was recorded.

        Args:
            spikes: the millisecond of each, ascending.
        """
        groups, milliseconds = self.counted.shape
        width = milliseconds + 2 * self.kernel.before - 1
        piece, offset = locate(spikes, self.begin, self.length)
        place = offset + self.begin[piece] - self.origin[piece] + self.kernel.before
        x = np.bincount(self.group[piece] * width + place, minlength=groups * width).reshape(groups, width)
        smooth = self.kernel.smooth(x.astype(np.float64)) * self.counted
        bins = smooth.reshape(groups, -1, self.bin_ms).sum(axis=2)
        total = np.zeros((len(self.number), self.number.shape[1] + bins.shape[1]))
        np.add.at(total, (self.condition[:, None], self.at[:, None] + np.arange(bins.shape[1])), bins)
        total = np.maximum(total[:, : self.number.shape[1]], 0)  # no rate below zero by rounding
        return np.divide(total, self.number, out=np.full(total.shape, np.nan), where=self.number > 0)


def cut(resampled: Resampled, averages: Sequence[Average], heldout: bool, kernel: Gaussian) -> Pieces:
    """The pieces of all trials, for the recorded time of held-in or held-out units."""
    q, mask = resampled.bin_ms, int(heldout)
    edges = np.flatnonzero(np.diff(resampled.session.recorded[mask], prepend=False, append=False)).reshape(-1, 2)
    longest = max(average.bins for average in averages)
    number = np.zeros((len(averages), longest), dtype=np.int64)
    known_groups: dict[tuple, int] = {}
    groups, pieces = [], []
    for condition, average in enumerate(averages):
        for zero, first, last in average.within():
            at, bins, origin = first - zero, last - first, first * q
            recorded = resampled.recorded[mask, first:last]
            number[condition, at : at + bins] += recorded
            low = np.searchsorted(edges[:, 1], origin, side="right")
            for start, stop in edges[low : np.searchsorted(edges[:, 0], last * q)]:
                inside = max(int(start) - origin, 0), min(int(stop) - origin, bins * q)
                # Trials that agree in all of these can be added before they are smoothed.
                key = condition, at, bins, inside, recorded.tobytes()
                if key not in known_groups:
                    known_groups[key] = len(groups)
                    counted = np.zeros(longest * q, dtype=bool)
                    counted[: bins * q] = np.repeat(recorded, q)
                    counted[: inside[0]] = counted[inside[1] :] = False
                    groups.append((condition, at, counted))
                begin, end = max(start, origin - kernel.before), min(stop, last * q + kernel.before - 1)
                pieces.append((begin, end - begin, origin, known_groups[key]))
    begin, length, origin, group = np.array(pieces, dtype=np.int64).reshape(-1, 4).T
    condition, at, counted = zip(*groups, strict=True) if groups else ([], [], np.zeros((0, longest * q)))
    return Pieces(
        bin_ms=q,
        kernel=kernel,
        begin=begin,
        length=length,
        origin=origin,
        group=group,
        condition=np.array(condition, dtype=np.int64),
        at=np.array(at, dtype=np.int64),
        counted=np.array(counted, dtype=bool),
        number=number,
    )
