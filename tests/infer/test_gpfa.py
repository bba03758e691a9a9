"""Gaussian-process factor analysis against its textbook algebra: one dense Gaussian over all bins of a trial."""

import numpy as np
import pytest

import nlbprob as nlb
from nlbprob.blocks.base import Context
from tests.conftest import holes

BIN_MS, BINS, NEURONS = 20.0, 12, 5
LENGTHSCALES = np.array([60.0, 200.0])
MODEL = nlb.Model(latents=[nlb.GP(nlb.Matern52(), 2)], observation=nlb.SqrtGaussian())


@pytest.fixture(scope="module")
def known():
    """A posterior whose parameters are known, and trials drawn from them with holes."""
    random = np.random.default_rng(0)
    values = {
        "gp.lengthscale_ms": LENGTHSCALES,
        "loadings": np.abs(random.standard_normal((NEURONS, 2))),
        "baseline": random.uniform(1.0, 3.0, NEURONS),
        "noise_scale": random.uniform(0.3, 0.8, NEURONS),
    }
    trials = nlb.simulate(MODEL, 4, neurons=NEURONS, bins=BINS, bin_ms=BIN_MS, values=values).trials
    draws = {name: value[None] for name, value in values.items()}
    config = {"posterior": "map", "precision": "float64"}
    ids = np.arange(NEURONS)
    return nlb.Posterior(MODEL, Context.of(trials), values, draws, ids, {}, config), holes(trials)


def matern52(lag, lengthscale):
    u = np.sqrt(5) * np.abs(lag) / lengthscale
    return (1 + u + u**2 / 3) * np.exp(-u)


def dense(values, counts, seen):
    """Posterior mean [time, latent] and covariance [latent * time, latent * time] of one trial."""
    lag = BIN_MS * np.subtract.outer(np.arange(BINS), np.arange(BINS))
    prior = np.zeros((2 * BINS, 2 * BINS))
    for k, lengthscale in enumerate(LENGTHSCALES):
        own = slice(k * BINS, (k + 1) * BINS)
        prior[own, own] = matern52(lag, lengthscale)
    design = np.einsum("nk,ts->tnks", values["loadings"], np.eye(BINS)).reshape(BINS * NEURONS, 2 * BINS)
    kept = seen.ravel()
    design, noise = design[kept], np.tile(values["noise_scale"] ** 2, BINS)[kept]
    residual = (np.sqrt(counts.astype(float)) - values["baseline"]).ravel()[kept]
    gain = prior @ design.T @ np.linalg.inv(design @ prior @ design.T + np.diag(noise))
    return (gain @ residual).reshape(2, BINS).T, prior - gain @ design @ prior


def test_latents_and_rates_are_those_of_the_dense_gaussian(known):
    posterior, trials = known
    values = posterior.values
    latents, rates = posterior.latents(trials), np.asarray(posterior.rates(trials))
    sign = np.diag(posterior.rotation)
    for trial in range(trials.n_trials):
        mean, covariance = dense(values, trials.counts[trial], trials.seen[trial])
        np.testing.assert_allclose(latents["mean"][trial], mean * sign, atol=1e-6)
        apart = covariance.reshape(2, BINS, 2, BINS)[:, np.arange(BINS), :, np.arange(BINS)]
        np.testing.assert_allclose(latents["covariance"][trial], apart * np.outer(sign, sign), atol=1e-6)
        predictor = mean @ values["loadings"].T + values["baseline"]
        spread = np.einsum("nk,tkl,nl->tn", values["loadings"], apart, values["loadings"])
        np.testing.assert_allclose(rates[trial], predictor**2 + spread + values["noise_scale"] ** 2, rtol=1e-6)
