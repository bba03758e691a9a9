"""Trial gains against the dense Gaussian that they and another latent make, and from the spikes of held-out trials."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import nlbprob as nlb
from nlbprob.blocks.base import Context
from nlbprob.infer.parameters import sites as parameters
from nlbprob.infer.runtime.batch import Batch
from nlbprob.infer.trajectories import marginals
from nlbprob.numerics import kalman
from nlbprob.numerics.gaussian import Chain, Sites
from tests.conftest import holes

BINS, NEURONS = 100, 4
LATENTS = [nlb.GP(nlb.Matern12(lengthscale_ms=100.0), 1), nlb.Gain(2)]
VALUES = {
    "loadings": np.random.default_rng(0).standard_normal((NEURONS, 3)),
    "baseline": np.linspace(-0.5, 1.0, NEURONS),
    "noise_scale": np.linspace(0.5, 1.5, NEURONS),
}


def dense(trials, trial):
    """Posterior of (GP [time], gains), and the log evidence, of one trial under Gaussian noise."""
    lag = 10.0 * np.subtract.outer(np.arange(BINS), np.arange(BINS))
    prior = np.eye(BINS + 2)
    prior[:BINS, :BINS] = np.exp(-np.abs(lag) / 100.0)
    own = np.einsum("n,ts->tns", VALUES["loadings"][:, 0], np.eye(BINS)).reshape(-1, BINS)
    kept = trials.seen[trial].ravel()
    design = np.concatenate([own, np.tile(VALUES["loadings"][:, 1:], (BINS, 1))], 1)[kept]
    noise = np.diag(np.tile(VALUES["noise_scale"] ** 2, BINS)[kept])
    residual = (trials.counts[trial] - VALUES["baseline"]).ravel()[kept]
    evidence = design @ prior @ design.T + noise
    gain = prior @ design.T @ np.linalg.inv(evidence)
    exact = stats.multivariate_normal(np.zeros(len(residual)), evidence)
    return gain @ residual, prior - gain @ design @ prior, exact.logpdf(residual)


@pytest.mark.parametrize(("precision", "tolerance"), [("float64", 1e-6), ("float32", 1e-3)])
def test_gains_have_the_posterior_of_the_dense_gaussian(precision, tolerance):
    model = nlb.Model(latents=LATENTS, observation=nlb.Gaussian())
    poisson = nlb.Model(latents=LATENTS)
    values = {name: VALUES[name] for name in ("loadings", "baseline")}
    made = nlb.simulate(poisson, 3, neurons=NEURONS, bins=BINS, bin_ms=10.0, seed=4, values=values)
    trials = holes(made.trials)
    with jax.enable_x64(precision == "float64"):
        sites = {name: jnp.asarray(value, jnp.result_type(float)) for name, value in VALUES.items()}
        theta = parameters.parameters_at(model, Context.of(trials), sites)
        batch = Batch(jnp.asarray(trials.counts), jnp.asarray(trials.seen), {})
        _, _, local = jax.jit(lambda theta, batch: marginals.infer(model, theta, batch))(theta, batch)
        mean, covariance = np.asarray(local.smoothed.mean), np.asarray(local.smoothed.covariance)
    for trial in range(3):
        centre, spread, evidence = dense(trials, trial)
        assert float(local.elbo[trial]) == pytest.approx(evidence, rel=tolerance)
        np.testing.assert_allclose(mean[trial, :, 0], centre[:BINS], atol=tolerance)
        np.testing.assert_allclose(mean[trial, :, 1:], np.tile(centre[BINS:], (BINS, 1)), atol=tolerance)
        whole = np.broadcast_to(spread[BINS:, BINS:], (BINS, 2, 2))
        np.testing.assert_allclose(covariance[trial, :, 1:, 1:], whole, atol=tolerance)


@pytest.mark.parametrize(("parallel", "bins"), [(False, 1000), (True, 40)])
def test_a_state_that_does_not_move_is_smoothed_to_one_number_in_float32(parallel, bins):
    random, identity = np.random.default_rng(1), jnp.eye(2)
    chain = Chain(jnp.zeros(2), identity, identity, jnp.zeros(2), jnp.zeros((2, 2)))
    root = 0.3 * random.standard_normal((bins, 2, 2))
    linear, precision = random.standard_normal((bins, 2)), root @ root.transpose(0, 2, 1)
    precision[bins // 2 :], linear[bins // 2 :] = 0.0, 0.0
    sites = Sites(*(jnp.asarray(a, jnp.float32) for a in (linear, precision)))

    @jax.jit
    def smooth(chain, sites):
        return kalman.smooth(chain, sites, kalman.filter(chain, sites, parallel), parallel)

    smoothed = smooth(chain, sites)
    spread = np.linalg.inv(np.eye(2) + precision.sum(0))
    np.testing.assert_allclose(smoothed.mean, np.tile(spread @ linear.sum(0), (bins, 1)), atol=1e-3)
    np.testing.assert_allclose(smoothed.covariance, np.broadcast_to(spread, (bins, 2, 2)), rtol=2e-3, atol=1e-5)


def test_a_fit_finds_the_gains_of_trials_that_it_has_not_seen():
    model = nlb.Model(latents=[nlb.Gain()])
    values = {"loadings": np.linspace(0.3, 0.9, 12)[:, None], "baseline": np.full(12, np.log(0.2))}
    made = nlb.simulate(model, 60, neurons=12, bins=25, bin_ms=20.0, seed=2, values=values)
    options = {"posterior": "map", "em_iterations": 10, "svi_steps": 0, "progress": False}
    posterior = nlb.fit(model, made.trials.split("train"), **options)
    val = made.trials.table["split"] == "val"
    found = posterior.latents(made.trials.split("val").hide_heldout("val"))["mean"]
    np.testing.assert_allclose(found[:, -1], found[:, 0], atol=1e-3)
    assert np.corrcoef(found[:, 0, 0], made.latents[val, 0, 0])[0, 1] > 0.9
    loadings = np.abs(posterior.parameter_mean["loadings"][:, 0])
    np.testing.assert_allclose(loadings, values["loadings"][:, 0], atol=0.25)
    with pytest.raises(nlb.InputError, match="no block with a transition matrix"):
        posterior.dynamics()
