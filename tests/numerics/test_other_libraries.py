"""Kalman smoothing and forward-backward against dynamax and cuthbertlib, which share no code with ours."""

import warnings

import cuthbertlib.kalman
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cuthbertlib.discrete import filtering, smoothing
from scipy.special import log_softmax

from nlbprob.numerics import hmm, kalman
from nlbprob.numerics.gaussian import Chain, Sites

with warnings.catch_warnings():
    # TensorFlow Probability, which dynamax imports, uses names that JAX is about to drop.
    warnings.simplefilter("ignore", DeprecationWarning)
    from dynamax.hidden_markov_model import hmm_smoother
    from dynamax.linear_gaussian_ssm import lgssm_smoother
    from dynamax.linear_gaussian_ssm.inference import make_lgssm_params

BINS, STATE, CHANNELS, STATES = 6, 2, 3, 3
CLOSE = {"rtol": 1e-9, "atol": 1e-9}


@pytest.fixture(autouse=True)
def float64():
    """Both libraries compute in the width of what they are given."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def chain():
    """A chain whose matrices stay the same."""
    random = np.random.default_rng(0)
    root = random.standard_normal((2, STATE, STATE))
    covariance = root @ root.mT + 0.2 * np.eye(STATE)
    transition = 0.6 * random.standard_normal((STATE, STATE))
    mean, offset = random.standard_normal((2, STATE))
    return Chain(*map(jnp.asarray, (mean, covariance[0], transition, offset, covariance[1])))


@pytest.fixture
def channel():
    """Matrix H, noise covariance R and observations y [time, channel] of y = H x + N(0, R)."""
    random = np.random.default_rng(1)
    root = random.standard_normal((CHANNELS, CHANNELS))
    matrix = random.standard_normal((CHANNELS, STATE))
    return matrix, root @ root.T + 0.2 * np.eye(CHANNELS), random.standard_normal((BINS, CHANNELS))


@jax.jit
def ours(chain, sites):
    """Our filtered and smoothed moments."""
    filtered = kalman.filter(chain, sites, parallel=False)
    return filtered, kalman.smooth(chain, sites, filtered, parallel=False)


def smoothed(chain, channel):
    """Our smoothed moments, and log p(y); a bin of NaN is unseen."""
    matrix, noise, observed = channel
    inverse, seen = np.linalg.inv(noise), ~np.isnan(observed).any(1)
    known = np.where(seen[:, None], observed, 0.0)
    linear, precision = known @ inverse @ matrix, seen[:, None, None] * (matrix.T @ inverse @ matrix)
    sites = Sites(jnp.asarray(linear), jnp.asarray(precision))
    filtered, found = ours(chain, sites)
    constant = seen.sum() * (CHANNELS * np.log(2 * np.pi) + np.linalg.slogdet(noise)[1])
    quadratic = np.einsum("ti,ij,tj->", known, inverse, known)
    log_likelihood = kalman.log_normalizer(filtered, sites) - 0.5 * (constant + quadratic)
    return found, log_likelihood


def test_a_chain_is_smoothed_as_by_dynamax(chain, channel):
    close = {"rtol": 1e-6, "atol": 1e-7}  # dynamax adds 1e-9 to the variances that it inverts
    matrix, noise, observed = channel
    mean, covariance, transition, offset, shocks = chain
    params = make_lgssm_params(mean, covariance, transition, shocks, jnp.asarray(matrix), jnp.asarray(noise), offset)
    expected = jax.jit(lgssm_smoother)(params, jnp.asarray(observed))
    found, log_likelihood = smoothed(chain, channel)
    np.testing.assert_allclose(found.mean, expected.smoothed_means, **close)
    np.testing.assert_allclose(found.covariance, expected.smoothed_covariances, **close)
    products = found.cross_covariance.mT + found.mean[:-1, :, None] * found.mean[1:, None, :]
    np.testing.assert_allclose(products, expected.smoothed_cross_covariances, **close)
    np.testing.assert_allclose(log_likelihood, expected.marginal_loglik, **close)


def test_a_chain_with_an_unseen_bin_is_smoothed_as_by_cuthbertlib(chain, channel):
    matrix, noise, observed = channel
    observed[2] = np.nan
    root, zero = jnp.linalg.cholesky, jnp.zeros(CHANNELS)
    predict, update = map(jax.jit, (cuthbertlib.kalman.predict, cuthbertlib.kalman.filter_update))
    state, total, filtered = (chain.initial_mean, root(chain.initial_covariance)), 0.0, []
    step = (chain.transition, chain.offset, root(chain.noise))
    for t in range(BINS):
        state = predict(*state, *step) if t else state
        state, gained = update(*state, jnp.asarray(matrix), zero, root(jnp.asarray(noise)), jnp.asarray(observed[t]))
        total += gained
        filtered.append(state)
    found, log_likelihood = smoothed(chain, channel)
    np.testing.assert_allclose(log_likelihood, total, **CLOSE)
    back = jax.jit(cuthbertlib.kalman.smoother_update)
    for t in reversed(range(BINS)):
        state = filtered[t] if t == BINS - 1 else back(*filtered[t], *state, *step)[0]
        np.testing.assert_allclose(found.mean[t], state[0], **CLOSE)
        np.testing.assert_allclose(found.covariance[t], state[1] @ state[1].T, **CLOSE)


@pytest.fixture
def path():
    """Log probabilities: initial [state], transition [step, from, to], evidence [time, state]."""
    random = np.random.default_rng(2)
    initial, transition = random.standard_normal(STATES), random.standard_normal((BINS - 1, STATES, STATES))
    evidence = 2 * random.standard_normal((BINS, STATES))
    return tuple(map(jnp.asarray, (log_softmax(initial), log_softmax(transition, -1), evidence)))


def test_a_path_has_the_marginals_of_dynamax(path):
    initial, transition, evidence = path
    expected = jax.jit(hmm_smoother)(jnp.exp(initial), jnp.exp(transition), evidence)
    found = jax.jit(hmm.forward_backward)(*path)
    np.testing.assert_allclose(found.marginal, expected.smoothed_probs, **CLOSE)
    np.testing.assert_allclose(found.pair, expected.trans_probs, **CLOSE)
    np.testing.assert_allclose(found.log_normalizer, expected.marginal_loglik, **CLOSE)


def test_a_path_has_the_marginals_of_cuthbertlib(path):
    initial, transition, evidence = path[0], jnp.exp(path[1]), path[2]
    found = jax.jit(hmm.forward_backward)(*path)
    condition = jax.jit(filtering.condition_on_obs)
    state, total = condition(jnp.exp(initial), evidence[0])
    filtered = [state]
    for step, likelihood in zip(transition, evidence[1:], strict=True):
        state, gained = condition(filtered[-1] @ step, likelihood)
        filtered.append(state)
        total += gained
    np.testing.assert_allclose(found.log_normalizer, total, **CLOSE)
    np.testing.assert_allclose(found.marginal[-1], state, **CLOSE)
    for t in reversed(range(BINS - 1)):
        backward = smoothing.get_reverse_kernel(filtered[t], transition[t])  # [to, from]
        np.testing.assert_allclose(found.pair[t], (state[:, None] * backward).T, **CLOSE)
        state = state @ backward
        np.testing.assert_allclose(found.marginal[t], state, **CLOSE)
