"""Posterior predictive checks: the statistics themselves, how often they hold, and when they do not."""

import warnings

import arviz as az
import numpy as np
import pytest
import xarray

import nlbprob as nlb

TRIALS, BINS, NEURONS, DRAWS = 60, 8, 20, 200
DIMS = ("trial", "time", "neuron")


def drawn(random, gain=0.0, own=0.0, size=1):
    """Counts [sample, trial, time, neuron] driven by one latent; with a gain of each trial, and one of each neuron
    in each trial, of these variances.
    """
    loadings, baseline = np.linspace(-0.5, 0.5, NEURONS), np.log(np.linspace(0.3, 2.0, NEURONS))
    latent = random.standard_normal((size, TRIALS, 1, 1)) * np.cos(np.arange(BINS) / 3)[:, None]
    rates = np.exp(latent * loadings + baseline)
    for variance, width in ((gain, 1), (own, NEURONS)):
        if variance:
            rates = rates * random.gamma(1 / variance, variance, (size, TRIALS, 1, width))
    return random.poisson(rates)


def tree_of(observed, draws, seen=None, **constant):
    """A tree with what the checks read."""
    seen = np.ones(observed.shape, bool) if seen is None else seen
    coords = {"trial": np.arange(TRIALS), "time": 20.0 * np.arange(BINS), "neuron": 100 + np.arange(NEURONS)}
    constant = {name: ("trial", value) for name, value in constant.items()} | {"split": ("trial", ["train"] * TRIALS)}
    groups = {
        "posterior_predictive": {"spikes": (("chain", "draw", "entry"), draws[None][..., seen])},
        "observed_data": {"spikes": ("entry", observed[seen])},
        "constant_data": constant | {"seen": (DIMS, seen)},
    }
    return xarray.DataTree.from_dict({name: xarray.Dataset(v, coords) for name, v in groups.items()})


@pytest.fixture(scope="module")
def draws():
    return drawn(np.random.default_rng(0), size=DRAWS)


def inside(found):
    """Which entries lie in the interval; NaN are left out."""
    values = found["observed"].values
    return ((found["lower"].values <= values) & (values <= found["upper"].values))[np.isfinite(values)]


def test_the_statistics_are_those_of_numpy(draws):
    observed, side = draws[0], np.arange(TRIALS) % 3
    seen = np.random.default_rng(1).uniform(size=observed.shape) > 0.3
    seen[5, :, 4] = False
    tree = tree_of(observed, draws[1:4], seen, side=side)
    counts, psths, correlations = nlb.check_counts(tree), nlb.check_psths(tree), nlb.check_correlations(tree)
    for neuron in range(NEURONS):
        known = seen[:, :, neuron].any(1)
        total = (observed * seen)[known][:, :, neuron].sum(1)
        expected = [total.mean(), total.var(ddof=1), total.var(ddof=1) / total.mean()]
        np.testing.assert_allclose(counts["observed"][:, neuron], expected)
        other = (observed * seen)[known][:, :, 7].sum(1)
        np.testing.assert_allclose(correlations["observed"][neuron, 7], np.corrcoef(total, other)[0, 1])
    drawn_totals = (draws[1:4] * seen).sum(2)
    known = seen.any(1)
    each = [[totals[known[:, n], n].mean() for n in range(NEURONS)] for totals in drawn_totals]
    np.testing.assert_allclose(counts["predicted"].sel(statistic="mean"), np.mean(each, 0))
    np.testing.assert_allclose(counts["upper"].sel(statistic="mean"), np.quantile(each, 0.95, axis=0))
    for condition in range(3):
        mean = np.where(seen, observed, np.nan)[side == condition]
        np.testing.assert_allclose(psths["observed"][condition], np.nanmean(mean, 0))
    assert psths["observed"].dims == ("condition", "time", "neuron")
    assert list(psths["condition"].values) == ["0", "1", "2"]
    assert list(counts["neuron"].values[:2]) == [100, 101]


def test_counts_drawn_from_the_model_lie_inside_as_often_as_they_should(draws):
    random, side = np.random.default_rng(2), np.arange(TRIALS) % 3
    found = {"counts": [], "correlations": [], "psths": []}
    for observed in drawn(random, size=12):
        tree = tree_of(observed, draws, side=side)
        for name, values in found.items():
            check = getattr(nlb, f"check_{name}")(tree)
            values.append(inside(check.sel(statistic="fano") if name == "counts" else check).mean())
    shares = {name: np.mean(values) for name, values in found.items()}
    assert 0.85 < shares["counts"] < 0.95
    assert 0.85 < shares["correlations"] < 0.95
    assert 0.88 < shares["psths"] < 0.99  # of small whole numbers, whose intervals hold more than they say


def test_counts_that_vary_more_than_the_model_says_lie_outside(draws):
    random = np.random.default_rng(3)
    fano = nlb.check_counts(tree_of(drawn(random, own=0.5)[0], draws)).sel(statistic="fano")
    assert (fano["observed"] > fano["upper"]).mean() > 0.8
    shared = nlb.check_correlations(tree_of(drawn(random, gain=0.5)[0], draws))
    assert (shared["observed"] > shared["upper"]).mean() > 0.6


@pytest.fixture(scope="module")
def tree(fitted, recording):
    return fitted.to_arviz(recording.split("train"), draws=200, log_likelihood="trial")


def test_a_fitted_model_passes_on_its_own_recording_and_not_on_another(tree):
    counts = nlb.check_counts(tree)
    assert inside(counts.sel(statistic="fano")).mean() >= 0.8
    assert inside(nlb.check_psths(tree)).mean() > 0.85
    assert inside(nlb.check_correlations(tree)).mean() > 0.85
    other = tree.copy()
    random = np.random.default_rng(4)
    spikes, seen = tree["observed_data"]["spikes"], tree["constant_data"]["seen"].values
    bursts = 3 * (random.uniform(size=(len(seen), 1, seen.shape[2])) < 0.33)
    bursts = np.broadcast_to(bursts, seen.shape)[seen]
    other["observed_data"] = xarray.DataTree(xarray.Dataset({"spikes": spikes * bursts}))
    fano = nlb.check_counts(other).sel(statistic="fano")
    assert (fano["observed"] > fano["upper"]).mean() > 0.8


def test_arvizs_leave_one_out_shows_that_it_is_no_use_here(tree):
    with warnings.catch_warnings(action="ignore"):  # ArviZ warns of what this shows
        found = az.loo(tree, var_name="spikes", pointwise=True)
    assert found.pareto_k.shape == (24,)
    assert (found.pareto_k > 0.7).mean() > 0.5
    assert "Pareto k diagnostic values" in str(found)


def test_what_cannot_be_checked_is_told(draws):
    tree = tree_of(draws[0], draws[:3])
    with pytest.raises(nlb.InputError, match="had no condition"):
        nlb.check_psths(tree)
    with pytest.raises(nlb.InputError, match="interval=90.0"):
        nlb.check_counts(tree, interval=90.0)
    del tree["posterior_predictive"]
    with pytest.raises(nlb.InputError, match="no group posterior_predictive"):
        nlb.check_counts(tree)
