"""Sufficient statistics against dense algebra, and the dynamics that they make most probable against derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nlbprob.numerics import statistics
from nlbprob.numerics.gaussian import Chain
from tests.numerics import oracles

ROWS, BINS, STATE, REGIMES, BIN_MS = 3, 5, 2, 2, 20.0
CLOSE = {"rtol": 1e-9, "atol": 1e-10}
LEVEL = 1e-9


@pytest.fixture(autouse=True)
def float64():
    """All of these in the width of dense algebra."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def posterior():
    """Dense means [row, time, state] and covariances [row, time, state, time, state] of random posteriors."""
    random = np.random.default_rng(0)
    means, covariances = [], []
    for _ in range(ROWS):
        root = random.standard_normal((STATE, STATE))
        chain = Chain(np.zeros(STATE), np.eye(STATE), 0.5 * root, random.standard_normal(STATE), 0.3 * np.eye(STATE))
        sites = random.standard_normal((BINS, STATE)), np.broadcast_to(0.5 * np.eye(STATE), (BINS, STATE, STATE))
        mean, dense, _ = oracles.posterior(chain, *sites)
        means.append(mean.reshape(BINS, STATE))
        covariances.append(dense.reshape(BINS, STATE, BINS, STATE))
    return np.stack(means), np.stack(covariances)


@pytest.fixture
def within():
    """Bins that count [row, time]: one row is short, one counts nowhere."""
    inside = np.ones((ROWS, BINS))
    inside[1, 3:] = inside[2] = 0
    return inside


@pytest.fixture
def shifts():
    """The offset of each step [row, step, state], and the shift of each row's start [row, state]."""
    random = np.random.default_rng(1)
    return random.standard_normal((ROWS, BINS - 1, STATE)), random.standard_normal((ROWS, STATE))


@pytest.fixture
def shares():
    """Shares of regimes [row, time, regime]."""
    return np.random.default_rng(2).dirichlet(np.ones(REGIMES), (ROWS, BINS))


def gathered(posterior, shifts, within, shares=None):
    """What the function finds, from the blocks of the dense covariances."""
    mean, dense = posterior
    times, later = np.arange(BINS), np.arange(1, BINS)
    covariance = np.moveaxis(dense[:, times, :, times], 0, 1)
    cross = np.moveaxis(dense[:, later, :, later - 1], 0, 1)
    given = tuple(map(jnp.asarray, (mean, covariance, cross, *shifts, within)))
    return statistics.gather(*given, None if shares is None else jnp.asarray(shares))


def summed(posterior, shifts, weight):
    """The statistics of one regime, step by step."""
    mean, dense = posterior
    offset, _ = shifts
    found = [np.zeros((STATE, STATE)) for _ in range(3)] + [np.zeros(STATE) for _ in range(2)] + [0.0]
    for row in range(ROWS):
        for t in range(1, BINS):
            after, before = mean[row, t] - offset[row, t - 1], mean[row, t - 1]
            terms = (
                dense[row, t, :, t] + np.outer(after, after),
                dense[row, t - 1, :, t - 1] + np.outer(before, before),
                dense[row, t, :, t - 1] + np.outer(after, before),
                after,
                before,
                1.0,
            )
            found = [total + weight[row, t] * term for total, term in zip(found, terms, strict=True)]
    return found


def test_statistics_are_sums_over_the_steps_within(posterior, shifts, within):
    found = gathered(posterior, shifts, within)
    for own, expected in zip(found, summed(posterior, shifts, within), strict=False):
        np.testing.assert_allclose(own, expected, **CLOSE)
    mean, dense = posterior
    start = mean[:, 0] - shifts[1]
    first = sum(within[r, 0] * (dense[r, 0, :, 0] + np.outer(start[r], start[r])) for r in range(ROWS))
    np.testing.assert_allclose(found.first, first, **CLOSE)
    np.testing.assert_allclose(found.first_mean, within[:, 0] @ start, **CLOSE)
    assert found.trials == 2
    assert found.steps == 6


def test_statistics_are_split_among_regimes(posterior, shifts, within, shares):
    found, whole = gathered(posterior, shifts, within, shares), gathered(posterior, shifts, within)
    for regime in range(REGIMES):
        expected = summed(posterior, shifts, within * shares[..., regime])
        for own, one in zip(found, expected, strict=False):
            np.testing.assert_allclose(own[regime], one, **CLOSE)
    for split, one in zip(found[:6], whole[:6], strict=True):
        np.testing.assert_allclose(split.sum(0), one, **CLOSE)
    np.testing.assert_array_equal(found.first, whole.first)


def gaussian(noise, count, scatter):
    """log N summed over `count` residuals with the given sum of squares."""
    return -0.5 * (count * jnp.linalg.slogdet(noise)[1] + jnp.trace(jnp.linalg.solve(noise, scatter)))


def residual(stats, transition, offset):
    """Sum over the steps of E[(x_t - A x_{t-1} - b)(x_t - A x_{t-1} - b)']."""
    after, before = jnp.outer(stats.current_mean, offset), jnp.outer(transition @ stats.previous_mean, offset)
    cross = transition @ stats.cross.T
    second = stats.current + transition @ stats.previous @ transition.T + stats.steps * jnp.outer(offset, offset)
    return second - cross - cross.T - after - after.T + before + before.T


def log_density(stats, transition, offset, noise):
    """E[log p] of the steps, with the prior: a persistent state, of unit variance about zero, seen for a few bins."""
    keep, identity = jnp.exp(-BIN_MS / statistics.PRIOR_DECAY_MS), jnp.eye(STATE)
    shift = transition - keep * identity
    prior = shift @ shift.T + (1 - keep**2) * identity + jnp.outer(offset, offset)
    scatter = residual(stats, transition, offset) + statistics.PRIOR_BINS * prior
    return gaussian(noise, stats.steps + statistics.PRIOR_BINS, scatter)


def log_density_of_starts(stats, mean, covariance):
    """E[log p] of the first states of a given mean, with the prior: unit variance about it, seen in a few trials."""
    cross = jnp.outer(stats.first_mean, mean)
    scatter = stats.first - cross - cross.T + stats.trials * jnp.outer(mean, mean)
    prior = statistics.PRIOR_TRIALS * jnp.eye(STATE)
    return gaussian(covariance, stats.trials + statistics.PRIOR_TRIALS, scatter + prior)


def check_at_the_top(density, *found):
    """No slope in any argument, and lower on either side."""
    density = jax.jit(density)
    for slope in jax.grad(density, tuple(range(len(found))))(*found):
        np.testing.assert_allclose(slope, 0, atol=LEVEL)
    random = np.random.default_rng(3)
    steps = [1e-2 * random.standard_normal(array.shape) for array in found]
    for sign in (-1, 1):
        moved = [array + sign * (step + step.T) for array, step in zip(found, steps, strict=True)]
        assert density(*moved) < density(*found)


def test_the_chain_fitted_is_the_most_probable_one(posterior, shifts, within):
    stats = gathered(posterior, shifts, within)
    chain = statistics.fit_chain(stats, BIN_MS)
    zero = jnp.zeros(STATE)
    check_at_the_top(lambda a, q: log_density(stats, a, zero, q), chain.transition, chain.noise)
    assert np.all(np.asarray(chain.offset) == 0)
    assert np.linalg.eigvalsh(chain.noise).min() > 0


def test_the_first_state_has_a_mean_drawn_to_zero_and_the_most_probable_covariance_about_it(posterior, shifts, within):
    stats = gathered(posterior, shifts, within)
    mean, covariance = statistics.initial(stats)
    start = posterior[0][:, 0] - shifts[1]
    trials = np.concatenate([start[:2], np.zeros((int(statistics.PRIOR_TRIALS), STATE))])
    np.testing.assert_allclose(mean, trials.mean(0), **CLOSE)
    check_at_the_top(lambda p: log_density_of_starts(stats, mean, p), covariance)
    # Expected covariances turn with the state.
    turn = jnp.asarray(np.random.default_rng(5).normal(size=(STATE, STATE)))
    turned = stats._replace(first=turn @ stats.first @ turn.T, first_mean=turn @ stats.first_mean)
    found = statistics.initial(turned, turn @ turn.T)
    np.testing.assert_allclose(found[0], turn @ mean, **CLOSE)
    np.testing.assert_allclose(found[1], turn @ covariance @ turn.T, **CLOSE)


def test_the_regimes_fitted_are_the_most_probable_ones(posterior, shifts, within, shares):
    stats = gathered(posterior, shifts, within, shares)
    for regime in range(REGIMES):
        own = stats._replace(
            **{name: getattr(stats, name)[regime] for name in statistics.SufficientStatistics._fields[:6]}
        )
        check_at_the_top(lambda a, b, q, own=own: log_density(own, a, b, q), *statistics.fit_affine(own, BIN_MS))


def test_without_data_the_dynamics_are_those_of_the_prior():
    zero, none = jnp.zeros((STATE, STATE)), jnp.zeros(STATE)
    stats = statistics.SufficientStatistics(zero, zero, zero, none, none, jnp.zeros(()), zero, none, jnp.zeros(()))
    chain, keep = statistics.fit_chain(stats, BIN_MS), np.exp(-BIN_MS / statistics.PRIOR_DECAY_MS)
    expected = Chain(none, np.eye(STATE), keep * np.eye(STATE), none, (1 - keep**2) * np.eye(STATE))
    for own, one in zip(chain, expected, strict=True):
        np.testing.assert_allclose(own, one, **CLOSE)
    for own, one in zip(statistics.fit_affine(stats, BIN_MS), (chain.transition, none, chain.noise), strict=True):
        np.testing.assert_allclose(own, one, **CLOSE)
