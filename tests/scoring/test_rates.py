import numpy as np
import pytest

from nlbprob.errors import InputError
from nlbprob.scoring.rates import check_rates, in_splits, label_rates, rate_array
from nlbprob.scoring.scores import score


def test_labels_go_on_and_come_off(make_trials):
    trials, rates = make_trials(forward_bins=4)
    labeled = label_rates(rates, trials)
    assert labeled.dims == ("trial", "time", "neuron")
    assert labeled.attrs == {"units": "spikes/bin", "bin_ms": 20.0}
    np.testing.assert_array_equal(labeled["neuron"], trials.neurons["id"])
    np.testing.assert_array_equal(rate_array(labeled.transpose("neuron", "time", "trial"), trials), rates)
    np.testing.assert_array_equal(rate_array(rates, trials), rates)
    assert rate_array(rates.astype(np.float32), trials).dtype == np.float64
    for kind in (object, ">f8"):
        np.testing.assert_array_equal(rate_array(rates.astype(kind), trials), rates)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r.isel(neuron=slice(None, None, -1)), "neuron ids or their order"),
        (lambda r: r.assign_coords(trial=r["trial"] + 1), "trial ids or their order"),
        (lambda r: r.isel(time=slice(None, None, -1)), "times of bins or their order"),
        (lambda r: r.assign_coords(time=r["time"] + 20), "times of bins or their order"),
        (lambda r: r.to_dataset(), "is of type Dataset of xarray; hand over one of its arrays"),
        (lambda r: r.rename(time="bin"), "dimensions are"),
        (lambda r: r.assign_attrs(units="Hz"), "units are 'Hz'"),
        (lambda r: r.assign_attrs(bin_ms=5.0), "bins are 5 ms wide, those of the trials 20 ms"),
        (lambda r: r.isel(time=slice(4)).drop_vars("time"), "give a rate for every entry"),
        (lambda r: r.values[:3], "rates_a: shape (3, 30, 10)"),
        (lambda r: r.values.astype(str), "expected numbers"),
    ],
)
def test_rates_of_something_else_are_refused(make_trials, change, message):
    trials, rates = make_trials()
    with pytest.raises(InputError) as caught:
        rate_array(change(label_rates(rates, trials)), trials, "rates_a")
    assert message in str(caught.value)
    assert str(caught.value).startswith("rates_a: ")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.nan, "1 rates are not finite, the first at (trial, bin, neuron) (2, 3, 1); predict every"),
        (np.inf, "not finite"),
        (-0.5, "1 rates are negative"),
        (0.0, "1 rates are exactly zero"),
    ],
)
def test_impossible_rates_are_refused(make_trials, value, message):
    trials, rates = make_trials()
    rates[2, 3, 1] = value
    with pytest.raises(InputError) as caught:
        check_rates(rates, trials.counts, trials.bin_ms, trials.seen)
    assert message in str(caught.value)


@pytest.mark.parametrize("bin_ms", [5.0, 20.0, 45.0, 100.0])
def test_rates_in_hertz_are_named_as_such(make_trials, bin_ms):
    trials, rates = make_trials(bin_ms=bin_ms)
    check_rates(rates, trials.counts, bin_ms, trials.seen, "mine")
    with pytest.raises(
        InputError, match=f"mine: rates look like Hz: they are about {1000 / bin_ms:g} times the counts"
    ):
        check_rates(rates * 1000 / bin_ms, trials.counts, bin_ms, trials.seen, "mine")


def test_rates_that_are_merely_wrong_are_not_called_hertz(make_trials):
    trials, rates = make_trials()
    for factor in (0.1, 5.0, 500.0):
        check_rates(factor * rates, trials.counts, trials.bin_ms)
    check_rates(rates * 1000 / 400, trials.counts, 400.0)  # too few bins a second to tell
    check_rates(rates, np.zeros(rates.shape), trials.bin_ms)


def test_splits_are_found_by_name(make_trials):
    trials, _ = make_trials()
    assert in_splits(trials, "val", "on").sum() == 4
    assert in_splits(trials, ["train", "val"], "on").all()
    with pytest.raises(InputError, match="on: no trial is in split 'vall'. Did you mean 'val'?"):
        in_splits(trials, "vall", "on")


def test_masked_rates_are_missing_rates(make_trials):
    trials, rates = make_trials()
    rates = np.ma.masked_array(rates, np.zeros(rates.shape, bool))
    rates[1, 2, 0] = np.ma.masked
    assert np.isnan(rate_array(rates, trials)[1, 2, 0])
    with pytest.raises(InputError, match="1 rates are not finite"):
        score(rates, trials)
