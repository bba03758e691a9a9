"""The regression that predicts counts from latents inferred from their roots, against quadrature and an optimizer."""

import numpy as np
import pytest
from scipy import optimize

import nlbprob as nlb
from nlbprob.blocks.base import Context
from nlbprob.infer.parameters.sites import count_readout_names
from nlbprob.posterior.count_readout import with_count_readout
from nlbprob.scoring.baselines import SMOOTHING

BIN_MS, NEURONS, BINS = 20.0, 32, 25
MODEL = nlb.Model(latents=[nlb.GP(nlb.Matern52(), 2)], observation=nlb.SqrtGaussian())
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(24)
WEIGHTS = WEIGHTS / WEIGHTS.sum()


def softplus(eta):
    return np.logaddexp(0.0, eta)


@pytest.fixture(scope="module")
def simulated():
    """Poisson counts, mostly 0 or 1, of neurons that two Gaussian processes drive."""
    random = np.random.default_rng(3)
    values = {
        "gp.lengthscale_ms": np.array([60.0, 150.0]),
        "loadings": random.normal(0.0, 0.4, (NEURONS, 2)),
        "baseline": np.log(random.uniform(0.03, 0.2, NEURONS)),
    }
    truth = nlb.Model(latents=MODEL.latents, observation=nlb.Poisson())
    return nlb.simulate(truth, 60, neurons=NEURONS, bins=BINS, bin_ms=BIN_MS, seed=1, values=values)


@pytest.fixture(scope="module")
def trials(simulated):
    return simulated.trials


@pytest.fixture(scope="module")
def without(simulated):
    """A posterior of known parameters, those of the roots found by least squares on the true latents; five draws, in
    which the latents have other scales and shifts.
    """
    roots = np.sqrt(simulated.trials.counts.astype(float)).reshape(-1, NEURONS)
    x = np.asarray(simulated.latents, float).reshape(-1, 2)
    found, squares, *_ = np.linalg.lstsq(np.column_stack([np.ones(len(x)), x]), roots, rcond=None)
    values = {
        "gp.lengthscale_ms": np.array([60.0, 150.0]),
        "loadings": found[1:].T,
        "baseline": found[0],
        "noise_scale": np.sqrt(squares / len(x)),
    }
    scale, shift = np.array([0.8, 0.9, 1.0, 1.1, 1.2]), np.array([-0.2, 0.1, 0.0, -0.1, 0.2])
    draws = {name: np.repeat(value[None], 5, 0) for name, value in values.items()}
    draws["loadings"] = draws["loadings"] * scale[:, None, None]
    draws["baseline"] = draws["baseline"] + shift[:, None] * values["loadings"].sum(1)
    config = {"posterior": "neuron", "precision": "float64", "seed": 0}
    history = {name: np.zeros(0) for name in ("iteration", "elbo", "seconds")} | {"stage": np.zeros(0, "U1")}
    context = Context.of(simulated.trials)
    return nlb.Posterior(MODEL, context, values, draws, np.asarray(simulated.trials.neurons["id"]), history, config)


@pytest.fixture(scope="module")
def posterior(without, trials):
    return with_count_readout(without, trials.split("train"))


@pytest.fixture(scope="module")
def visible(trials):
    return trials.hide_heldout("val").split("val")


def readout(posterior):
    return posterior.values["count_baseline"], posterior.values["count_loadings"] @ posterior.rotation


def test_rates_are_the_expectation_over_latents(posterior, visible):
    baseline, loadings = readout(posterior)
    rates, latents = posterior.rates_and_latents(visible)
    for trial, time in ((0, 0), (3, 12)):
        mean, covariance = latents["mean"].values[trial, time], latents["covariance"].values[trial, time]
        x = mean + np.stack(np.meshgrid(NODES, NODES), -1).reshape(-1, 2) @ np.linalg.cholesky(covariance).T
        integral = np.outer(WEIGHTS, WEIGHTS).ravel() @ softplus(x @ loadings.T + baseline)
        np.testing.assert_allclose(rates[trial, time], integral, rtol=1e-5)


def test_the_readout_maximises_the_expected_likelihood_given_heldin_neurons(posterior, trials):
    learned = trials.split("train")
    latents = posterior.latents(learned.hide_heldout())
    mean, covariance = (latents[name].values.reshape(-1, *latents[name].shape[2:]) for name in ("mean", "covariance"))
    baseline, loadings = readout(posterior)
    scale, location = np.array([2.0, 0.5, 0.5]), np.array([np.log(np.expm1(5 * BIN_MS / 1000)), 0, 0])
    for neuron in (int(np.argmax(trials.heldout)), int(np.argmin(trials.heldout))):
        counts = learned.counts[..., neuron].reshape(-1, 1)

        def loss(w, counts=counts):
            std = np.sqrt(np.einsum("i,tij,j->t", w[1:], covariance, w[1:]) + 1e-30)
            rates = softplus((w[0] + mean @ w[1:])[:, None] + std[:, None] * NODES)
            return ((rates - counts * np.log(rates)) @ WEIGHTS).sum() + 0.5 * (((w - location) / scale) ** 2).sum()

        best = optimize.minimize(loss, np.zeros(3), tol=1e-9).x
        np.testing.assert_allclose([baseline[neuron], *loadings[neuron]], best, atol=1e-3)


def test_scores_are_near_those_of_smoothing_and_above_those_of_squares(without, posterior, trials):
    def bits(rates):
        return nlb.score(rates, trials, fit="train", on="val", metrics=["co-bps"], bootstrap=0).values["co-bps"]

    visible = trials.hide_heldout("val")
    found, smoothed = bits(posterior.rates(visible)), bits(nlb.baselines(trials, fit="train", on="val")[SMOOTHING])
    assert found > smoothed - 0.02 > 0  # rates are exp(c'x + d) here: smoothing has the link of the truth
    assert found > bits(without.rates(visible))


def test_it_is_saved_and_a_posterior_without_it_still_loads(without, posterior, visible, tmp_path):
    for number, each in enumerate((posterior, without)):
        loaded = nlb.Posterior.load(each.save(tmp_path / str(number)))
        np.testing.assert_array_equal(loaded.rates(visible), each.rates(visible))


def test_draws_follow_the_scale_and_shift_of_their_latents(without, posterior):
    baseline, loadings = (posterior.values[name] for name in ("count_baseline", "count_loadings"))
    scale = without.draws["loadings"][:, :1] / without.values["loadings"][0]
    np.testing.assert_allclose(posterior.draws["count_loadings"], scale * loadings, rtol=1e-6)
    shift = (without.draws["baseline"] - without.values["baseline"])[:, :1] / without.values["loadings"].sum(1)[0]
    np.testing.assert_allclose(posterior.draws["count_baseline"], baseline + shift * loadings.sum(1), rtol=1e-6)


def test_counts_are_drawn_about_the_rates(posterior, visible):
    tree = posterior.to_arviz(visible, draws=40, rates=40)
    rates, drawn = np.asarray(posterior.rates(visible)), tree["predictions"]["rates"].values[0]
    np.testing.assert_allclose(drawn.mean((0, 1, 2)), rates.mean((0, 1)), rtol=0.15)
    spikes = tree["posterior_predictive"]["spikes"].values[0]
    assert np.issubdtype(spikes.dtype, np.integer)
    np.testing.assert_allclose(spikes.mean(), rates[visible.seen].mean(), rtol=0.05)
    loadings = tree["posterior"]["count_loadings"]
    assert loadings.dims[2:] == ("neuron", "latent")


def test_online_rates_and_forecasts_have_it(posterior, visible):
    online = posterior.rates(visible, causal=True, beyond_ms=2 * BIN_MS)
    assert online.shape[1] == BINS + 2
    np.testing.assert_allclose(online[:, BINS - 1], posterior.rates(visible)[:, -1], rtol=1e-4)


def test_a_fit_makes_it_and_starts_from_a_posterior_that_has_it(trials):
    model = nlb.Model(latents=[nlb.LDS(2)], observation=nlb.SqrtGaussian())
    options = {"em_iterations": 0, "svi_steps": 0, "posterior": "map", "precision": "float64", "progress": False}
    first = nlb.fit(model, trials.split("train"), **options)
    again = nlb.fit(model, trials.split("train"), init=first, **options)
    assert first.values["count_loadings"].std() > 0.01
    np.testing.assert_allclose(again.values["count_loadings"], first.values["count_loadings"], rtol=1e-6)


def test_only_roots_without_effects_have_it():
    assert count_readout_names(MODEL) == ("count_baseline", "count_loadings")
    effects = nlb.Model(latents=MODEL.latents, observation=nlb.SqrtGaussian(), effects=[nlb.History(60)])
    assert count_readout_names(effects) == count_readout_names(nlb.Model(latents=MODEL.latents)) == ()
