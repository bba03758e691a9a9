"""Filters and smoothers of random chains of several layouts and kinds, bins masked, against dense algebra in float64.

The chains are plain, have singular covariances, a state without any variance, or states of very different scales.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlbprob.numerics import kalman
from nlbprob.numerics.gaussian import Chain, Sites, cholesky, divide, square
from tests.numerics import oracles

CLOSE = {"rtol": 1e-8, "atol": 1e-8}
KINDS = ("plain", "singular", "still", "scaled")
SHARES, SEEDS = st.sampled_from([0.5, 0.0, 1.0]), st.integers(0, 2**32 - 1)


class Layout(NamedTuple):
    """The sizes of a problem, and which axes each of a chain's arrays has before its own.

    initial: the batch axes, or none ("constant"); the others: none, "time", or the batch axes and time ("batch").
    """

    batch: tuple[int, ...]
    bins: int
    state: int
    initial: str
    transition: str
    offset: str
    noise: str

    def lead(self, name: str) -> tuple[int, ...]:
        """The leading axes of an array of the steps."""
        return {"constant": (), "time": (self.bins - 1,), "batch": (*self.batch, self.bins - 1)}[name]


#: A handful, since each is compiled: sizes from one, no batch axis to two, every array with several kinds of axes.
LAYOUTS = {
    "one bin": Layout((), 1, 1, "constant", "constant", "time", "constant"),
    "one latent": Layout((3,), 4, 1, "batch", "time", "batch", "constant"),
    "two batch axes": Layout((2, 2), 3, 3, "constant", "batch", "constant", "time"),
}
ONE_TRIAL = Layout((), 3, 3, "constant", "constant", "constant", "constant")


def covariance(random, *shape, rank=None):
    """Random covariances [*shape, last size], none of them near singular, or all of them of a lower rank."""
    root = random.standard_normal((*shape, shape[-1] if rank is None else rank))
    return root @ root.mT / shape[-1] + (0.1 * np.eye(shape[-1]) if rank is None else 0)


def problem(layout, kind, share, random):
    """A random chain and random sites; a bin is masked, its site zero, with probability 1 - `share`."""
    state, initial = layout.state, layout.batch if layout.initial == "batch" else ()
    rank = state // 2 if kind == "singular" else None
    chain = Chain(
        random.standard_normal((*initial, state)),
        covariance(random, *initial, state, rank=rank),
        0.6 * random.standard_normal((*layout.lead(layout.transition), state, state)),
        random.standard_normal((*layout.lead(layout.offset), state)),
        covariance(random, *layout.lead(layout.noise), state, rank=rank),
    )
    seen = random.random((*layout.batch, layout.bins)) < share
    linear = seen[..., None] * random.standard_normal((*layout.batch, layout.bins, state))
    precision = seen[..., None, None] * covariance(random, *layout.batch, layout.bins, state)
    if kind == "still":  # the last state moves by its offset alone
        for matrix in (chain.initial_covariance, chain.noise):
            matrix[..., -1, :] = matrix[..., :, -1] = 0
        chain.transition[..., -1, :] = np.eye(state)[-1]
    return chain, Sites(linear, precision)


def rescaled(chain, sites, scale):
    """The chain and sites of `scale` times the state."""
    pairs, ratios = scale * scale[:, None], scale[:, None] / scale
    mean, initial, transition, offset, noise = chain
    moved = Chain(mean * scale, initial * pairs, transition * ratios, offset * scale, noise * pairs)
    return moved, Sites(sites.linear / scale, sites.precision / pairs)


def of_trial(chain, layout, trial):
    """The chain of one trial, with a time axis in each array of the steps."""
    own = [array[trial] if layout.initial == "batch" else array for array in chain[:2]]
    for array, name, axes in zip(chain[2:], (layout.transition, layout.offset, layout.noise), (2, 1, 2), strict=True):
        array = array[trial] if name == "batch" else array
        own.append(np.broadcast_to(array, (layout.bins - 1, *array.shape[-axes:])))
    return Chain(*own)


@functools.partial(jax.jit, static_argnums=3)
def solved(chain, sites, scale, parallel):
    """Filtered and smoothed moments of a state of a given scale, in units of that scale, and the log normalizer."""
    chain, sites = rescaled(chain, sites, scale)
    filtered = kalman.filter(chain, sites, parallel)
    smoothed = kalman.smooth(chain, sites, filtered, parallel)
    pairs = scale * scale[:, None]
    moments = (filtered.mean, square(filtered.root), smoothed.mean, smoothed.covariance, smoothed.cross_covariance)
    units = (scale, pairs, scale, pairs, pairs)
    found = [array / unit for array, unit in zip(moments, units, strict=True)]
    return (*found, smoothed.divergence, kalman.log_normalizer(filtered, sites))


@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=4, deadline=None, derandomize=True)
@given(SHARES, SEEDS)
def test_moments_normalizer_and_divergence_are_those_of_the_dense_posterior(kind, layout, parallel, share, seed):
    random = np.random.default_rng(seed)
    chain, sites = problem(layout, kind, share, random)
    scale = 10 ** random.uniform(-6, 6, layout.state) if kind == "scaled" else np.ones(layout.state)
    with jax.enable_x64(True):
        found = jax.tree.map(np.asarray, solved(*jax.tree.map(jnp.asarray, (chain, sites, scale)), parallel))
    for trial in np.ndindex(layout.batch):
        parts = [array[trial] for array in found]
        check(parts, of_trial(chain, layout, trial), sites.linear[trial], sites.precision[trial])


def check(found, chain, linear, precision):
    """Compare what `solved` found of one trial with dense algebra."""
    filtered_mean, filtered_covariance, smoothed_mean, smoothed_covariance, cross, divergence, log_z = found
    bins, state = linear.shape
    mean, dense, expected = oracles.posterior(chain, linear, precision)
    blocks = dense.reshape(bins, state, bins, state)
    np.testing.assert_allclose(log_z, expected, **CLOSE)
    np.testing.assert_allclose(divergence, oracles.divergence(chain, linear, precision), **CLOSE)
    np.testing.assert_allclose(smoothed_mean.ravel(), mean, **CLOSE)
    times, later = np.arange(bins), np.arange(1, bins)
    np.testing.assert_allclose(smoothed_covariance, blocks[times, :, times], **CLOSE)
    np.testing.assert_allclose(cross, blocks[later, :, later - 1], **CLOSE)
    for t in range(bins):
        so_far = Chain(*chain[:2], *(array[:t] for array in chain[2:]))
        mean, dense, _ = oracles.posterior(so_far, linear[: t + 1], precision[: t + 1])
        np.testing.assert_allclose(filtered_mean[t], mean[-state:], **CLOSE)
        np.testing.assert_allclose(filtered_covariance[t], dense[-state:, -state:], **CLOSE)


@pytest.mark.parametrize("parallel", [False, True])
def test_states_of_very_different_scales_keep_their_digits_in_float32(parallel):
    layout = ONE_TRIAL
    chain, sites = problem(layout, "plain", 0.8, np.random.default_rng(0))
    for scale in ([1e-6, 1.0, 1e6], [1e5, 1e-5, 1.0]):
        given = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), (chain, sites, np.array(scale)))
        mean, dense, _ = oracles.posterior(of_trial(chain, layout, ()), *sites)
        blocks = dense.reshape(3, 3, 3, 3)
        found = solved(*given, parallel)
        np.testing.assert_allclose(found[2].ravel(), mean, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found[3], blocks[np.arange(3), :, np.arange(3)], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("parallel", [False, True])
def test_derivatives_match_finite_differences_where_a_state_is_still(parallel):
    random = np.random.default_rng(1)
    layout = Layout((), 3, 2, "constant", "constant", "constant", "constant")
    chain, sites = problem(layout, "still", 0.7, random)
    direction = 1e-5 * random.standard_normal((2, 2))
    direction[-1] = 0  # it stays still: a standard deviation that begins at zero has no slope there
    with jax.enable_x64(True):
        chain, sites = jax.tree.map(jnp.asarray, (chain, sites))

        @jax.jit
        def moved(size):
            """The log normaliser and twice the divergence, after a step of the transition."""
            stepped = chain._replace(transition=chain.transition + size * direction)
            filtered = kalman.filter(stepped, sites, parallel)
            divergence = kalman.smooth(stepped, sites, filtered, parallel).divergence
            return kalman.log_normalizer(filtered, sites) + 2 * divergence

        slope, change = float(jax.jit(jax.grad(moved))(0.0)), float(moved(1.0) - moved(-1.0)) / 2
    assert abs(change) > 1e-7
    np.testing.assert_allclose(slope, change, rtol=1e-5)


def test_draws_of_a_chain_with_a_still_state_have_the_smoothed_moments():
    chain, sites = jax.tree.map(jnp.asarray, problem(ONE_TRIAL, "still", 0.6, np.random.default_rng(2)))

    @jax.jit
    def drawn(key):
        """4000 trajectories."""
        filtered = kalman.filter(chain, sites, parallel=False)
        return jax.vmap(lambda key: kalman.sample(key, chain, filtered))(jax.random.split(key, 4000))

    draws = np.asarray(drawn(jax.random.key(0)))
    mean, dense, _ = oracles.posterior(of_trial(chain, ONE_TRIAL, ()), *map(np.asarray, sites))
    np.testing.assert_allclose(draws.mean(0).ravel(), mean, atol=0.08)
    np.testing.assert_allclose(np.cov(draws.reshape(4000, -1).T), dense, atol=0.15)
    assert np.all(draws[..., 2] == draws[0, :, 2])


def test_a_state_without_variance_is_left_out_of_the_solution():
    matrix = np.array([[2.0, 0.0, 0.6], [0.0, 0.0, 0.0], [0.6, 0.0, 1.0]])
    left = np.random.default_rng(0).standard_normal((2, 3))
    with jax.enable_x64(True):
        found = np.asarray(divide(jnp.asarray(left), cholesky(jnp.asarray(matrix))))
    np.testing.assert_allclose(found, left @ np.linalg.pinv(matrix), atol=1e-12)
