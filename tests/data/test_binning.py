"""Counts against a histogram by trial and unit, observed bins against intervals, signals against their samples."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlbprob.data.binning import bin_series, count_spikes, covered, interpolate, observed
from nlbprob.data.series import Series
from nlbprob.data.windows import Windows

WINDOWS = Windows(np.array([1.0, 1.2, 6.0]), np.array([40, 60, 30]), 10.0)


def histogram(spikes, windows):
    """The textbook: one histogram for each trial and unit."""
    counts = np.zeros((len(windows.start), windows.n_bins, len(spikes)), dtype=int)
    for trial, (start, bins) in enumerate(zip(windows.start, windows.bins, strict=True)):
        edges = start + np.arange(bins + 1) * windows.bin_ms / 1000
        for unit, times in enumerate(spikes):
            counts[trial, :bins, unit] = np.histogram(times[times < edges[-1]], edges)[0]
    return counts


def test_counts_are_histograms():
    rng = np.random.default_rng(0)
    spikes = [np.sort(rng.uniform(0, 8, size=size)) for size in (0, 1, 400, 3000)]
    counts = count_spikes(spikes, WINDOWS)
    assert counts.dtype == np.uint8
    assert counts.flags.c_contiguous
    np.testing.assert_array_equal(counts, histogram(spikes, WINDOWS))


def test_many_spikes_in_a_bin_widen_the_type():
    spikes = [np.full(3, 1.005), np.full(300, 1.005), np.full(4, 6.1)]
    counts = count_spikes(spikes, WINDOWS)
    assert counts.dtype == np.uint16
    np.testing.assert_array_equal(counts, histogram(spikes, WINDOWS))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_permuting_units_and_trials_permutes_counts(seed):
    rng = np.random.default_rng(seed)
    spikes = [np.sort(rng.uniform(0, 8, size=rng.integers(50))) for _ in range(4)]
    counts = count_spikes(spikes, WINDOWS)
    units, trials = rng.permutation(4), rng.permutation(3)
    permuted = count_spikes([spikes[unit] for unit in units], WINDOWS.select(trials))
    np.testing.assert_array_equal(permuted, counts[trials][:, :, units])


def test_spikes_on_a_grid_of_bin_edges_fall_into_the_bins_that_they_open():
    starts = np.round(0.7 * np.arange(200), 1)
    windows = Windows(starts, np.full(200, 100), 5.0)
    spikes = [np.sort(np.concatenate([np.round(start + 0.005 * np.arange(100), 6) for start in starts]))]
    np.testing.assert_array_equal(count_spikes(spikes, windows), 1)


def test_a_bin_is_covered_as_a_whole_or_not_at_all():
    intervals = np.array([[1.0, 1.055], [1.1, 1.2], [1.2, 1.3], [6.0, 6.3]])
    mask = covered(intervals, WINDOWS)
    expected = np.zeros((3, 60), dtype=bool)
    expected[0, :5] = expected[0, 10:30] = True
    expected[1, :10] = True
    expected[2, :30] = True
    np.testing.assert_array_equal(mask, expected)
    assert not covered(np.zeros((0, 2)), WINDOWS).any()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 700), st.integers(0, 200)), max_size=8))
def test_covered_agrees_with_a_clock_in_milliseconds(pairs):
    intervals = np.array([(first / 100, (first + length) / 100) for first, length in pairs]).reshape(-1, 2)
    clock = np.zeros(1000, dtype=bool)
    for first, length in pairs:
        clock[first : first + length] = True
    expected = np.zeros((3, 60), dtype=bool)
    for trial, (start, bins) in enumerate(zip([100, 120, 600], WINDOWS.bins, strict=True)):
        expected[trial, :bins] = clock[start : start + bins]
    np.testing.assert_array_equal(covered(intervals, WINDOWS), expected)


def test_each_unit_has_its_own_observed_bins():
    one, other = np.array([[1.0, 1.2]]), np.array([[6.0, 6.1]])
    seen = observed([one, None, other, one], WINDOWS)
    for unit, intervals in ((0, one), (2, other), (3, one)):
        np.testing.assert_array_equal(seen[:, :, unit], covered(intervals, WINDOWS))
    np.testing.assert_array_equal(seen[:, :, 1].sum(axis=1), [40, 60, 30])


def series(interval_s, stop=8.0, channels=2):
    times = np.round(np.arange(0, stop, interval_s), 9)
    values = np.stack([np.sin(times + channel) for channel in range(channels)], axis=1)
    return Series.from_samples("hand", times, values)


def test_one_sample_a_bin_comes_through_unchanged():
    hand = series(0.01)
    binned = bin_series(hand, WINDOWS, 0)
    for trial, (first, bins) in enumerate(zip([100, 120, 600], WINDOWS.bins, strict=True)):
        np.testing.assert_array_equal(binned[trial, :bins], hand.values[first : first + bins])
        assert np.isnan(binned[trial, bins:]).all()


def test_the_lag_reads_later_values():
    hand = series(0.01)
    np.testing.assert_array_equal(bin_series(hand, WINDOWS, 100)[0, :40], hand.values[110:150])
    np.testing.assert_array_equal(bin_series(hand, WINDOWS, -20)[0, :40], hand.values[98:138])


def test_a_fast_series_is_averaged_over_its_samples_that_are_not_nan():
    hand = series(0.001)
    hand.values[1003, 0] = np.nan
    hand.values[1010:1020] = np.nan
    binned = bin_series(hand, WINDOWS, 0)
    np.testing.assert_allclose(binned[0, 0, 0], np.nanmean(hand.values[1000:1010, 0]))
    np.testing.assert_allclose(binned[0, 0, 1], hand.values[1000:1010, 1].mean())
    assert np.isnan(binned[0, 1]).all()
    np.testing.assert_allclose(binned[2, 29], hand.values[6290:6300].mean(axis=0))


def test_a_slow_series_is_interpolated_at_bin_centers_but_not_across_a_gap():
    hand = series(0.05)
    kept = (hand.times < 1.1) | (hand.times > 1.29)
    gappy = Series("hand", hand.times[kept], hand.values[kept], hand.channels)
    centers = 1.0 + 0.01 * (np.arange(40) + 0.5)
    binned = bin_series(gappy, WINDOWS, 0)[0, :40]
    in_gap = (centers > 1.05) & (centers < 1.3)
    assert np.isnan(binned[in_gap]).all()
    expected = [np.interp(centers[~in_gap], hand.times, hand.values[:, channel]) for channel in range(2)]
    np.testing.assert_allclose(binned[~in_gap].T, expected)


def test_a_bin_that_jittered_sampling_misses_is_interpolated():
    times = 1.0 + 0.01 * np.arange(40) + np.where(np.arange(40) == 20, -0.001, 0.004)
    jittered = Series.from_samples("hand", times, 3 * times)
    binned = bin_series(jittered, WINDOWS, 0)[0, :40, 0]
    np.testing.assert_allclose(binned[20], 3 * 1.205, rtol=1e-6)
    assert not np.isnan(binned).any()


@pytest.mark.parametrize("query", [-0.5, 7.96])
def test_nothing_is_extrapolated(query):
    assert np.isnan(interpolate(series(0.05), np.array([query]))).all()


def test_a_nan_next_to_a_sample_that_is_hit_does_no_harm():
    hand = series(0.05)
    hand.values[21] = np.nan
    values = interpolate(hand, np.array([1.0, 1.02, 1.05, 1.1]))
    np.testing.assert_array_equal(np.isnan(values[:, 0]), [False, True, True, False])
    np.testing.assert_array_equal(values[[0, 3]], hand.values[[20, 22]])


def test_a_single_sample_has_no_neighbor():
    one = Series.from_samples("hand", [1.0], [2.0])
    assert np.isnan(bin_series(one, WINDOWS, 0)).all()
