"""The posterior as ArviZ takes it: groups, named dimensions, coordinates, sizes."""

import errno
import warnings

import arviz as az
import numpy as np
import pytest
import xarray
from scipy import stats

import nlbprob as nlb
from nlbprob import files

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
    assert tree["posterior_predictive"]["spikes"].dims == ("chain", "draw", "entry")
    for group in ("posterior", "constant_data"):
        np.testing.assert_array_equal(tree[group]["neuron"], val.neurons["id"])
        np.testing.assert_array_equal(tree[group]["trial"], val.table["id"])
    np.testing.assert_array_equal(tree["constant_data"]["time"], val.time_ms)
    assert tree["constant_data"]["time"].attrs["units"] == "ms"


def test_sites_of_dense_dynamics_lie_in_directions_of_their_own(tree):
    """They are not those of the canonical latents, which "latent" labels."""
    posterior = tree["posterior"]
    assert posterior["lds.decay_ms"].dims[2:] == ("lds_direction",)
    assert posterior["lds.initial_mean"].dims[2:] == ("lds_direction",)
    assert posterior["lds.initial_covariance"].dims[2:] == ("lds_direction", "lds_direction_2")
    assert posterior["initial_mean"].dims[2:] == ("latent",)
    labels = [label for label in az.summary(tree, var_names=["lds.decay_ms"]).index if "lds 1" in label]
    assert not labels


def test_every_variable_has_a_unit(tree, fitted, val):
    for group in GROUPS:
        for name, variable in tree[group].data_vars.items():
            assert variable.attrs["units"], (group, name)
    assert tree["log_likelihood"]["spikes"].attrs["units"] == "nats"
    assert tree["observed_data"]["spikes"].attrs["units"] == "spikes/bin"
    assert tree["posterior"]["lds.decay_ms"].attrs["units"] == "ms"
    assert tree["posterior"]["loadings"].attrs["units"] == "1"
    modes = fitted.dynamics(draws=3)
    units = {name: variable.attrs["units"] for name, variable in modes.data_vars.items()}
    assert units["frequency_hz"] == units["mean_frequency_hz"] == "Hz"
    assert units["decay_ms"] == "ms"
    assert units["modulus"] == "1"
    assert {variable.attrs["units"] for variable in fitted.latents(val).data_vars.values()} == {"1"}


def test_what_is_not_seen_is_absent(tree, val, fitted):
    trial, time, neuron = np.nonzero(val.seen)
    for group in ("observed_data", "posterior_predictive"):
        spikes = tree[group]["spikes"]
        np.testing.assert_array_equal(spikes["trial"], val.table["id"][trial])
        np.testing.assert_array_equal(spikes["time"], val.time_ms[time])
        np.testing.assert_array_equal(spikes["neuron"], val.neurons["id"][neuron])
        assert spikes.dtype == np.int16  # ArviZ takes unsigned numbers for continuous
    trial, neuron = np.nonzero(val.seen.any(1))
    pairs = tree["log_likelihood"]["spikes"]
    np.testing.assert_array_equal(pairs["trial"], val.table["id"][trial])
    np.testing.assert_array_equal(pairs["neuron"], val.neurons["id"][neuron])
    one = val.replace(seen=val.seen & (np.arange(val.n_trials) != 1)[:, None, None])
    likelihood = fitted.to_arviz(one, draws=3, log_likelihood="trial")["log_likelihood"]["spikes"]
    np.testing.assert_array_equal(likelihood["trial"], np.delete(val.table["id"], 1))


@pytest.mark.parametrize("log_likelihood", ["neuron", "trial", "full"])
def test_arviz_compares_and_plots_it(fitted, val, log_likelihood):
    tree = fitted.to_arviz(val, draws=100, log_likelihood=log_likelihood)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of ArviZ's own: that PSIS cannot be trusted here
        loo = az.loo(tree, pointwise=True)
        table = az.compare({"one": tree, "other": tree}, method="pseudo-BMA", round_to="none")
        az.plot_ppc_rootogram(tree, backend="none")
        az.plot_ppc_dist(tree, backend="none")
    assert loo.n_data_points == tree["log_likelihood"]["spikes"][0, 0].size
    assert np.isfinite(loo.elpd)
    np.testing.assert_allclose(table["elpd"], loo.elpd)


def test_the_data_are_those_handed_in(tree, val, fitted):
    np.testing.assert_array_equal(tree["observed_data"]["spikes"], val.counts[val.seen])
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


def placed(entries, seen):
    """Entries [..., entry] in their places, [..., trial, time, neuron]; zero where nothing is seen."""
    whole = np.zeros((*entries.shape[:-1], *seen.shape))
    whole[..., seen] = entries
    return whole


def test_forms_of_the_log_likelihood_are_sums_of_each_other(fitted, val, tree):
    full = fitted.to_arviz(val, draws=60, log_likelihood="full")["log_likelihood"]["spikes"]
    trial = fitted.to_arviz(val, draws=60, log_likelihood="trial")["log_likelihood"]["spikes"]
    neuron = tree["log_likelihood"]["spikes"]
    assert full.dims == ("chain", "draw", "entry")
    assert neuron.dims == ("chain", "draw", "pair")
    assert trial.dims == ("chain", "draw", "trial")
    by_neuron = placed(full.values, val.seen).sum(3)
    np.testing.assert_allclose(by_neuron[..., val.seen.any(1)], neuron, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(placed(neuron.values, val.seen.any(1)).sum(3), trial, rtol=1e-4)
    np.testing.assert_allclose(trial.sum("trial"), tree["sample_stats"]["lp"], rtol=1e-4)


def test_the_log_likelihood_is_that_of_the_drawn_parameters_and_latents(fitted, val):
    tree = fitted.to_arviz(val, draws=5, log_likelihood="full", rates=5)
    posterior = tree["posterior"]
    predictor = (posterior["latents"] * posterior["loadings"]).sum("latent") + posterior["baseline"]
    rates = np.exp(predictor).transpose("chain", "draw", "trial", "time", "neuron")
    np.testing.assert_allclose(tree["predictions"]["rates"], rates, rtol=1e-3)
    expected = stats.poisson.logpmf(val.counts, rates)[..., val.seen]
    np.testing.assert_allclose(tree["log_likelihood"]["spikes"], expected, rtol=1e-3, atol=1e-3)


def test_predicted_counts_have_the_means_of_the_rates(fitted, tree, val):
    drawn = tree["posterior_predictive"]["spikes"]
    assert np.issubdtype(drawn.dtype, np.integer)
    rates, whole = np.asarray(fitted.rates(val)), placed(drawn.values, val.seen)
    seen = val.seen.any((0, 1))
    expected = (rates * val.seen).sum((0, 1))
    np.testing.assert_allclose(whole.sum((2, 3)).mean((0, 1))[seen], expected[seen], rtol=0.1)


def test_it_goes_through_netcdf(tree, tmp_path):
    tree.to_netcdf(tmp_path / "posterior.nc")
    with xarray.open_datatree(tmp_path / "posterior.nc") as found:
        for group in GROUPS:
            xarray.testing.assert_equal(found[group].to_dataset().load(), tree[group].to_dataset())


def test_a_file_holds_what_the_tree_does(fitted, val, tmp_path):
    options = {"draws": 20, "log_likelihood": "neuron", "latents": "summary", "predictive": 3, "rates": 2}
    path = tmp_path / "posterior.nc"
    fitted.to_netcdf(path, val, **options)
    tree = fitted.to_arviz(val, **options)
    with xarray.open_datatree(path) as found:
        assert set(found.children) == set(tree.children) == GROUPS | {"predictions", "latents"}
        for group in tree.children:
            same = {"predictions": 2**-7, "latents": 2**-8}.get(group, 0.0)  # what is rounded, and by how much
            xarray.testing.assert_allclose(found[group].to_dataset().load(), tree[group].to_dataset(), same, 0.0)
            units = {name: variable.attrs["units"] for name, variable in tree[group].data_vars.items()}
            assert {name: found[group][name].attrs["units"] for name in units} == units
        assert found["predictions"]["rates"].sizes["draw"] == 2
        assert found["posterior_predictive"]["spikes"].sizes["draw"] == 3
        assert found["constant_data"]["seen"].dtype == bool
        assert found["observed_data"]["spikes"].dtype == np.int16
    latents = fitted.latents(val)
    np.testing.assert_allclose(tree["latents"]["mean"], latents["mean"], rtol=1e-4, atol=1e-5)
    variance = np.einsum("btkk->btk", latents["covariance"])
    np.testing.assert_allclose(tree["latents"]["std"], np.sqrt(variance), rtol=1e-4)


def test_a_file_is_small_by_default_and_holds_more_on_request(fitted, val, tmp_path):
    small, large = tmp_path / "small.nc", tmp_path / "large.nc"
    fitted.to_netcdf(small, val)
    fitted.to_netcdf(large, val, latents="draws", predictive=200, rates=200, log_likelihood="full")
    with xarray.open_datatree(small) as found:
        assert found["posterior"]["loadings"].sizes["draw"] == 200
        assert found["log_likelihood"]["spikes"].dims == ("chain", "draw", "trial")
        assert found["predictions"]["rates"].sizes["draw"] == 4
        assert "latents" not in found["posterior"]
    with xarray.open_datatree(large) as found:
        assert found["posterior"]["latents"].sizes["draw"] == found["predictions"]["rates"].sizes["draw"] == 200
    assert small.stat().st_size < 0.4 * large.stat().st_size


def test_a_file_that_the_disk_does_not_take_leaves_the_old_one(fitted, val, tmp_path, monkeypatch):
    path = tmp_path / "posterior.nc"
    path.write_bytes(b"old")

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(files.WriteError, match="posterior.nc cannot be written: no space left.*free some space"):
        fitted.to_netcdf(path, val, draws=2)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.slow
def test_text_ids_and_models_with_states_go_through_a_file(tmp_path):
    model = nlb.Model(latents=[nlb.SwitchingLDS(2, 2), nlb.Templates(2, dim=1)], observation=nlb.NegativeBinomial())
    made = nlb.simulate(model, 6, neurons=6, bins=8, bin_ms=20.0, values={"baseline": np.zeros(6)})
    parts = made.trials.replace(neurons=made.trials.neurons | {"id": np.array(list("abcdef"))})
    posterior = nlb.fit(model, parts, em_iterations=1, svi_steps=0, posterior="map", progress=False)
    path = tmp_path / "posterior.nc"
    posterior.to_netcdf(path, parts, draws=6, log_likelihood="neuron")
    tree = posterior.to_arviz(parts, draws=6, latents="summary", predictive=4, rates=4)
    with xarray.open_datatree(path) as found:
        for name in ("component", "slds.regime"):
            np.testing.assert_array_equal(found["posterior"][name], tree["posterior"][name])
        np.testing.assert_array_equal(found["observed_data"]["neuron"], tree["observed_data"]["neuron"])
        np.testing.assert_array_equal(found["posterior_predictive"]["spikes"], tree["posterior_predictive"]["spikes"])


def test_two_calls_with_one_seed_are_identical(fitted, val, tree):
    xarray.testing.assert_identical(fitted.to_arviz(val, draws=60), tree)


def test_too_large_a_tree_is_refused_with_the_option_that_shrinks_it(fitted, recording):
    with pytest.raises(nlb.InputError, match=r"100000000 draws .* GB.*Ask for latents='summary', draws=\d+ or fewer"):
        fitted.to_arviz(recording, draws=100_000_000)
    with pytest.raises(nlb.InputError, match=r"Ask for log_likelihood='neuron', latents='summary', draws=\d+"):
        fitted.to_arviz(recording, draws=100_000, log_likelihood="full")


def test_another_form_is_named(fitted, recording):
    with pytest.raises(nlb.InputError, match="log_likelihood='neurons'.*Did you mean 'neuron'"):
        fitted.to_arviz(recording, log_likelihood="neurons")
    with pytest.raises(nlb.InputError, match="latents='mean'.*There are: 'draws', 'summary'"):
        fitted.to_arviz(recording, latents="mean")
    for name in ("draws", "predictive"):
        with pytest.raises(nlb.InputError, match=f"{name}=0: give a whole number of draws, at least 1"):
            fitted.to_arviz(recording, **{name: 0})
