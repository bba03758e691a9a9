"""Bins on the clock: edges, whole numbers of bins, intervals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlbprob.data.windows import Windows, bin_number, fixed_windows, merge, runs, whole_bins, whole_trials
from nlbprob.errors import InputError


@settings(deadline=None)
@given(
    start=st.integers(0, 7_000_000),
    bins=st.integers(0, 3000),
    bin_us=st.sampled_from([100, 500, 1000, 2500, 5000, 20_000, 45_000, 100_000]),
    inside=st.floats(0, 0.99),
)
def test_a_time_on_an_edge_belongs_to_the_bin_that_it_opens(start, bins, bin_us, inside):
    start_s, time_s = start / 1000, start / 1000 + (bins + round(inside, 2)) * bin_us / 1e6
    assert bin_number(np.array([1000 * (time_s - start_s)]), bin_us / 1000)[0] == bins


def test_the_edge_that_floats_miss():
    assert 1000 * (1.305 - 1.3) < 5
    assert bin_number(np.array([1000 * (1.305 - 1.3)]), 5)[0] == 1
    assert bin_number(np.array([0.3]), 0.1)[0] == 3
    assert bin_number(np.array([4.999]), 5)[0] == 0


def test_fixed_windows_start_before_the_event_and_end_with_the_forward_window():
    windows = fixed_windows(np.array([1.0, 3.5]), (-250, 450), 5, 200)
    np.testing.assert_allclose(windows.start, [0.75, 3.25])
    np.testing.assert_allclose(windows.stop, [1.65, 4.15])
    assert (windows.n_bins, windows.forward_bins) == (180, 40)
    np.testing.assert_allclose(windows.time_ms[[0, -1]], [-250, 645])


def test_whole_trials_drop_the_tail():
    windows = whole_trials(np.array([0.0, 1.3, 2.0]), np.array([0.5, 1.3049, 2.0449]), 5)
    np.testing.assert_array_equal(windows.bins, [100, 0, 8])
    assert whole_trials(np.array([1.3]), np.array([1.75]), 45).bins[0] == 10


@pytest.mark.parametrize("field", ["window_ms", "forward_ms", "chunk_ms"])
def test_a_bin_that_does_not_divide_is_refused(field):
    with pytest.raises(InputError, match=f"{field}: 703 ms is not a whole number of 5 ms bins; .* 705 ms"):
        whole_bins(703, 5, field)
    assert whole_bins(0.9, 0.1, field) == 9


def test_an_empty_window_is_refused():
    with pytest.raises(InputError, match=r"window_ms: \[100, 100\) is empty"):
        fixed_windows(np.zeros(1), (100, 100), 5, 0)


def test_locate_finds_every_sample_of_every_window_and_of_overlapping_ones_twice():
    rng = np.random.default_rng(0)
    times = np.sort(rng.uniform(0, 10, size=500))
    windows = Windows(np.array([1.0, 1.1, 8.5]), np.array([40, 60, 30]), 10.0)
    trial, bins, sample = windows.locate(times)
    expected = [
        (i, int((t - start) / 0.01), k)
        for i, (start, number) in enumerate(zip(windows.start, windows.bins, strict=True))
        for k, t in enumerate(times)
        if start <= t < start + number * 0.01
    ]
    assert list(zip(trial.tolist(), bins.tolist(), sample.tolist(), strict=True)) == expected


def test_merge_joins_what_touches_or_overlaps():
    intervals = np.array([[3.0, 4.0], [0.0, 1.0], [1.0, 2.0], [3.5, 3.6], [4.5, 5.0]])
    np.testing.assert_array_equal(merge(intervals), [[0, 2], [3, 4], [4.5, 5]])
    np.testing.assert_array_equal(merge(intervals, gap_s=0.6), [[0, 2], [3, 5]])
    assert merge(np.zeros((0, 2))).shape == (0, 2)


def test_runs_follow_within_the_gap():
    intervals = np.array([[4.0, 8.0], [0.0, 4.0], [8.02, 12.0], [13.0, 14.0], [13.5, 15.0]])
    assert [run.tolist() for run in runs(intervals, 0.025)] == [[1, 0, 2], [3], [4]]
