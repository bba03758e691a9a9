"""Filters and smoothers against dense Gaussian algebra."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nlbprob.numerics import kalman
from nlbprob.numerics.gaussian import Chain, Sites
from tests.numerics import oracles

TOLERANCE = {"float64": 1e-9, "float32": 2e-4}


def covariance(random, *shape):
    root = random.standard_normal((*shape, shape[-1]))
    return root @ np.swapaxes(root, -1, -2) / shape[-1] + 0.1 * np.eye(shape[-1])


def problem(seed, trials=3, bins=7, state=3, varying=False):
    random = np.random.default_rng(seed)
    lead = (bins - 1,) if varying else ()
    chain = Chain(
        random.standard_normal(state),
        covariance(random, state),
        0.5 * random.standard_normal((*lead, state, state)),
        random.standard_normal((*lead, state)),
        covariance(random, *lead, state),
    )
    precision = covariance(random, trials, bins, state)
    precision[:, bins // 2] = 0
    linear = random.standard_normal((trials, bins, state))
    linear[:, bins // 2] = 0
    return chain, Sites(linear, precision)


def by_trial(chain, trials, seed=5):
    """The chain with an initial mean, an offset and a transition of each trial's own."""
    random = np.random.default_rng(seed)
    bins = len(chain.offset) + 1
    state = chain.initial_mean.size
    return chain._replace(
        initial_mean=random.standard_normal((trials, state)),
        offset=random.standard_normal((trials, bins - 1, state)),
        transition=0.5 * random.standard_normal((trials, bins - 1, state, state)),
    )


def on_device(tree, dtype):
    return jax.tree.map(lambda a: jnp.asarray(a, dtype), tree)


@functools.partial(jax.jit, static_argnums=2)
def solved(chain, sites, parallel=False):
    """Filtered and smoothed moments, and the log normalizer, compiled once for all problems of the same shapes."""
    filtered = kalman.filter(chain, sites, parallel)
    return filtered, kalman.smooth(chain, sites, filtered, parallel), kalman.log_normalizer(filtered, sites)


@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize("varying", [False, True])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("seed", range(3))
def test_moments_normalizer_and_divergence_are_those_of_the_dense_posterior(seed, dtype, varying, parallel):
    chain, sites = problem(seed, varying=varying)
    with jax.enable_x64(dtype == "float64"):
        _, smoothed, log_z = solved(*on_device((chain, sites), dtype), parallel)
    trials, bins, state = sites.linear.shape
    prior = oracles.joint(chain, bins)
    close = {"rtol": TOLERANCE[dtype], "atol": TOLERANCE[dtype]}
    for trial in range(trials):
        mean, dense, log_normalizer = oracles.posterior(chain, sites.linear[trial], sites.precision[trial])
        blocks = dense.reshape(bins, state, bins, state)
        np.testing.assert_allclose(smoothed.mean[trial], mean.reshape(bins, state), **close)
        for t in range(bins):
            np.testing.assert_allclose(smoothed.covariance[trial, t], blocks[t, :, t], **close)
        for t in range(bins - 1):
            np.testing.assert_allclose(smoothed.cross_covariance[trial, t], blocks[t + 1, :, t], **close)
        np.testing.assert_allclose(log_z[trial], log_normalizer, **close)
        np.testing.assert_allclose(
            smoothed.divergence[trial], oracles.gaussian_divergence(mean, dense, *prior), **close
        )


@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize(("dtype", "bins"), [("float64", 7), ("float32", 7), ("float64", 1)])
def test_the_means_respond_to_later_forces_by_the_dense_covariance(dtype, bins, parallel):
    chain, sites = problem(4, bins=bins)
    trials, _, state = sites.linear.shape
    forces = np.random.default_rng(0).normal(size=(trials, bins, state, 2))
    with jax.enable_x64(dtype == "float64"):
        _, smoothed, _ = solved(*on_device((chain, sites), dtype), parallel)
        moved = jax.jit(kalman.later_response, static_argnums=2)(smoothed, jnp.asarray(forces, dtype), parallel)
    assert moved.shape == (trials, bins - 1, state, 2)
    for trial in range(trials):
        _, dense, _ = oracles.posterior(chain, sites.linear[trial], sites.precision[trial])
        later = dense.reshape(bins, state, bins, state) * np.triu(np.ones((bins, bins)), 1)[:, None, :, None]
        expected = np.einsum("tisj,sjf->tif", later, forces[trial])
        np.testing.assert_allclose(moved[trial], expected[:-1], rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@pytest.mark.parametrize("parallel", [False, True])
def test_a_chain_may_differ_from_trial_to_trial(parallel):
    chain, sites = problem(0, varying=True)
    own = by_trial(chain, len(sites.linear))
    with jax.enable_x64(True):
        _, smoothed, _ = solved(*on_device((own, sites), "float64"), parallel)
    for trial in range(len(sites.linear)):
        one = own._replace(
            initial_mean=own.initial_mean[trial], offset=own.offset[trial], transition=own.transition[trial]
        )
        mean, _, _ = oracles.posterior(one, sites.linear[trial], sites.precision[trial])
        np.testing.assert_allclose(smoothed.mean[trial].ravel(), mean, atol=1e-9)


@pytest.mark.parametrize("parallel", [False, True])
def test_one_trial_is_enough_and_vmap_over_trials_gives_the_same(parallel):
    chain, sites = on_device(problem(0), "float32")
    together = solved(chain, sites, parallel)
    each = jax.vmap(lambda one: solved(chain, one, parallel))(sites)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), each, together)


def test_filtered_moments_are_those_of_the_sites_so_far():
    chain, sites = problem(0)
    with jax.enable_x64(True):
        filtered, _, _ = solved(*on_device((chain, sites), "float64"))
    for t in range(1, 7):
        mean, dense, _ = oracles.posterior(chain, sites.linear[0, :t], sites.precision[0, :t])
        np.testing.assert_allclose(filtered.mean[0, t - 1], mean[-3:], atol=1e-9)
        root = np.asarray(filtered.root[0, t - 1])
        np.testing.assert_allclose(root @ root.T, dense[-3:, -3:], atol=1e-9)


@pytest.mark.parametrize("parallel", [False, True])
def test_gradient_of_the_normalizer_matches_finite_differences(parallel):
    chain, sites = problem(1)
    with jax.enable_x64(True):
        chain, sites = on_device((chain, sites), "float64")

        @jax.jit
        def log_z(a):
            moved = chain._replace(transition=a)
            return kalman.log_normalizer(kalman.filter(moved, sites, parallel), sites).sum()

        gradient = jax.jit(jax.grad(log_z))(chain.transition)
        step = 1e-5 * jax.random.normal(jax.random.key(0), (3, 3))
        change = (log_z(chain.transition + step) - log_z(chain.transition - step)) / 2
        np.testing.assert_allclose((gradient * step).sum(), change, rtol=1e-6)


def test_strong_sites_and_tiny_noise_stay_finite_in_float32():
    state, bins = 2, 2000
    chain = on_device(
        Chain(np.zeros(state), np.eye(state), 0.9999 * np.eye(state), np.zeros(state), 2e-4 * np.eye(state)), "float32"
    )
    sites = Sites(jnp.full((1, bins, state), 3e4), jnp.broadcast_to(1e4 * jnp.eye(state), (1, bins, state, state)))
    for parallel in (False, True):
        _, smoothed, _ = solved(chain, sites, parallel)
        np.testing.assert_allclose(smoothed.mean[0, 5:], 3.0, rtol=1e-3)
        assert np.linalg.eigvalsh(np.asarray(smoothed.covariance, float)).min() > 0


def test_one_bin():
    chain, sites = problem(2, bins=1)
    chain = chain._replace(transition=np.eye(3), offset=np.zeros(3), noise=np.eye(3))
    with jax.enable_x64(True):
        given = on_device((chain, sites), "float64")
        for parallel in (False, True):
            _, smoothed, _ = solved(*given, parallel)
            mean, dense, _ = oracles.posterior(chain, sites.linear[0], sites.precision[0])
            np.testing.assert_allclose(smoothed.mean[0, 0], mean, atol=1e-12)
            np.testing.assert_allclose(smoothed.covariance[0, 0], dense, atol=1e-12)


def test_trajectories_sampled_backward_have_the_smoothed_moments():
    chain, sites = problem(0, trials=1, bins=4)
    with jax.enable_x64(True):
        given = on_device((chain, sites), "float64")
        filtered, smoothed, _ = solved(*given)
        keys = jax.random.split(jax.random.key(0), 20_000)
        draws = np.asarray(jax.jit(jax.vmap(lambda key: kalman.sample(key, given[0], filtered)))(keys))[:, 0]
    np.testing.assert_allclose(draws.mean(0), smoothed.mean[0], atol=0.03)
    centred = draws - draws.mean(0)
    covariance = np.einsum("sti,stj->tij", centred, centred) / len(draws)
    np.testing.assert_allclose(covariance, smoothed.covariance[0], atol=0.05)
    cross = np.einsum("sti,stj->tij", centred[:, 1:], centred[:, :-1]) / len(draws)
    np.testing.assert_allclose(cross, smoothed.cross_covariance[0], atol=0.05)
