"""What a fit leaves: predictions from any subset of entries, parameters, modes, and its form on disk."""

import gc
import json
import zipfile

import numpy as np
import numpyro.distributions as dist
import pytest

import nlbprob as nlb
from tests.conftest import SHORT


@pytest.fixture(scope="module")
def visible(recording):
    return recording.hide_heldout("val")


def test_rates_have_names_and_labels(fitted, recording, visible):
    rates = fitted.rates(visible)
    assert rates.dims == ("trial", "time", "neuron")
    assert rates.shape == recording.counts.shape
    np.testing.assert_array_equal(rates["trial"], recording.table["id"])
    np.testing.assert_array_equal(rates["neuron"], recording.neurons["id"])
    np.testing.assert_array_equal(rates["time"], recording.time_ms)
    assert rates.attrs == {"units": "spikes/bin", "bin_ms": 20.0}
    assert float(rates.min()) > 0


def test_rates_are_expectations_over_the_posterior(fitted, recording):
    """E[exp(c'x + d)] over draws of parameters and trajectories, at their Monte Carlo error."""
    trials = recording.split("val")
    parameters = fitted.parameters(400, seed=3)
    latents = np.asarray(fitted.sample_latents(trials, 400, seed=3))
    predictor = np.einsum("sbtk,snk->sbtn", latents, parameters["loadings"]) + parameters["baseline"][:, None, None]
    drawn = np.exp(predictor)
    error = drawn.std(0) / np.sqrt(400)
    rates = np.asarray(fitted.rates(trials))
    assert np.sqrt((((drawn.mean(0) - rates) / error) ** 2).mean()) < 2.0


def test_what_is_hidden_changes_no_rate_and_what_is_seen_does(fitted, recording, visible):
    rates = np.asarray(fitted.rates(visible))
    other = visible.replace(counts=np.where(visible.seen, visible.counts, 7))
    np.testing.assert_array_equal(fitted.rates(other), rates)
    more = np.asarray(fitted.rates(recording))
    val = recording.table["split"] == "val"
    assert not np.allclose(more[val], rates[val], rtol=1e-3)


def test_rates_do_not_depend_on_which_trials_are_asked_together(fitted, visible):
    order = np.random.default_rng(0).permutation(visible.n_trials)[:7]
    rates = np.asarray(fitted.rates(visible))
    np.testing.assert_allclose(fitted.rates(visible.select(trials=order)), rates[order], rtol=2e-3)


def test_causal_rates_do_not_know_later_bins(fitted, visible):
    rates = np.asarray(fitted.rates(visible, causal=True))
    counts = np.array(visible.counts)
    counts[:, 12:] = counts[:, 12:][:, ::-1] + 1
    changed = np.asarray(fitted.rates(visible.replace(counts=counts), causal=True))
    np.testing.assert_allclose(changed[:, :12], rates[:, :12], rtol=1e-5)
    assert not np.allclose(changed[:, 12:], rates[:, 12:], rtol=1e-2)
    smoothed = np.asarray(fitted.rates(visible))
    seen = visible.seen.any((0, 2))
    assert np.corrcoef(smoothed[:, seen].ravel(), rates[:, seen].ravel())[0, 1] > 0.8
    last = np.flatnonzero(seen)[-1]
    whole = visible.lengths > last  # at the last bin seen filtering and smoothing know the same
    np.testing.assert_allclose(rates[whole][:, last], smoothed[whole][:, last], rtol=0.25)


def test_rates_go_on_beyond_the_last_bin(fitted, visible):
    rates = np.asarray(fitted.rates(visible))
    further = fitted.rates(visible, beyond_ms=400)
    assert further.sizes["time"] == visible.n_bins + 20
    assert float(further["time"][-1]) == visible.time_ms[-1] + 400
    np.testing.assert_allclose(np.asarray(further)[:, : visible.n_bins], rates, rtol=2e-3)
    spread = np.asarray(further).std(0).mean(-1)
    assert spread[-1] < 0.5 * spread[visible.window_bins - 1]  # what is seen tells less and less
    for bad in (30, -20):
        with pytest.raises(nlb.InputError, match=f"beyond_ms={bad} is not a whole number of bins of 20 ms"):
            fitted.rates(visible, beyond_ms=bad)


def test_latents_come_in_the_canonical_basis(fitted, recording):
    loadings = fitted.parameter_mean["loadings"]
    gram = loadings.T @ loadings
    np.testing.assert_allclose(gram, np.diag(np.diag(gram)), atol=1e-4 * gram.max())
    assert gram[0, 0] >= gram[1, 1]
    assert np.all(loadings[np.abs(loadings).argmax(0), [0, 1]] > 0)
    np.testing.assert_allclose(fitted.rotation.T @ fitted.rotation, np.eye(2), atol=1e-6)
    latents = fitted.latents(recording)
    assert latents["mean"].dims == ("trial", "time", "latent")
    assert latents["covariance"].dims == ("trial", "time", "latent", "latent_2")
    assert np.linalg.eigvalsh(latents["covariance"]).min() > 0


def test_rates_and_latents_at_once_are_those_of_each(fitted, visible):
    rates, latents = fitted.rates_and_latents(visible)
    assert rates.identical(fitted.rates(visible))
    assert latents.identical(fitted.latents(visible))


def test_latents_have_unit_second_moment_over_a_trial(fitted, recording):
    latents = fitted.latents(recording.split("train"))
    mean = np.asarray(latents["mean"])
    second = (np.asarray(latents["covariance"]) + mean[..., :, None] * mean[..., None, :]).mean((0, 1))
    np.testing.assert_allclose(second, np.eye(2), atol=0.3)


def test_draws_of_latents_have_the_posteriors_moments(fitted, recording):
    trials = recording.split("val")
    latents, drawn = fitted.latents(trials), fitted.sample_latents(trials, draws=300)
    assert drawn.dims == ("sample", "trial", "time", "latent")
    spread = np.sqrt(np.asarray(latents["covariance"])[..., [0, 1], [0, 1]])
    offset = (np.asarray(drawn).mean(0) - np.asarray(latents["mean"])) / spread
    assert np.abs(offset).mean() < 0.2
    assert np.median(np.asarray(drawn).std(0) / spread) == pytest.approx(1.0, abs=0.25)


def test_parameters_and_modes(fitted):
    parameters = fitted.parameters(50)
    shapes = {name: value.shape for name, value in parameters.items()}
    assert shapes["loadings"] == (50, 10, 2)
    assert shapes["transition_matrix"] == shapes["noise_covariance"] == (50, 2, 2)
    assert shapes["lds.decay_ms"] == (50, 2)
    assert np.abs(np.linalg.eigvals(parameters["transition_matrix"])).max() < 1
    modes = fitted.dynamics(50)
    modulus = np.sort(np.abs(np.linalg.eigvals(fitted.parameter_mean["transition_matrix"])))[::-1]
    assert float(modes["mean_modulus"][0]) == pytest.approx(modulus[0], rel=1e-6)
    np.testing.assert_allclose(modes["mean_decay_ms"], -20.0 / np.log(modes["mean_modulus"]), rtol=1e-5)
    assert int(modes["multiplicity"].sum()) == 2
    assert fitted.parameters(1000)["baseline"].shape == (1000, 10)  # more than were kept


@pytest.mark.parametrize("change", ["ids", "order", "bins"])
def test_trials_of_another_recording_are_refused(fitted, recording, change):
    if change == "ids":
        other = recording.replace(neurons=recording.neurons | {"id": recording.neurons["id"] + 100})
    elif change == "order":
        other = recording.select(neurons=np.arange(10)[::-1])
    else:
        other = recording.replace(bin_ms=10.0, time_ms=np.arange(20) * 10.0)
    message = "bins of 10 ms, the fit of 20 ms" if change == "bins" else "neuron ids are not those of the fit"
    for use in (fitted.rates, fitted.latents, fitted.sample_latents, fitted.to_arviz):
        with pytest.raises(nlb.InputError, match=message):
            use(other)


def test_a_saved_posterior_is_the_same_and_holds_no_pickle(fitted, recording, tmp_path):
    folder = fitted.save(tmp_path / "a" / "posterior")
    found = nlb.Posterior.load(folder)
    np.testing.assert_array_equal(found.rates(recording), fitted.rates(recording))
    assert found.config == fitted.config
    assert found.model == fitted.model
    for group in ("values", "draws", "history"):
        for name, value in getattr(fitted, group).items():
            np.testing.assert_array_equal(getattr(found, group)[name], value)
    for path in folder.iterdir():
        if path.suffix == ".json":
            json.loads(path.read_text())
            continue
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                np.lib.format.read_magic(stream := archive.open(name))
                stream.close()
        with np.load(path, allow_pickle=False) as arrays:
            assert not any(arrays[name].dtype.hasobject for name in arrays.files)


def test_folders_that_hold_no_posterior_are_named(fitted, tmp_path):
    with pytest.raises(nlb.InputError, match="holds no posterior.*is missing"):
        nlb.Posterior.load(tmp_path)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
def test_a_posterior_whose_writing_was_cut_short_is_named(fitted, tmp_path):
    folder = fitted.save(tmp_path / "posterior")
    archive = folder / "posterior.npz"
    archive.write_bytes(archive.read_bytes()[:1000])
    try:
        nlb.Posterior.load(folder)
    except Exception as error:
        found = error.with_traceback(None)
    gc.collect()  # a file left open would show in another test
    assert isinstance(found, nlb.InputError)
    assert "cannot be read" in str(found)


def test_a_posterior_with_priors_of_ones_own_is_loaded_with_its_model(recording, tmp_path):
    model = nlb.Model(latents=[nlb.LDS(2, priors={"decay_ms": dist.LogNormal(5.0, 0.5)})])
    found = nlb.fit(model, recording.split("train"), **SHORT | {"posterior": "map", "svi_steps": 0})
    folder = found.save(tmp_path / "posterior")
    with pytest.raises(nlb.InputError, match="LogNormal.*load it with model="):
        nlb.Posterior.load(folder)
    again = nlb.Posterior.load(folder, model=model)
    np.testing.assert_array_equal(again.rates(recording), found.rates(recording))
