"""Which bins of the clock belong to each trial."""

import dataclasses

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from nlbprob.data.nlb.facts import Epoch
from nlbprob.data.nlb.session import Session

# Epochs are half-open: they end this long before the time at which the next would begin.
INSTANT = np.timedelta64(1, "us")


@dataclasses.dataclass(frozen=True, eq=False)
class Spans:
    """The bins first, first + 1, ..., first + count - 1 of each trial; bin k of the clock opens at k bin_ms.

    Attributes:
        row: of the trial in the session's table.
        align: the number of the first bin that opens at or after the align event.
    """

    row: Int[np.ndarray, " trial"]
    first: Int[np.ndarray, " trial"]
    count: Int[np.ndarray, " trial"]
    align: Int[np.ndarray, " trial"]

    def select(self, chosen: np.ndarray) -> "Spans":
        """The spans that a mask names."""
        return Spans(self.row[chosen], self.first[chosen], self.count[chosen], self.align[chosen])

    def on_clock(self, n_bins: int) -> "Spans":
        """The same spans, without bins before the clock begins or after it ends."""
        first = np.maximum(self.first, 0)
        count = np.maximum(np.minimum(self.first + self.count, n_bins) - first, 0)
        return dataclasses.replace(self, first=first, count=count)


def spans(
    session: Session,
    epoch: Epoch,
    mask: Bool[np.ndarray, " trial"],
    bin_ms: int,
    shift_ms: Float[np.ndarray, " trial"] | float | int = 0,
) -> Spans:
    """The bins of the trials in `mask`, in the order of the table, without those that lack a time of the epoch.

    Args:
        session: the recording.
        epoch: which bins of a trial are wanted.
        mask: the trials.
        bin_ms: bin width in ms.
        shift_ms: of the align event, one number or one for each trial of the table; NaN leaves the trial out.
    """
    rows = np.flatnonzero(mask)
    align = (session.times[epoch.align] + milliseconds(shift_ms))[rows]
    if epoch.window_ms is None:
        start, stop = session.times[epoch.start][rows], session.times[epoch.stop][rows]
    else:
        start, stop = (align + np.timedelta64(edge, "ms") for edge in epoch.window_ms)
    has_times = ~(np.isnat(align) | np.isnat(start) | np.isnat(stop) | np.isnat(session.times["start_time"][rows]))
    if not epoch.overlap:
        stop = np.fmin(stop, next_begin(session, rows, start))
    width = np.timedelta64(bin_ms, "ms")
    first = ceiling(start[has_times], width)
    last = floor(stop[has_times] - INSTANT, width)
    return Spans(rows[has_times], first, np.maximum(last - first + 1, 0), ceiling(align[has_times], width))


def input_windows(
    session: Session,
    mask: Bool[np.ndarray, " trial"],
    bin_ms: int,
    shift_ms: Float[np.ndarray, " trial"] | float | int = 0,
) -> Spans:
    """The windows that a model sees. They are never cut at the next trial: they are stacked, so all have one length."""
    return spans(session, dataclasses.replace(session.dataset.inputs, overlap=True), mask, bin_ms, shift_ms)


def milliseconds(shift_ms: Float[np.ndarray, " trial"] | float | int) -> Shaped[np.ndarray, "*trial"]:
    """A number of ms, or several, as timedelta64[ns]; NaT for NaN."""
    number = np.asarray(shift_ms, dtype=np.float64)
    finite = np.isfinite(number)
    duration = np.where(finite, number * 1e6, 0).astype(np.int64).astype("m8[ns]")
    return np.where(finite, duration, np.timedelta64("NaT", "ns"))


def next_begin(
    session: Session, rows: Int[np.ndarray, " trial"], start: Shaped[np.ndarray, " trial"]
) -> Shaped[np.ndarray, " trial"]:
    """Where each trial's epoch must end at the latest: where that of the next chosen trial begins.

    Or where the trial after that one begins, should that be earlier; no limit for the last.
    """
    begin = session.times["start_time"]
    following = np.append(begin[1:], np.timedelta64("NaT", "ns"))[rows]
    return np.append(np.fmin(following, start)[1:], np.timedelta64("NaT", "ns"))


def ceiling(times: Shaped[np.ndarray, " trial"], width: np.timedelta64) -> Int[np.ndarray, " trial"]:
    """The number of the first bin that opens at or after each time."""
    return -floor(-times, width)


def floor(times: Shaped[np.ndarray, " trial"], width: np.timedelta64) -> Int[np.ndarray, " trial"]:
    """The number of the last bin that opens at or before each time."""
    return (times // width).astype(np.int64)
