"""Trials in wider bins."""

import numpy as np
import pytest

import nlbprob as nlb
from nlbprob.data.rebin import merge_bins


@pytest.fixture
def trials():
    random = np.random.default_rng(0)
    counts = random.poisson(1.0, (3, 11, 4))
    seen = np.ones(counts.shape, bool)
    seen[0, 2, 1] = False
    inputs = {"light": random.normal(size=(3, 11, 1))}
    return nlb.Trials.from_arrays(counts * seen, 10.0, seen=seen, inputs=inputs).replace(forward_bins=3)


def test_counts_add_up_and_the_forward_window_begins_where_it_did(trials):
    wide = merge_bins(trials, 20)
    assert (wide.bin_ms, wide.n_bins, wide.window_bins, wide.forward_bins) == (20.0, 5, 4, 1)
    np.testing.assert_array_equal(wide.counts[:, 0], trials.counts[:, 0:2].sum(1))
    np.testing.assert_array_equal(wide.counts[:, 4], trials.counts[:, 8:10].sum(1))
    np.testing.assert_array_equal(wide.time_ms, trials.time_ms[:10:2])
    assert not wide.seen[0, 1, 1]
    assert wide.seen.sum() == wide.seen.size - 1
    np.testing.assert_allclose(wide.inputs["light"][:, 2], trials.inputs["light"][:, 4:6].mean(1))


def test_bins_before_the_window_that_fill_no_wide_one_are_left_out(trials):
    wide = merge_bins(trials, 30)
    assert (wide.window_bins, wide.forward_bins) == (2, 1)
    np.testing.assert_array_equal(wide.counts[:, 0], trials.counts[:, 2:5].sum(1))


@pytest.mark.parametrize("bin_ms", [10, 25, 5, 100])
def test_widths_that_make_no_bins_are_refused(trials, bin_ms):
    with pytest.raises(nlb.InputError, match="bin_ms="):
        merge_bins(trials, bin_ms)
