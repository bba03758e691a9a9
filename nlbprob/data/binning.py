"""Spike times, observation intervals and sampled signals, straight into the bins of each trial."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, UInt

from nlbprob.data.clock import singles, step_s
from nlbprob.data.series import HEADROOM, Series
from nlbprob.data.windows import Windows, merge, touching_s


def count_spikes(spike_times: Sequence[np.ndarray], windows: Windows) -> UInt[np.ndarray, "trial time neuron"]:
    """counts[i, k, n] = number of spikes of unit n in [start[i] + k bin, start[i] + (k + 1) bin).

    Args:
        spike_times: of each unit, in s, ascending.
        windows: of the trials. They may overlap: a spike counts in each that holds it.
    """
    n_trials, n_bins = len(windows.start), windows.n_bins
    counts = np.zeros((len(spike_times), n_trials * n_bins), dtype=np.uint8)
    for unit, (times, single) in enumerate(zip(spike_times, singles(*spike_times), strict=True)):
        trial, bins, _ = windows.locate(times, single)
        of_unit = np.bincount(trial * n_bins + bins, minlength=n_trials * n_bins)
        peak = of_unit.max(initial=0)
        if peak > np.iinfo(counts.dtype).max:
            counts = counts.astype(np.min_scalar_type(peak))
        counts[unit] = of_unit
    return np.ascontiguousarray(counts.reshape(-1, n_trials, n_bins).transpose(1, 2, 0))


def covered(intervals: Float[np.ndarray, "interval 2"], windows: Windows) -> Bool[np.ndarray, "trial time"]:
    """Where a bin lies in one of the intervals (s) as a whole. Intervals that touch count as one; padding is False."""
    merged = merge(intervals)
    slack = windows.error_s + touching_s(windows.stop, any(singles(*intervals.T)))
    inside = np.arange(windows.n_bins) < windows.bins[:, None]
    part = ~within(windows.start, windows.stop, merged, slack)
    edges = windows.start[part, None] + np.arange(windows.n_bins + 1) * (windows.bin_ms / 1000)
    inside[part] &= within(edges[:, :-1], edges[:, 1:], merged, slack[part, None])
    return inside


def within(
    left: np.ndarray, right: np.ndarray, merged: Float[np.ndarray, "interval 2"], slack: np.ndarray
) -> np.ndarray:
    """Where [left, right) lies in one of the intervals, which are ascending and apart, give or take the slack (s)."""
    if not len(merged):
        return np.zeros(left.shape, dtype=bool)
    at = np.searchsorted(merged[:, 0], left + slack, side="right") - 1
    return (at >= 0) & (right <= merged[at, 1] + slack)


def observed(
    intervals: Sequence[Float[np.ndarray, "_ 2"] | None], windows: Windows
) -> Bool[np.ndarray, "trial time neuron"]:
    """Where each unit was recorded. Units that share one array of intervals are worked out once; None: everywhere."""
    units_of: dict[int, list[int]] = {}
    for unit, of_unit in enumerate(intervals):
        units_of.setdefault(id(of_unit), []).append(unit)
    inside = np.arange(windows.n_bins) < windows.bins[:, None]
    seen = np.empty((*inside.shape, len(intervals)), dtype=bool)
    for units in units_of.values():
        shared = intervals[units[0]]
        mask = inside if shared is None else covered(shared, windows)
        seen[:, :, slice(None) if len(units) == len(intervals) else units] = mask[:, :, None]
    return seen


def bin_series(series: Series, windows: Windows, lag_ms: float | int) -> Float[np.ndarray, "trial time channel"]:
    """The value of each channel in each bin, lag_ms later than the bin; NaN where there is none, and in padding.

    A series sampled at least once a bin: the mean of the samples in the bin that are not NaN. A coarser one, and a bin
    that the sampling happens to miss: linear interpolation at the bin's center, never across a gap (`Series.gaps`) or a
    NaN.
    """
    later = windows.shifted(lag_ms)
    n_bins, n_channels = windows.n_bins, series.values.shape[1]
    trials, bins = np.nonzero(np.arange(n_bins) < windows.bins[:, None])
    empty = np.ones((len(windows.start), n_bins), dtype=bool)
    values = np.full((*empty.shape, n_channels), np.nan)
    error_ms = 2000 * float(step_s(series.times[-1:], series.single).max(initial=0))
    if 1000 * series.interval_s <= windows.bin_ms * (1 + 1e-6) + error_ms:
        trial, at, sample = later.locate(series.times, series.single)
        empty[trial, at] = False
        for channel in range(n_channels):
            in_bin = series.values[sample, channel]
            has_value = ~np.isnan(in_bin)
            flat = trial[has_value] * n_bins + at[has_value]
            number = np.bincount(flat, minlength=empty.size)
            total = np.bincount(flat, weights=in_bin[has_value] * HEADROOM, minlength=empty.size)
            mean = np.divide(total, number, out=np.full(empty.size, np.nan), where=number > 0) / HEADROOM
            values[..., channel] = mean.reshape(empty.shape)
    missed = empty[trials, bins]
    trials, bins = trials[missed], bins[missed]
    centers = later.start[trials] + (bins + 0.5) * (windows.bin_ms / 1000)
    values[trials, bins] = interpolate(series, centers)
    return values


def interpolate(series: Series, times: Float[np.ndarray, " query"]) -> Float[np.ndarray, "query channel"]:
    """Linear interpolation between neighboring samples; NaN beyond the ends, across a gap and next to a NaN."""
    if len(series.times) < 2:
        return np.full((len(times), series.values.shape[1]), np.nan)
    slack = np.maximum(1e-9, 2 * step_s(times, series.single))
    left = np.clip(np.searchsorted(series.times, times + slack, side="right") - 1, 0, len(series.times) - 2)
    apart = series.times[left + 1] - series.times[left]
    fraction = (times - series.times[left]) / np.where(apart > 0, apart, 1)
    close = np.maximum(1e-6, slack / np.where(apart > 0, apart, 1))
    fraction = np.where(np.abs(fraction) < close, 0, np.where(np.abs(fraction - 1) < close, 1, fraction))[:, None]
    before, after = series.values[left], series.values[left + 1]
    # A sample that is hit exactly needs no neighbor.
    between = np.where(fraction == 0, before, np.where(fraction == 1, after, before + fraction * (after - before)))
    bridged = series.gaps[left][:, None] & (fraction > 0) & (fraction < 1)
    return np.where(bridged | (fraction < 0) | (fraction > 1), np.nan, between)
