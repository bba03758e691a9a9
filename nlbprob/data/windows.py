"""Where each trial lies on the recording's clock, and how its bins divide it."""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float, Int

from nlbprob.data.clock import FINEST_S, is_single, singles, step_s
from nlbprob.errors import InputError

CLOCK_MS = 1e-6  # lengths in ms that differ by less are the same
LONGEST_BINS = 1e9  # no window holds more
MOST_BINS = 2**50  # more than any recording has, and few enough that sums over trials stay whole numbers
TOUCHING_S = 1e-6  # intervals closer than this, or than their clock tells apart, leave no gap between them


@dataclasses.dataclass(frozen=True, eq=False)
class Windows:
    """The bins of each trial: bin k of trial i is [start[i] + k bin, start[i] + (k + 1) bin).

    Attributes:
        start: left edge of the first bin, in s on the recording's clock.
        bins: number of bins of each trial, the forward window included; what follows up to the longest is padding.
        first_ms: time of that first edge relative to the align event.
        single: whether the times of the trials were stored as 32-bit floats, so that edges are known no better than
            these.
    """

    start: Float[np.ndarray, " trial"]
    bins: Int[np.ndarray, " trial"]
    bin_ms: float
    first_ms: float = 0.0
    forward_bins: int = 0
    single: bool = False

    @property
    def n_bins(self) -> int:
        return int(self.bins.max())

    @property
    def stop(self) -> Float[np.ndarray, " trial"]:
        """Right edge of each trial's last bin, in s."""
        return self.start + self.bins * (self.bin_ms / 1000)

    @property
    def scored_stop(self) -> Float[np.ndarray, " trial"]:
        """Right edge of each trial's last bin before the forward window, in s."""
        return self.stop - self.forward_bins * (self.bin_ms / 1000)

    @property
    def error_s(self) -> Float[np.ndarray, " trial"]:
        """How far (s) the edges of each trial may lie from where they were meant: the rounding of event and edge."""
        return step_s(self.start, self.single) / 2 + step_s(self.start) / 2

    @property
    def time_ms(self) -> Float[np.ndarray, " time"]:
        return self.first_ms + self.bin_ms * np.arange(self.n_bins)

    def select(self, trials: np.ndarray) -> "Windows":
        """The windows that a mask or an index array names."""
        return dataclasses.replace(self, start=self.start[trials], bins=self.bins[trials])

    def shifted(self, lag_ms: float | int) -> "Windows":
        """The same windows, lag_ms later."""
        return dataclasses.replace(self, start=self.start + lag_ms / 1000)

    def locate(
        self, times: Float[np.ndarray, " sample"], single: bool = False
    ) -> tuple[Int[np.ndarray, " found"], Int[np.ndarray, " found"], Int[np.ndarray, " found"]]:
        """Trial, bin and sample of every sample that falls into a window; one in two windows comes twice.

        A sample nearer to an edge than the rounding of both tells apart belongs to the bin that the edge opens.

        Args:
            times: in s, ascending.
            single: whether they were stored as 32-bit floats.
        """
        margin = TOUCHING_S + self.error_s + step_s(self.stop, single)
        low = np.searchsorted(times, self.start - margin)
        number = np.searchsorted(times, self.stop + margin) - low
        trial = np.repeat(np.arange(len(low)), number)
        sample = np.arange(len(trial)) + np.repeat(low - np.cumsum(number) + number, number)
        error_s = self.error_s[trial] + step_s(times[sample], single) / 2
        bins = bin_number(1000 * (times[sample] - self.start[trial]), self.bin_ms, 1000 * error_s)
        inside = (bins >= 0) & (bins < self.bins[trial])
        return trial[inside], bins[inside], sample[inside]


def bin_number(
    time_ms: Float[np.ndarray, "*shape"], bin_ms: float | int, error_ms: Float[np.ndarray, "*shape"] | float = 0.0
) -> Int[np.ndarray, "*shape"]:
    """floor(time / bin), where a time that may be on an edge, by its error, belongs to the bin that the edge opens."""
    # The quotient of two decimals can fall short of a whole number by its own rounding (0.3 / 0.1 < 3).
    number = np.floor((time_ms + error_ms + 1000 * FINEST_S) / bin_ms + 1e-9)
    return np.clip(number, -MOST_BINS, MOST_BINS).astype(np.int64)


def whole_bins(length_ms: float | int, bin_ms: float | int, field: str) -> int:
    """length / bin. Raises InputError unless it is a whole number."""
    if length_ms / bin_ms > LONGEST_BINS:
        raise InputError(
            f"{field}: {length_ms:g} ms hold more than {LONGEST_BINS:g} bins of {bin_ms:g} ms; is it in ms?"
        )
    bins = round(length_ms / bin_ms)
    if abs(bins * bin_ms - length_ms) > CLOCK_MS:
        raise InputError(
            f"{field}: {length_ms:g} ms is not a whole number of {bin_ms:g} ms bins; change {field} or bin_ms, for "
            f"example to {max(bins, 1) * bin_ms:g} ms."
        )
    return bins


def fixed_windows(
    align_s: Float[np.ndarray, " trial"], window_ms: Sequence[float | int], bin_ms: float | int, forward_ms: float | int
) -> Windows:
    """The window [a, b) in ms around each align event, followed by `forward_ms`.

    Raises:
        InputError: b <= a, or bin_ms does not divide b - a or forward_ms.
    """
    first, last = window_ms
    if last <= first:
        raise InputError(f"window_ms: [{first:g}, {last:g}) is empty; give start and end, in that order.")
    forward = whole_bins(forward_ms, bin_ms, "forward_ms")
    bins = whole_bins(last - first, bin_ms, "window_ms") + forward
    number = np.full(len(align_s), bins)
    return Windows(align_s + first / 1000, number, float(bin_ms), float(first), forward, is_single(align_s))


def whole_trials(
    align_s: Float[np.ndarray, " trial"], stop_s: Float[np.ndarray, " trial"], bin_ms: float | int
) -> Windows:
    """All whole bins from each align event to the end of its trial; 0 where there is none."""
    single, stop_single = singles(align_s, stop_s)
    error_s = (step_s(align_s, single) + step_s(stop_s, stop_single)) / 2
    bins = np.maximum(bin_number(1000 * (stop_s - align_s), bin_ms, 1000 * error_s), 0)
    return Windows(align_s, bins, float(bin_ms), single=single)


def touching_s(times: Float[np.ndarray, "*shape"], single: bool = False) -> Float[np.ndarray, "*shape"]:
    """How far apart two times (s) near these may lie and be the same."""
    return np.maximum(TOUCHING_S, step_s(times, single))


def merge(intervals: Float[np.ndarray, "interval 2"], gap_s: float | None = None) -> Float[np.ndarray, "merged 2"]:
    """Intervals in ascending order, those that overlap or follow within gap_s made one; by default those that touch."""
    ordered = intervals[np.argsort(intervals[:, 0], kind="stable")]
    reach = np.maximum.accumulate(ordered[:, 1])
    gap = touching_s(reach[:-1], any(singles(*intervals.T))) if gap_s is None else gap_s
    opens = np.r_[True, ordered[1:, 0] > reach[:-1] + gap][: len(ordered)]
    closes = np.r_[opens[1:], True][: len(ordered)]
    return np.column_stack([ordered[opens, 0], reach[closes]])


def without(
    intervals: Float[np.ndarray, "interval 2"], invalid: Float[np.ndarray, "invalid 2"]
) -> Float[np.ndarray, "rest 2"]:
    """What is left of intervals outside the invalid ones; both are ascending and apart."""
    if not len(invalid):
        return intervals
    gaps = np.column_stack([np.r_[-np.inf, invalid[:, 1]], np.r_[invalid[:, 0], np.inf]])
    left = np.maximum(intervals[:, None, 0], gaps[None, :, 0])
    right = np.minimum(intervals[:, None, 1], gaps[None, :, 1])
    return np.column_stack([left[left < right], right[left < right]])


def runs(intervals: Float[np.ndarray, "interval 2"], gap_s: float) -> Iterator[Int[np.ndarray, " member"]]:
    """Positions of the intervals of each run, in order of time: each starts within gap_s of the end of the last."""
    order = np.argsort(intervals[:, 0], kind="stable")
    ordered = intervals[order]
    breaks = np.flatnonzero(np.abs(ordered[1:, 0] - ordered[:-1, 1]) > gap_s) + 1
    yield from np.split(order, breaks)
