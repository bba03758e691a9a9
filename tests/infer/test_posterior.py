"""What a fit leaves: predictions from any subset of entries, parameters, modes, and its form on disk."""

import concurrent.futures
import copy
import dataclasses
import errno
import json
import multiprocessing
import pickle
import subprocess
import sys
import zipfile

import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

import nlbprob as nlb
from nlbprob import files
from nlbprob.blocks import spec
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
    parameters = fitted.parameter_draws(400, seed=3)
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
    assert spread[-1] < 0.75 * spread[visible.window_bins - 1]  # what is seen tells less and less
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
    parameters = fitted.parameter_draws(50)
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
    assert fitted.parameter_draws(1000)["baseline"].shape == (1000, 10)  # more than were kept


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


def test_a_posterior_whose_writing_was_cut_short_is_named(fitted, tmp_path):
    folder = fitted.save(tmp_path / "posterior")
    archive = folder / "posterior.npz"
    archive.write_bytes(archive.read_bytes()[:1000])
    with pytest.raises(nlb.InputError, match="posterior.npz cannot be read: it is not the file.*Was its writing cut"):
        nlb.Posterior.load(folder)


def test_a_folder_that_cannot_be_written_keeps_what_it_held(fitted, tmp_path, monkeypatch):
    folder = fitted.save(tmp_path / "posterior")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(files.WriteError, match="free some space"):
        dataclasses.replace(fitted, config=fitted.config | {"seed": 7}).save(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    "prior",
    [
        dist.LogNormal(5.0, 0.5),
        dist.Gamma(np.array([2.0, 3.0]), 0.1),
        dist.Uniform(1.0, 300.0).expand([2]).to_event(1),
        dist.StudentT(5.0, 100.0, 30.0),
        dist.Weibull(100.0, 2.0),
    ],
    ids=lambda prior: type(prior).__name__,
)
def test_priors_of_numpyro_are_saved_by_their_arguments(prior):
    found = spec.from_json(json.loads(json.dumps(spec.to_json(prior))))
    assert type(found) is type(prior)
    assert (found.batch_shape, found.event_shape) == (prior.batch_shape, prior.event_shape)
    value = np.full(prior.batch_shape + prior.event_shape, 50.0)
    np.testing.assert_array_equal(found.log_prob(value), prior.log_prob(value))


def test_a_posterior_with_priors_of_numpyro_is_loaded_by_itself(recording, tmp_path):
    model = nlb.Model(latents=[nlb.LDS(2, priors={"decay_ms": dist.LogNormal(5.0, 0.5)})])
    found = nlb.fit(model, recording.split("train"), **SHORT | {"posterior": "map", "svi_steps": 0})
    again = nlb.Posterior.load(found.save(tmp_path / "posterior"))
    np.testing.assert_array_equal(again.rates(recording), found.rates(recording))
    prior = again.model.latents[0].priors["decay_ms"]
    assert (prior.loc, prior.scale) == (5.0, 0.5)


@dataclasses.dataclass(frozen=True)
class Louder(nlb.Poisson):
    """A block of a user's own."""

    factor: float = 2.0


def test_a_block_of_ones_own_is_loaded_with_its_model(fitted, recording, tmp_path):
    own = dataclasses.replace(fitted, model=dataclasses.replace(fitted.model, observation=Louder()))
    folder = own.save(tmp_path / "posterior")
    with pytest.raises(nlb.InputError, match="Louder.*not part of nlbprob; load it with model="):
        nlb.Posterior.load(folder)
    model = nlb.Model(latents=[nlb.LDS()], observation=Louder())  # the number of latents is that of the fit
    again = nlb.Posterior.load(folder, model=model)
    assert again.model == own.model
    np.testing.assert_array_equal(again.rates(recording), own.rates(recording))
    for other, place in (
        (nlb.Model(latents=[nlb.LDS(3)], observation=Louder()), "latents.0..dim was '2' and is '3'"),
        (nlb.Model(latents=[nlb.LDS(2)]), "observation was 'Louder' and is 'Poisson'"),
        (nlb.Model(latents=[nlb.LDS(2)], observation=Louder(factor=3.0)), "observation.factor was '2.0' and is '3.0'"),
    ):
        with pytest.raises(nlb.InputError, match=f"of another model: model.{place}"):
            nlb.Posterior.load(folder, model=other)


def test_every_public_block_can_be_saved():
    for name, module in nlb.PUBLIC.items():
        kind = getattr(nlb, name)
        if module.startswith("nlbprob.blocks") and dataclasses.is_dataclass(kind):
            assert spec.BLOCKS[spec.name_of(kind)] is kind


def test_numbers_of_numpy_in_the_settings_are_saved_as_pythons(fitted, tmp_path):
    settings = {"svi_steps": np.int64(20), "early_stopping": np.float32(0.5), "em_settled": np.bool_(True)}
    settings |= {"occupancy": {np.str_("lds"): np.array([0.25, 0.75])}}
    folder = dataclasses.replace(fitted, config=fitted.config | settings).save(tmp_path / "posterior")
    found = nlb.Posterior.load(folder).config
    assert found["svi_steps"] == 20
    assert found["early_stopping"] == 0.5
    assert found["em_settled"] is True
    assert found["occupancy"] == {"lds": [0.25, 0.75]}


def test_a_fit_without_iterations_is_saved(fitted, tmp_path):
    history = {name: np.array([]) for name in fitted.history}
    found = nlb.Posterior.load(dataclasses.replace(fitted, history=history).save(tmp_path / "posterior"))
    assert len(found.elbo) == 0


def test_another_format_and_other_versions_are_told(fitted, tmp_path, monkeypatch):
    folder = fitted.save(tmp_path / "posterior")
    with monkeypatch.context() as patch:
        patch.setattr("nlbprob.posterior.saved.version", lambda name: "99.1.0")
        with pytest.warns(UserWarning, match=r"was saved by jax .* \(now 99.1.0\)"):
            nlb.Posterior.load(folder)
    path = folder / "posterior.json"
    path.write_text(path.read_text().replace('"format": 2', '"format": 3'))
    with pytest.raises(nlb.InputError, match="of format '3', this version of nlbprob reads format 2"):
        nlb.Posterior.load(folder)


def rates_of(posterior, trials):
    """What a worker sends back."""
    return np.asarray(posterior.rates(trials))


def test_a_posterior_pickles_and_copies_without_what_is_compiled(fitted, recording):
    rates = fitted.rates(recording)  # compiles
    for again in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted), copy.copy(fitted)):
        assert "moments" not in vars(again)
        assert again.model == fitted.model
        np.testing.assert_array_equal(again.rates(recording), rates)
        pickle.dumps(again)


def test_a_process_of_its_own_predicts_the_same(fitted, recording):
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        np.testing.assert_array_equal(pool.submit(rates_of, fitted, recording).result(), fitted.rates(recording))


def test_joblib_carries_a_posterior(fitted, recording, tmp_path):
    joblib = pytest.importorskip("joblib")
    joblib.dump(fitted, tmp_path / "posterior.joblib")
    again = joblib.load(tmp_path / "posterior.joblib")
    np.testing.assert_array_equal(again.rates(recording), fitted.rates(recording))


def own_function(trials):
    """A NumPyro function as a model."""
    x = nlb.LDS(2)(trials)
    with numpyro.plate("neuron", trials.n_neurons):
        loadings = numpyro.sample("loadings", dist.Normal(0, 1).expand([2]).to_event(1))
        baseline = numpyro.sample("baseline", dist.Normal(0, 1))
    nlb.observe(nlb.Poisson(), x @ loadings.T + baseline, trials)


def test_a_posterior_of_a_function_pickles(recording):
    short = SHORT | {"em_iterations": 1, "svi_steps": 0, "posterior": "map"}
    found = nlb.fit(own_function, recording.split("train"), **short)
    again = pickle.loads(pickle.dumps(found))
    np.testing.assert_array_equal(again.rates(recording), found.rates(recording))


@pytest.mark.slow
def test_numpyro_is_whole_where_arviz_was_imported_first():
    code = "import arviz, nlbprob; nlbprob.LDS(2); import numpyro; print(numpyro.distributions.distribution.Unit)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "<class 'numpyro.distributions.distribution.Unit'>", done.stderr


def test_parameters_are_labelled_and_have_units(fitted):
    found, arrays = fitted.parameters(20, seed=1), fitted.parameter_draws(20, seed=1)
    assert list(found.data_vars) == list(arrays)
    for name, value in arrays.items():
        np.testing.assert_array_equal(found[name], value)
        assert found[name].attrs["units"] == ("ms" if name.endswith("_ms") else "Hz" if name.endswith("_hz") else "1")
    loadings = found["loadings"]
    assert loadings.dims == ("sample", "neuron", "latent")
    np.testing.assert_array_equal(loadings["neuron"], fitted.neuron_ids)
    assert loadings["latent"].values.tolist() == fitted.model.latent_names
    assert found["transition_matrix"].dims == ("sample", "latent", "latent_2")
