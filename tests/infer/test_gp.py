"""Inference with Gaussian-process latents: exact answers, gradients in float32, timescales that are found again."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import nlbprob as nlb
from nlbprob.blocks.base import Context
from nlbprob.blocks.markov import LinearGaussianMarkov
from nlbprob.infer.parameters import sites as parameters
from nlbprob.infer.runtime.batch import Batch
from nlbprob.infer.trajectories import bound as bound_of
from nlbprob.infer.trajectories import cvi
from nlbprob.infer.trajectories.problem import trial_problem

BIN_MS, BINS, NEURONS = 5.0, 60, 8
KERNELS = {
    "matern12": (nlb.Matern12(), {"lengthscale_ms": [40.0, 200.0]}),
    "matern32": (nlb.Matern32(), {"lengthscale_ms": [20.0, 1000.0]}),
    "matern52": (nlb.Matern52(), {"lengthscale_ms": [60.0, 1000.0]}),
    "sum": (
        nlb.Matern52() + nlb.Matern12(),
        {
            "lengthscale_ms_1": [300.0, 800.0],
            "lengthscale_ms_2": [30.0, 50.0],
            "weight": [[0.7, 0.3], [0.5, 0.5]],
        },
    ),
    "quasi-periodic": (
        nlb.QuasiPeriodic(harmonics=3),
        {"lengthscale_ms": [500.0, 300.0], "period_ms": [150.0, 200.0], "smoothness": [1.5, 1.2]},
    ),
    "periodic": (nlb.Periodic(harmonics=3), {"period_ms": [150.0, 200.0], "smoothness": [1.5, 1.2]}),
}
#: The others have nothing that these have not.
QUICK = ("matern32", "quasi-periodic")
EACH = [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in KERNELS]


@functools.cache
def drawn(name, kind="Poisson"):
    """Six trials of eight neurons that fire about once a bin, drawn from two latents; values of all sites."""
    kernel, values = KERNELS[name]
    model = nlb.Model(latents=[nlb.GP(kernel, 2)])
    values = {f"gp.{site}": np.array(value) for site, value in values.items()}
    loadings = 0.7 * np.random.default_rng(0).standard_normal((NEURONS, 2))
    values |= {"loadings": loadings, "baseline": np.zeros(NEURONS)}
    trials = nlb.simulate(model, 6, neurons=NEURONS, bins=BINS, bin_ms=BIN_MS, seed=1, values=values).trials
    if kind == "Gaussian":
        model = nlb.Model(latents=[nlb.GP(kernel, 2)], observation=nlb.Gaussian())
        values["noise_scale"] = np.linspace(0.5, 1.5, NEURONS)
    return model, trials, values


@functools.cache
def compiled(name, kind="Poisson"):
    """(values -> converged posterior), (values, posterior -> gradient of the bound)."""
    model, trials, _ = drawn(name, kind)
    context = Context.of(trials)

    def given(values):
        batch = Batch(jnp.asarray(trials.counts), jnp.asarray(trials.seen), {})
        return trial_problem(model, parameters.parameters_at(model, context, values), batch)

    def solve(values):
        one, batch = given(values)
        sites = cvi.empty_sites(6, BINS, 2, one.loadings.dtype)
        start = cvi.init(one, sites)
        return cvi.iterate(one, model.observation, batch, start, 60)

    def bound(values, local):
        one, batch = given(values)
        return bound_of.bound(one, model.observation, batch, local).sum()

    return jax.jit(solve), jax.jit(jax.grad(bound))


def solved(name, wide, kind="Poisson", **changed):
    """Values of all sites, in float64 or float32, and the converged posterior there."""
    _, _, values = drawn(name, kind)
    solve, _ = compiled(name, kind)
    with jax.enable_x64(wide):
        values = {site: jnp.asarray(value, jnp.result_type(float)) for site, value in (values | changed).items()}
        return values, solve(values)


def slopes(name, wide):
    """The gradient of the bound in the kernel's own sites, where the posterior has converged."""
    values, local = solved(name, wide)
    with jax.enable_x64(wide):
        gradient = compiled(name)[1](values, local)
    return {site: np.asarray(gradient[site], float) for site in values if site.startswith("gp.")}


@functools.cache
def log_marginal_likelihoods(name):
    """log p(y) of each trial under Gaussian noise: one dense normal over all bins and neurons."""
    model, trials, values = drawn(name, "Gaussian")
    with jax.enable_x64(True):
        find = jax.jit(functools.partial(parameters.parameters_at, model, Context.of(trials)))
        own = find({site: jnp.asarray(value) for site, value in values.items()})
    h, chain = np.asarray(own.dynamics[0].emission), own.dynamics[0].chain
    lags, state = [], np.asarray(chain.initial_covariance)
    for _ in range(BINS):
        lags.append(values["loadings"] @ h @ state @ h.T @ values["loadings"].T)
        state = np.asarray(chain.transition) @ state
    apart = np.subtract.outer(np.arange(BINS), np.arange(BINS))
    covariance = np.array(lags)[np.abs(apart)].transpose(0, 2, 1, 3).reshape(BINS * NEURONS, -1)
    covariance += np.kron(np.eye(BINS), np.diag(values["noise_scale"] ** 2))
    exact = stats.multivariate_normal(np.tile(values["baseline"], BINS), covariance)
    return exact.logpdf(trials.counts.reshape(len(trials.counts), -1).astype(float))


@pytest.mark.parametrize(("wide", "tolerance"), [(True, 1e-8), (False, 1e-4)])
@pytest.mark.parametrize("name", EACH)
def test_with_gaussian_observations_the_bound_is_the_log_marginal_likelihood(name, wide, tolerance):
    _, local = solved(name, wide, "Gaussian")
    np.testing.assert_allclose(local.elbo, log_marginal_likelihoods(name), rtol=tolerance)


@pytest.mark.parametrize("name", EACH)
def test_gradients_of_the_optimised_bound_hold_in_float32(name):
    exact, single = slopes(name, wide=True), slopes(name, wide=False)
    for site, slope in exact.items():
        value = drawn(name)[2][site]
        # Per log unit, since hyper-parameters are of very different size.
        largest = np.abs(slope * value).max()
        np.testing.assert_allclose(single[site] * value, slope * value, rtol=0.02, atol=0.01 * largest)


@pytest.mark.parametrize("name", ["matern32", pytest.param("quasi-periodic", marks=pytest.mark.slow)])
def test_gradients_are_finite_differences_of_the_optimised_bound(name):
    _, _, values = drawn(name)
    for site, slope in slopes(name, wide=True).items():
        step = 1e-4 * values[site]
        ahead, behind = (
            np.asarray(solved(name, True, **{site: values[site] + s * step})[1].elbo).sum() for s in (1, -1)
        )
        assert slope @ values[site] == pytest.approx((ahead - behind) / 2e-4, rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("name", EACH)
def test_posterior_draws_have_the_smoothed_moments_in_float32(name):
    _, local = solved(name, wide=False)
    draws = jax.jit(lambda s: LinearGaussianMarkov.from_smoothed(s).sample(jax.random.key(0), (400,)))(local.smoothed)
    assert np.isfinite(draws).all()
    spread = np.diagonal(local.smoothed.covariance, axis1=-2, axis2=-1)
    np.testing.assert_allclose((np.var(draws, 0) / spread).mean((0, 1)), 1.0, atol=0.1)
    # The mean over draws is off by a standard error, a twentieth of a standard deviation.
    error = (np.mean(draws, 0) - local.smoothed.mean) / np.sqrt(spread)
    assert np.sqrt((error**2).mean()) < 0.07


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_fit_finds_the_timescales(seed):
    truth = nlb.Model(latents=[nlb.GP(nlb.Matern32(), 2)])
    lengthscales = np.array([250.0, 50.0])
    loadings = 0.5 * np.random.default_rng(seed).standard_normal((20, 2))
    values = {"gp.lengthscale_ms": lengthscales, "loadings": loadings, "baseline": np.zeros(20)}
    trials = nlb.simulate(truth, 40, neurons=20, bins=80, bin_ms=10.0, seed=seed, values=values).trials
    found = nlb.fit(truth, trials, seed=seed, em_iterations=60, svi_steps=20, progress=False)
    assert np.isfinite(found.elbo).all()
    np.testing.assert_allclose(np.sort(found.parameter_mean["gp.lengthscale_ms"]), np.sort(lengthscales), rtol=0.2)
    assert np.asarray(found.rates(trials)).shape == trials.counts.shape
