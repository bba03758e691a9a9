"""Filters and smoothers of random chains of several layouts, bins masked, against dense algebra in float64."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nlbprob.numerics import kalman
from nlbprob.numerics.gaussian import Chain, Sites
from tests.numerics import oracles

CLOSE = {"rtol": 1e-8, "atol": 1e-8}


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


#: A handful, since each is compiled: sizes from one, no batch axis to two, every array with every kind of axes.
LAYOUTS = (
    Layout((), 1, 1, "constant", "constant", "time", "constant"),
    Layout((2,), 4, 2, "batch", "time", "batch", "constant"),
    Layout((2, 3), 2, 3, "constant", "batch", "constant", "time"),
    Layout((3,), 5, 1, "batch", "constant", "time", "batch"),
)


def covariance(random, *shape):
    """Random covariances [*shape, last size], none of them near singular."""
    root = random.standard_normal((*shape, shape[-1]))
    return root @ np.swapaxes(root, -1, -2) / shape[-1] + 0.1 * np.eye(shape[-1])


def problem(layout, share, random):
    """A random chain and random sites; a bin is masked, its site zero, with probability 1 - `share`."""
    state, initial = layout.state, layout.batch if layout.initial == "batch" else ()
    chain = Chain(
        random.standard_normal((*initial, state)),
        covariance(random, *initial, state),
        0.6 * random.standard_normal((*layout.lead(layout.transition), state, state)),
        random.standard_normal((*layout.lead(layout.offset), state)),
        covariance(random, *layout.lead(layout.noise), state),
    )
    seen = random.random((*layout.batch, layout.bins)) < share
    linear = seen[..., None] * random.standard_normal((*layout.batch, layout.bins, state))
    return chain, Sites(linear, seen[..., None, None] * covariance(random, *layout.batch, layout.bins, state))


def of_trial(chain, layout, trial):
    """The chain of one trial, with a time axis in each array of the steps."""
    own = [array[trial] if layout.initial == "batch" else array for array in chain[:2]]
    for array, name, axes in zip(chain[2:], (layout.transition, layout.offset, layout.noise), (2, 1, 2), strict=True):
        array = array[trial] if name == "batch" else array
        own.append(np.broadcast_to(array, (layout.bins - 1, *array.shape[-axes:])))
    return Chain(*own)


@functools.partial(jax.jit, static_argnums=2)
def solve(chain, sites, parallel):
    """Filtered and smoothed moments, and the log normalizer."""
    filtered = kalman.filter(chain, sites, parallel)
    return filtered, kalman.smooth(chain, sites, filtered, parallel), kalman.log_normalizer(filtered, sites)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(LAYOUTS), st.sampled_from([0.0, 0.5, 0.8, 1.0]), st.booleans(), st.integers(0, 2**32 - 1))
def test_moments_normalizer_and_divergence_are_those_of_the_dense_posterior(layout, share, parallel, seed):
    chain, sites = problem(layout, share, np.random.default_rng(seed))
    with jax.enable_x64(True):
        found = solve(*jax.tree.map(jnp.asarray, (chain, sites)), parallel)
    for trial in np.ndindex(layout.batch):
        parts = jax.tree.map(lambda array, trial=trial: array[trial], found)
        check(parts, of_trial(chain, layout, trial), sites.linear[trial], sites.precision[trial])


def check(found, chain, linear, precision):
    """Compare what `solve` found of one trial with dense algebra."""
    filtered, smoothed, log_z = found
    bins, state = linear.shape
    mean, dense, expected = oracles.posterior(chain, linear, precision)
    blocks = dense.reshape(bins, state, bins, state)
    np.testing.assert_allclose(log_z, expected, **CLOSE)
    divergence = oracles.gaussian_divergence(mean, dense, *oracles.joint(chain, bins))
    np.testing.assert_allclose(smoothed.divergence, divergence, **CLOSE)
    np.testing.assert_allclose(smoothed.mean.ravel(), mean, **CLOSE)
    for t in range(bins):
        np.testing.assert_allclose(smoothed.covariance[t], blocks[t, :, t], **CLOSE)
        so_far = Chain(*chain[:2], *(array[:t] for array in chain[2:]))
        mean, dense, _ = oracles.posterior(so_far, linear[: t + 1], precision[: t + 1])
        np.testing.assert_allclose(filtered.mean[t], mean[-state:], **CLOSE)
        np.testing.assert_allclose(filtered.covariance[t], dense[-state:, -state:], **CLOSE)
    for t in range(bins - 1):
        np.testing.assert_allclose(smoothed.cross_covariance[t], blocks[t + 1, :, t], **CLOSE)
