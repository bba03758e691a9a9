"""`fit`: its forms of posterior, its two stages, and what must not change its result."""

import inspect
import json

import jax
import numpy as np
import numpyro.distributions as dist
import optax
import pytest
import tqdm.auto
from numpyro.infer.autoguide import AutoNormal

import nlbprob as nlb
from nlbprob.infer.fit.fit import Interrupted
from tests.conftest import DECAY_MS, FREQUENCY_HZ, SHORT

MODEL = nlb.Model(latents=[nlb.LDS(2)])
#: Point estimates by variational EM alone, in float64, so that rounding hides nothing.
EM = {"posterior": "map", "em_iterations": 6, "svi_steps": 0, "precision": "float64", "progress": False}


def scores(posterior, trials):
    rates = posterior.rates(trials.hide_heldout("val"))
    return nlb.score(rates, trials, fit="train", on="val", bootstrap=0).values


def test_the_elbo_rises_in_em_and_the_history_tells_the_stages(fitted):
    history = fitted.history
    assert list(history["stage"]) == ["em"] * 10 + ["svi"] * 20
    assert list(history["iteration"]) == list(range(1, 31))
    assert np.all(np.diff(fitted.elbo[:10]) > -0.5)  # one that lowers it is taken back in the next
    assert fitted.elbo[9] > fitted.elbo[0] + 100.0
    assert np.isfinite(fitted.elbo).all()
    assert np.all(np.diff(history["seconds"]) >= 0)
    assert "2 latents, 10 neurons, bins of 20 ms" in repr(fitted)


def test_the_fit_finds_what_the_recording_was_drawn_with(fitted, truth, recording):
    modes = fitted.dynamics()
    assert float(modes["mean_frequency_hz"][0]) == pytest.approx(FREQUENCY_HZ, abs=0.4)
    low, high = np.quantile(modes["decay_ms"].values.reshape(-1, modes.sizes["mode"])[:, 0], (0.025, 0.975))
    assert low < DECAY_MS < high < 10 * DECAY_MS
    mean = np.asarray(fitted.latents(recording)["mean"]).reshape(-1, 2)
    true = truth.latents.reshape(-1, 2) - truth.latents.mean((0, 1))
    design = np.column_stack([mean, np.ones(len(mean))])
    residual = true - design @ np.linalg.lstsq(design, true)[0]
    assert (residual**2).sum() < 0.35 * (true**2).sum()
    found = scores(fitted, recording)["co-bps"]
    assert found > 0.5 * nlb.score(truth.rates, recording, fit="train", on="val", bootstrap=0).values["co-bps"]


def test_one_seed_gives_identical_metrics(fitted, recording):
    again = nlb.fit(MODEL, recording.split("train"), seed=1, **SHORT)
    for name, value in fitted.values.items():
        np.testing.assert_array_equal(value, again.values[name])
        np.testing.assert_array_equal(fitted.draws[name], again.draws[name])
    np.testing.assert_array_equal(fitted.elbo, again.elbo)
    assert scores(fitted, recording) == scores(again, recording)


@pytest.mark.parametrize("family", ["normal", pytest.param("lowrank", marks=pytest.mark.slow), "map"])
def test_other_forms_of_posterior(fitted, recording, family):
    found = nlb.fit(MODEL, recording.split("train"), seed=1, posterior=family, **SHORT)
    assert scores(found, recording)["co-bps"] == pytest.approx(scores(fitted, recording)["co-bps"], abs=0.05)
    draws = found.parameter_sites(100)["loadings"]
    if family == "map":
        assert np.all(draws.std(0) < 1e-5)
        return
    assert np.all(draws.std(0) > 0.01)
    if family == "lowrank":
        np.testing.assert_allclose(np.median(draws.std(0) / fitted.draws["loadings"].std(0)), 1.0, atol=0.3)
        return
    rows = found.draws["loadings"] - found.draws["loadings"].mean(0)
    correlation = np.mean(rows[..., 0] * rows[..., 1], 0) / (rows[..., 0].std(0) * rows[..., 1].std(0))
    assert np.abs(correlation).max() < 4 / np.sqrt(len(rows))  # independent, where "neuron" need not be


@pytest.mark.slow
def test_a_guide_of_numpyros_can_be_used(fitted, recording):
    found = nlb.fit(MODEL, recording.split("train"), seed=1, guide=AutoNormal, **SHORT)
    assert found.config["posterior"] == "AutoNormal"
    assert found.draws["loadings"].shape == (400, 10, 2)
    assert scores(found, recording)["co-bps"] == pytest.approx(scores(fitted, recording)["co-bps"], abs=0.05)


def test_minibatches_and_an_optimizer_can_be_chosen(fitted, recording):
    options = SHORT | {"em_iterations": 0, "svi_steps": 6, "batch_size": 5, "optimizer": optax.sgd(1e-9)}
    found = nlb.fit(MODEL, recording.split("train"), init=fitted, **options)
    assert list(found.history["stage"]) == ["svi"] * 6
    start = nlb.fit(MODEL, recording.split("train"), init=fitted, **options | {"svi_steps": 0})
    np.testing.assert_allclose(found.values["loadings"], start.values["loadings"], atol=1e-3)  # it hardly moved
    assert np.ptp(found.elbo) > 1.0  # of other trials each time


def test_init_goes_on_where_a_fit_ended(fitted, recording):
    options = SHORT | {"em_iterations": 1, "svi_steps": 0}
    went_on = nlb.fit(MODEL, recording.split("train"), posterior="map", init=fitted, **options)
    fresh = nlb.fit(MODEL, recording.split("train"), posterior="map", **options)
    assert went_on.elbo[0] > fresh.elbo[0] + 10
    assert went_on.elbo[0] > fitted.elbo[8] - 5
    with pytest.raises(nlb.InputError, match="neuron ids are not those of the fit"):
        nlb.fit(MODEL, recording.split("train").select(neurons=np.arange(9)), init=fitted, **options)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nlb.Model(latents=[nlb.LDS(3)]), r"'lds.decay_ms' is of shape \(2,\), that of this model is of shape \(3,\)"),
        (nlb.Model(latents=[nlb.GP(dim=2)]), "'gp.lengthscale_ms' is absent"),
        (nlb.Model(latents=[nlb.LDS(2)], observation=nlb.NegativeBinomial()), "'dispersion' is absent"),
        (nlb.Model(latents=[nlb.LDS(2, name="slow")]), "'lds.decay_ms' is of shape .*, that of this model is absent"),
    ],
    ids=["dim", "block", "observation", "name"],
)
def test_init_of_another_model_is_refused(fitted, recording, model, message):
    with pytest.raises(nlb.InputError, match=f"init is a fit of another model: its site {message}"):
        nlb.fit(model, recording.split("train"), init=fitted, **SHORT)


def test_a_fit_in_numpys_numbers_is_the_same_and_can_be_saved(fitted, recording, tmp_path):
    unchecked = inspect.unwrap(nlb.fit)  # what the tests check of annotations is in no user's way
    numbers = {"seed": np.int64(1), "em_iterations": np.int32(10), "svi_steps": np.uint8(20)}
    numbers |= {"early_stopping": np.float32(0), "batch_size": None, "progress": np.False_}
    found = unchecked(MODEL, recording.split("train"), **numbers)
    assert json.dumps(found.config) == json.dumps(fitted.config)
    np.testing.assert_array_equal(found.rates(recording), fitted.rates(recording))
    found.save(tmp_path / "fit")
    assert nlb.Posterior.load(tmp_path / "fit").config == fitted.config


def test_ctrl_c_leaves_the_posterior_so_far(recording, monkeypatch):
    def stop(self, count=1):
        self.n += count
        if self.n == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(tqdm.auto.tqdm, "update", stop)
    with pytest.raises(Interrupted) as caught:
        nlb.fit(MODEL, recording.split("train"), **SHORT | {"progress": True})
    found = caught.value.posterior
    assert len(found.elbo) == 3
    assert found.rates(recording).shape == recording.counts.shape
    monkeypatch.undo()
    went_on = nlb.fit(MODEL, recording.split("train"), init=found, **SHORT | {"svi_steps": 0})
    assert went_on.elbo[0] > found.elbo[-1]


@pytest.fixture(scope="module")
def point(recording):
    """Point estimates of the training trials, and those trials."""
    trials = recording.split("train")
    return nlb.fit(MODEL, trials, **EM), trials


def assert_same(found, expected, bound=1e-9, **tolerances):
    """Parameters within the tolerances, and bounds."""
    for name, value in expected.parameter_mean.items():
        np.testing.assert_allclose(found.parameter_mean[name], value, err_msg=name, **tolerances)
    np.testing.assert_allclose(found.elbo, expected.elbo, rtol=bound)


def test_what_is_not_seen_changes_nothing(point):
    posterior, trials = point
    other = trials.replace(counts=np.where(trials.seen, trials.counts, 9))
    found = nlb.fit(MODEL, other, **EM)
    for name, value in posterior.values.items():
        np.testing.assert_array_equal(found.values[name], value, err_msg=name)
    np.testing.assert_array_equal(found.rates(other), posterior.rates(trials))


def test_padding_changes_nothing_in_parameters_after_em(point):
    posterior, trials = point
    longer = nlb.Trials(
        np.pad(trials.counts, ((0, 0), (0, 7), (0, 0))),
        np.pad(trials.seen, ((0, 0), (0, 7), (0, 0))),
        trials.bin_ms,
        trials.neurons,
        trials.table,
        20.0 * np.arange(27),
    )
    found = nlb.fit(MODEL, longer, **EM)
    assert_same(found, posterior, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(np.asarray(found.rates(longer))[:, :20], posterior.rates(trials), rtol=1e-6)


def test_permuting_trials_permutes_the_result(point):
    posterior, trials = point
    order = np.random.default_rng(0).permutation(trials.n_trials)
    found = nlb.fit(MODEL, trials.select(trials=order), **EM)
    assert_same(found, posterior, bound=1e-8, rtol=1e-5, atol=1e-7)  # float32 is summed in another order
    rates = np.asarray(posterior.rates(trials))[order]
    np.testing.assert_allclose(found.rates(trials.select(trials=order)), rates, rtol=1e-5)


def test_permuting_neurons_permutes_the_result(point):
    posterior, trials = point
    order = np.random.default_rng(1).permutation(trials.n_neurons)
    shuffled = trials.select(neurons=order)
    found = nlb.fit(MODEL, shuffled, **EM)
    for name in ("loadings", "baseline"):
        expected = posterior.parameter_mean[name][order]
        np.testing.assert_allclose(found.parameter_mean[name], expected, rtol=1e-5, atol=1e-6, err_msg=name)
    np.testing.assert_allclose(found.rates(shuffled), np.asarray(posterior.rates(trials))[..., order], rtol=1e-5)


def test_float64_is_used_inside_alone(point):
    posterior, trials = point
    assert posterior.values["loadings"].dtype == np.float64
    assert posterior.rates(trials).dtype == np.float64
    assert jax.numpy.zeros(1).dtype == np.float32
    assert not jax.config.jax_enable_x64


def test_float32_agrees_with_float64(point):
    posterior, trials = point
    single = nlb.fit(MODEL, trials, **EM | {"precision": "float32"})
    assert single.values["loadings"].dtype == np.float32
    np.testing.assert_allclose(single.elbo, posterior.elbo, rtol=1e-4)
    np.testing.assert_allclose(single.rates(trials), posterior.rates(trials), rtol=0.02)


def test_a_silent_neuron_is_kept_and_predicted_from_its_baselines_prior(recording):
    trials = recording.split("train")
    counts = np.array(trials.counts)
    counts[..., 4] = 0
    found = nlb.fit(MODEL, trials.replace(counts=counts), **SHORT)
    rates = np.asarray(found.rates(trials))
    assert np.isfinite(rates).all()
    assert 0 < rates[..., 4].max() < 0.1
    assert np.abs(found.parameter_mean["loadings"][4]).max() < 1.0


def test_settings_are_kept_as_json(fitted):
    settings = json.loads(json.dumps(fitted.config))
    expected = {"posterior": "neuron", "seed": 1, "em_iterations": 10, "svi_steps": 20, "precision": "float32"}
    assert expected.items() <= settings.items()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"posterior": "normel"}, "posterior='normel'.*Did you mean 'normal'"),
        ({"precision": "float16"}, "precision='float16'.*'float32', 'float64'"),
    ],
)
def test_options_that_do_not_exist_are_named(recording, options, message):
    with pytest.raises(nlb.InputError, match=message):
        nlb.fit(MODEL, recording, **options)


def test_data_that_cannot_be_fitted_are_named(recording):
    with pytest.raises(nlb.InputError, match="no spike is seen.*check the split, the window"):
        nlb.fit(MODEL, recording.replace(counts=np.zeros_like(recording.counts)))
    with pytest.raises(nlb.InputError, match="no spike is seen"):
        nlb.fit(MODEL, recording.replace(seen=np.zeros_like(recording.seen)))
    with pytest.raises(nlb.InputError, match="11 latents.*10 neurons"):
        nlb.fit(nlb.Model(latents=[nlb.LDS(11)]), recording)
    with pytest.raises(nlb.InputError, match="decay_ms"):
        nlb.fit(nlb.Model(latents=[nlb.LDS(2, priors={"decay_ms": dist.LogNormal(np.zeros(3), 1.0)})]), recording)
