"""A session in bins of one width: spikes summed, behavior decimated."""

import dataclasses
import functools

import numpy as np
from jaxtyping import Bool, Float, Int

from nlbprob.data.nlb.facts import FORWARD_MS
from nlbprob.data.nlb.session import Session
from nlbprob.errors import InputError

FILTER_TAPS = 501  # of the low-pass filter before behavior is decimated


def resample(session: Session, bin_ms: float | int) -> "Resampled":
    """The session in bins of bin_ms. Raises InputError unless it is whole and divides window and forward window."""
    first, last = session.dataset.window_ms
    if bin_ms <= 0 or bin_ms != int(bin_ms) or (last - first) % bin_ms or FORWARD_MS % bin_ms:
        raise InputError(
            f"bin_ms: {bin_ms:g} ms does not divide the window of {last - first} ms and the forward window of "
            f"{FORWARD_MS} ms of {session.dataset.name}; the benchmark has bins of 5 and 20 ms."
        )
    return Resampled(session, int(bin_ms))


@dataclasses.dataclass(frozen=True, eq=False)
class Resampled:
    """The session in bins of bin_ms whole milliseconds: bin k is [k bin_ms, (k + 1) bin_ms) on its clock."""

    session: Session
    bin_ms: int

    @property
    def n_bins(self) -> int:
        """Bins of the clock; the last may be short."""
        return -(-self.session.length_ms // self.bin_ms)

    @property
    def window_bins(self) -> int:
        """Bins of the window that a model sees."""
        first, last = self.session.dataset.window_ms
        return (last - first) // self.bin_ms

    @property
    def forward_bins(self) -> int:
        """Bins of the forward window after it."""
        return FORWARD_MS // self.bin_ms

    @functools.cached_property
    def recorded(self) -> Bool[np.ndarray, "2 bin"]:
        """Whether each bin of held-in (row 0) and held-out units (row 1) was recorded: as its first millisecond was.

        So the benchmark has it: a bin that loses its rest counts what is left, one that loses its first ms is missing.
        """
        return self.session.recorded[:, :: self.bin_ms]

    @functools.cached_property
    def spikes(self) -> tuple[Int[np.ndarray, " _"], ...]:
        """The bin of every recorded spike of each unit, ascending."""
        kept = []
        for times, heldout in zip(self.session.spikes, self.session.heldout, strict=True):
            bins = times[self.session.recorded[int(heldout), times]] // self.bin_ms
            kept.append(bins[self.recorded[int(heldout), bins]])
        return tuple(kept)

    @functools.cached_property
    def behavior(self) -> Float[np.ndarray, "bin channel"]:
        """y[k] = sum_j h[j] x[k bin_ms - j] with a Hamming-windowed low-pass h; NaN where x[k bin_ms] is missing.

        x is the signal at 1 ms, interpolated where it is missing and constant before its first and after its last
        sample; h has 501 taps, cuts off at the new Nyquist frequency and sees zeros beyond the ends of the clock.
        """
        from scipy.signal import firwin, resample_poly

        signal = self.session.behavior
        if signal is None:
            raise InputError(f"{self.session.dataset.name} has no behavior that is sampled in time.")
        if self.bin_ms == 1:
            return signal
        taps = firwin(FILTER_TAPS, 1 / self.bin_ms, window="hamming")
        decimated = np.empty((self.n_bins, signal.shape[1]))
        for channel, column in enumerate(signal.T):
            missing = np.isnan(column)
            recorded_bins = np.flatnonzero(~missing)
            filled = (
                np.interp(np.arange(len(column)), recorded_bins, column[recorded_bins])
                if missing.any() and len(recorded_bins)
                else column
            )
            decimated[:, channel] = resample_poly(filled, 1, self.bin_ms, window=taps)
        decimated[np.isnan(signal[:: self.bin_ms])] = np.nan
        return decimated

    def counts(
        self, first: Int[np.ndarray, " trial"], length: int, chosen: Bool[np.ndarray, " neuron"]
    ) -> Float[np.ndarray, "trial time chosen"]:
        """Spikes of the chosen units in `length` bins from `first` on, float16; NaN where a bin was not recorded."""
        units = np.flatnonzero(chosen)
        missing = [~self.inside(of_mask, first, length, beyond=False) for of_mask in self.recorded]
        counts = np.empty((len(units), len(first), length), dtype=np.float16)
        for row, unit in enumerate(units):
            trial, offset = locate(self.spikes[unit], first, length)
            flat = np.bincount(trial * length + offset, minlength=len(first) * length)
            counts[row] = flat.reshape(len(first), length)
            counts[row][missing[int(self.session.heldout[unit])]] = np.nan
        return np.ascontiguousarray(counts.transpose(1, 2, 0))

    def inside(
        self, values: np.ndarray, first: Int[np.ndarray, " trial"], length: int, beyond: float | bool
    ) -> np.ndarray:
        """values[first + k] of each trial for k < length; `beyond` where that lies outside the clock."""
        bins = first[:, None] + np.arange(length)
        taken = values[np.clip(bins, 0, self.n_bins - 1)]
        taken[(bins < 0) | (bins >= self.n_bins)] = beyond
        return taken


def locate(
    ascending: Int[np.ndarray, " spike"], first: Int[np.ndarray, " trial"], length: Int[np.ndarray, " trial"] | int
) -> tuple[Int[np.ndarray, " found"], Int[np.ndarray, " found"]]:
    """The trial, and the offset from its `first`, of every spike in [first, first + length); one in two comes twice."""
    low = np.searchsorted(ascending, first)
    number = np.searchsorted(ascending, first + length) - low
    trial = np.repeat(np.arange(len(first)), number)
    spike = np.arange(len(trial)) + np.repeat(low - np.cumsum(number) + number, number)
    return trial, ascending[spike] - first[trial]
