"""Values of trials as a TsdFrame on the recording's clock."""

import sys

import numpy as np
import pynapple as nap
import pytest
import xarray

import nlbprob as nlb

SPIKES = {"p": [0.3, 1.7, 2.2], "q": [0.4, 1.1, 2.9]}
START, STOP = np.array([2.0, 0.0, 1.0]), np.array([3.0, 0.75, 2.0])
OPTIONS = {"bin_ms": 250, "heldout": "none", "split": "none"}


@pytest.fixture
def trials():
    """Three trials out of order, the second of them short; the last two touch."""
    return nlb.load(SPIKES, trials={"start_time": START, "stop_time": STOP}, neurons={"area": ["x", "y"]}, **OPTIONS)


def labeled(trials, values, names, dim="neuron"):
    coords = {"trial": trials.table["id"], "time": trials.time_ms, dim: names}
    return xarray.DataArray(values, coords, ("trial", "time", dim))


def test_rates_stand_at_the_centers_of_bins_on_the_clock(trials):
    rates = np.random.default_rng(0).uniform(size=trials.counts.shape)
    frame = trials.to_pynapple(labeled(trials, rates, ["p", "q"]))
    assert isinstance(frame, nap.TsdFrame)
    np.testing.assert_allclose(frame.t, 0.125 + 0.25 * np.r_[:3, 4:12], rtol=0, atol=1e-9)
    np.testing.assert_array_equal(frame.values, np.concatenate([rates[1, :3], rates[2], rates[0]]))
    assert frame.columns.tolist() == ["p", "q"]
    assert list(frame.get_info("area")) == ["x", "y"]
    support = np.column_stack([frame.time_support.start, frame.time_support.end])
    np.testing.assert_allclose(support, [[0, 0.75], [1, 2], [2, 3]], rtol=0, atol=2e-6)


def test_counts_are_those_that_pynapple_counts(trials):
    group = nap.TsGroup({0: nap.Ts(SPIKES["p"]), 1: nap.Ts(SPIKES["q"])}, time_support=nap.IntervalSet(0, 3))
    frame = trials.to_pynapple()
    for start, stop in ((0.0, 0.75), (1.0, 2.0), (2.0, 3.0)):
        within = nap.IntervalSet(start, stop)
        counted = group.count(0.25, ep=within)
        np.testing.assert_allclose(counted.t, frame.restrict(within).t, rtol=0, atol=1e-9)
        np.testing.assert_array_equal(counted.values, frame.restrict(within).values)


def test_the_window_is_where_the_align_event_puts_it():
    table = {"start_time": START, "stop_time": STOP, "go": START + 0.5}
    trials = nlb.load(SPIKES, trials=table, align="go", window_ms=(-250, 250), **OPTIONS)
    np.testing.assert_allclose(trials.to_pynapple().t, [0.375, 0.625, 1.375, 1.625, 2.375, 2.625], rtol=0, atol=1e-9)
    np.testing.assert_array_equal(trials.to_pynapple().values[:, 0], [1, 0, 0, 1, 0, 0])


def test_a_forward_window_is_kept_where_it_is_hidden(trials):
    hidden = nlb.load(SPIKES, trials=(START, START + 0.5), forward_ms=250, **OPTIONS).hide_forward()
    frame = hidden.to_pynapple()
    np.testing.assert_allclose(frame.t[:4], [0.125, 0.375, 0.625, 1.125], rtol=0, atol=1e-9)
    assert np.isnan(frame.values[2]).all()
    assert not np.isnan(frame.values[:2]).any()


def test_latents_have_their_names(trials):
    values = np.random.default_rng(1).normal(size=(3, 4, 2))
    mean = labeled(trials, values, ["lds 1", "lds 2"], "latent")
    dataset = xarray.Dataset(
        {"mean": mean, "covariance": (("trial", "time", "latent", "latent_2"), np.ones((3, 4, 2, 2)))}
    )
    for given in (mean, dataset):
        frame = trials.to_pynapple(given)
        assert frame.columns.tolist() == ["lds 1", "lds 2"]
        np.testing.assert_array_equal(frame.values[-4:], values[0])
    assert trials.to_pynapple(values[:, :, :1]).columns.tolist() == [0]


def test_counts_in_bins_take_starts_that_are_handed_over():
    trials = nlb.Trials.from_arrays(np.ones((2, 3, 1)), 100, heldout="none")
    np.testing.assert_allclose(
        trials.to_pynapple(start_s=[5.0, 1.0]).t[:4], [1.05, 1.15, 1.25, 5.05], rtol=0, atol=1e-9
    )
    with pytest.raises(nlb.InputError, match="no place on a clock; give start_s"):
        trials.to_pynapple()
    with pytest.raises(nlb.InputError, match=r"start_s: expected a time \(s\) for each of 2 trials"):
        trials.to_pynapple(start_s=[5.0])


def test_a_late_clock_keeps_its_bins():
    late = 1_700_000_000.0
    trials = nlb.load({0: [late + 0.3]}, trials=([late], [late + 1.0]), **OPTIONS)
    np.testing.assert_allclose(trials.to_pynapple().t - late, [0.125, 0.375, 0.625, 0.875], rtol=0, atol=1e-6)


def test_values_of_other_trials_or_axes_are_told(trials):
    values = labeled(trials, np.ones((3, 4, 2)), ["p", "q"])
    for given, message in (
        (values.isel(trial=[0, 1]), r"values of shape \(2, 4, 2\), expected \(3, 4, columns\)"),
        (values.assign_coords(trial=[5, 6, 7]), "the values are of other trials"),
        (values.transpose("time", "trial", "neuron"), r"values of \(time, trial, neuron\); take one array of"),
        (np.ones((3, 4)), r"values of shape \(3, 4\)"),
        (xarray.Dataset({"a": values, "b": values}), "the dataset holds a, b; take one of them"),
    ):
        with pytest.raises(nlb.InputError, match=message):
            trials.to_pynapple(given)


def test_windows_that_overlap_and_stitched_clocks_are_told(trials):
    wide = nlb.load(SPIKES, trials=(START, STOP), window_ms=(-250, 1000), **OPTIONS)
    with pytest.raises(nlb.InputError, match="2 trials reach into the next one"):
        wide.to_pynapple()
    assert wide.select(trials=[0]).to_pynapple().shape == (5, 2)
    both = nlb.stitch({"a": trials, "b": trials})
    with pytest.raises(nlb.InputError, match="each with a clock of its own; unstitch them"):
        both.to_pynapple()
    assert nlb.unstitch(both)["a"].to_pynapple().shape == (11, 2)


def test_it_says_what_to_install(trials, monkeypatch):
    monkeypatch.setitem(sys.modules, "pynapple", None)
    with pytest.raises(nlb.InputError, match="needs pynapple; install it"):
        trials.to_pynapple()


def test_a_column_of_neurons_that_pynapple_has_too_is_metadata_all_the_same():
    neurons = {"rate": [1.0, 2.0], "t": ["u", "v"], "my area": ["x", "y"]}
    frame = nlb.load(SPIKES, trials=(START, STOP), neurons=neurons, **OPTIONS).to_pynapple()
    assert list(frame.get_info("rate")) == [1.0, 2.0]
    assert list(frame.get_info("my area")) == ["x", "y"]
