"""float32 at the extremes of size: the bound and the rates of float64, at the same parameters."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.signal import lfilter

import nlbprob as nlb
from nlbprob.blocks.base import Context
from nlbprob.infer.parameters import sites as parameters
from nlbprob.infer.runtime.batch import Batch
from nlbprob.infer.trajectories import cvi, likelihood, marginals
from nlbprob.infer.trajectories.problem import latent_moments, trial_problem

#: Of each case: latents, trials, bins, neurons, typical count of a bin.
SIZES = {
    "10 000 bins": (2, 1, 10_000, 5, 0.3),
    "10 000 bins of 64 latents": (64, 1, 10_000, 80, 0.5),
    "counts to 5 000": (2, 3, 25, 6, 1500.0),
    "1 000 neurons": (2, 2, 12, 1000, 0.2),
    "64 latents": (64, 2, 12, 70, 0.5),
    "one trial": (2, 1, 20, 6, 0.3),
    "one neuron seen": (2, 3, 20, 6, 0.3),
    "a trial with nothing seen": (2, 3, 20, 6, 0.3),
}
#: Where a step takes a minute in float64, there is none: the sites are those of the true latents, near convergence.
LARGE = {"10 000 bins of 64 latents"}


def case(name):
    """A model, trials of slow latents that are not the model's own, a value of every site, and these latents."""
    dim, trials, bins, neurons, typical = SIZES[name]
    random = np.random.default_rng(0)
    latents = lfilter([math.sqrt(1 - 0.97**2)], [1, -0.97], random.standard_normal((trials, bins + 100, dim)), axis=1)
    loadings = 0.5 * random.standard_normal((neurons, dim)) * min(1.0, math.sqrt(4 / dim))
    latents = latents[:, 100:]
    counts = random.poisson(typical * np.exp(latents @ loadings.T))
    seen = np.ones(counts.shape, bool)
    if name == "counts to 5 000":
        counts = np.minimum(counts, 5000)
        counts[0, 3, 1] = 5000
    if name == "one neuron seen":
        seen[..., 1:] = False
    if name == "a trial with nothing seen":
        seen[1] = False
    values = {
        "lds.decay_ms": np.geomspace(20.0, 2000.0, dim),
        "lds.rotation_hz": 0.5 * random.standard_normal(dim * (dim - 1) // 2) / math.sqrt(dim),
        "lds.initial_mean": 0.3 * random.standard_normal(dim),
        "lds.initial_covariance": np.eye(dim) + 0.2,
        "loadings": loadings,
        "baseline": np.full(neurons, math.log(typical)),
    }
    return nlb.Model(latents=[nlb.LDS(dim)]), nlb.Trials.from_arrays(counts, 5.0).replace(seen=seen), values, latents


def found(name, wide):
    """The bound of each trial and all rates, in float64 or float32."""
    model, trials, values, latents = case(name)
    context = Context.of(trials)

    def infer(values, latents, batch):
        problem, rows = trial_problem(model, parameters.parameters_at(model, context, values), batch)
        sites, steps = cvi.empty_sites(*latents.shape, latents.dtype), marginals.COLD_STEPS
        if name in LARGE:
            certain = latents, jnp.zeros((*latents.shape, model.dim), latents.dtype)
            sites, steps = likelihood.expected_log_likelihood(problem, model.observation, rows, *certain)[1], 0
        local = cvi.init(problem, sites)
        local = cvi.iterate(problem, model.observation, rows, local, steps)
        moments = latent_moments(problem, local.smoothed.mean, local.smoothed.covariance)
        location, variance = likelihood.predictor(problem, *moments)
        return local.elbo, model.observation.expected_count(location, variance, problem.observation)

    with jax.enable_x64(wide):
        values = {site: jnp.asarray(value, jnp.result_type(float)) for site, value in values.items()}
        latents = jnp.asarray(latents, jnp.result_type(float))
        elbo, rates = jax.jit(infer)(values, latents, Batch(jnp.asarray(trials.counts), jnp.asarray(trials.seen), {}))
        assert rates.dtype == (jnp.float64 if wide else jnp.float32)
        return np.asarray(elbo, float), np.asarray(rates, float)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in LARGE else name for name in SIZES]
)
def test_float32_has_the_bound_and_the_rates_of_float64(name):
    (elbo, rates), (exact, expected) = found(name, wide=False), found(name, wide=True)
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(elbo, exact, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(rates, expected, rtol=1e-3)
