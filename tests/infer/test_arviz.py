"""The posterior as ArviZ takes it: groups, named dimensions, coordinates, sizes."""

import warnings

import arviz as az
import numpy as np
import pytest
import xarray
from scipy import stats

import nlbprob as nlb

GROUPS = {"posterior", "posterior_predictive", "log_likelihood", "observed_data", "constant_data", "sample_stats"}


@pytest.fixture(scope="module")
def val(recording):
    return recording.hide_heldout("val").split("val")


@pytest.fixture(scope="module")
def tree(fitted, val):
    return fitted.to_arviz(val, draws=60)


def test_groups_dimensions_and_coordinates(tree, val):
    assert set(tree.children) == GROUPS
    for group in ("posterior", "posterior_predictive", "log_likelihood"):
        for name, variable in tree[group].data_vars.items():
            assert variable.dims[:2] == ("chain", "draw"), name
            assert variable.sizes["draw"] == 60
            generic = [dim for dim in variable.dims if dim.endswith(tuple("0123456789")) and "_dim_" in dim]
            assert not generic or name.startswith("lds."), (name, generic)
    assert tree["posterior"]["loadings"].dims == ("chain", "draw", "neuron", "latent")
    assert tree["posterior"]["latents"].dims == ("chain", "draw", "trial", "time", "latent")
    assert tree["posterior"]["transition_matrix"].dims == ("chain", "draw", "latent", "latent_2")
    assert tree["posterior_predictive"]["spikes"].dims == ("chain", "draw", "trial", "time", "neuron")
    for group in ("posterior", "observed_data", "log_likelihood"):
        np.testing.assert_array_equal(tree[group]["neuron"], val.neurons["id"])
        np.testing.assert_array_equal(tree[group]["trial"], val.table["id"])
    np.testing.assert_array_equal(tree["observed_data"]["time"], val.time_ms)
    assert tree["observed_data"]["time"].attrs["units"] == "ms"


def test_the_data_are_those_handed_in(tree, val, fitted):
    np.testing.assert_array_equal(tree["observed_data"]["spikes"], val.counts)
    constant = tree["constant_data"]
    np.testing.assert_array_equal(constant["seen"], val.seen)
    np.testing.assert_array_equal(constant["heldout"], val.heldout)
    np.testing.assert_array_equal(constant["side"], val.table["side"])
    np.testing.assert_array_equal(constant["behavior"], val.behavior)
    assert list(constant["channel"].values) == ["x", "y"]
    assert float(constant["bin_ms"]) == 20.0
    np.testing.assert_array_equal(tree["sample_stats"]["elbo"], fitted.elbo)
    assert tree["sample_stats"]["lp"].dims == ("chain", "draw")
    assert tree["posterior"].attrs["inference_library"] == "nlbprob"


def test_arviz_summarizes_it(tree):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of ArviZ's own: diagnostics of a single chain
        table = az.summary(tree, var_names=["baseline", "loadings", "lds.decay_ms"])
    assert len(table) == 10 + 20 + 2
    np.testing.assert_allclose(
        table["mean"].iloc[:10].astype(float), tree["posterior"]["baseline"].mean(("chain", "draw")), atol=0.06
    )


def test_forms_of_the_log_likelihood_are_sums_of_each_other(fitted, val, tree):
    full = fitted.to_arviz(val, draws=60, log_likelihood="full")["log_likelihood"]["spikes"]
    trial = fitted.to_arviz(val, draws=60, log_likelihood="trial")["log_likelihood"]["spikes"]
    neuron = tree["log_likelihood"]["spikes"]
    assert full.dims == ("chain", "draw", "trial", "time", "neuron")
    assert neuron.dims == ("chain", "draw", "trial", "neuron")
    assert trial.dims == ("chain", "draw", "trial")
    np.testing.assert_array_equal(np.isnan(full[0, 0]), ~val.seen)
    np.testing.assert_allclose(full.sum("time"), neuron, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(neuron.sum("neuron"), trial, rtol=1e-4)


def test_the_log_likelihood_is_that_of_the_drawn_parameters_and_latents(fitted, val):
    tree = fitted.to_arviz(val, draws=5, log_likelihood="full")
    posterior = tree["posterior"]
    predictor = (posterior["latents"] * posterior["loadings"]).sum("latent") + posterior["baseline"]
    rates = np.exp(predictor).transpose("chain", "draw", "trial", "time", "neuron")
    expected = np.where(val.seen, stats.poisson.logpmf(val.counts, rates), np.nan)
    np.testing.assert_allclose(tree["log_likelihood"]["spikes"], expected, rtol=1e-3, atol=1e-3)


def test_predicted_counts_have_the_means_of_the_rates(fitted, tree, val):
    drawn = tree["posterior_predictive"]["spikes"]
    assert np.issubdtype(drawn.dtype, np.integer)
    rates = np.asarray(fitted.rates(val))
    np.testing.assert_allclose(drawn.mean(("chain", "draw", "trial", "time")), rates.mean((0, 1)), rtol=0.1)


def test_it_goes_through_netcdf(tree, tmp_path):
    tree.to_netcdf(tmp_path / "posterior.nc")
    with xarray.open_datatree(tmp_path / "posterior.nc") as found:
        for group in GROUPS:
            xarray.testing.assert_equal(found[group].to_dataset().load(), tree[group].to_dataset())


def test_two_calls_with_one_seed_are_identical(fitted, val, tree):
    xarray.testing.assert_identical(fitted.to_arviz(val, draws=60), tree)


def test_too_large_a_tree_is_refused_with_the_option_that_shrinks_it(fitted, recording):
    with pytest.raises(nlb.InputError, match=r"100000000 draws .* GB.*Ask for draws=\d+ or fewer"):
        fitted.to_arviz(recording, draws=100_000_000)
    with pytest.raises(nlb.InputError, match=r"Ask for log_likelihood='neuron', draws=\d+"):
        fitted.to_arviz(recording, draws=100_000, log_likelihood="full")


def test_another_form_is_named(fitted, recording):
    with pytest.raises(nlb.InputError, match="log_likelihood='neurons'.*Did you mean 'neuron'"):
        fitted.to_arviz(recording, log_likelihood="neurons")
