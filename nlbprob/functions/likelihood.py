"""A likelihood that a NumPyro function gives to `nlb.observe` as a function from predictors to distributions."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import numpyro.handlers
from jax import lax

from nlbprob.blocks.calls import HANDLERS
from nlbprob.blocks.observation import Observation
from nlbprob.errors import InputError
from nlbprob.functions.program import likelihood, own_sites, zeros
from nlbprob.functions.view import View

#: How far from zero, but for a step of Newton's, the predictor of a mean is looked for, and in how many halvings.
FARTHEST, HALVINGS = 8.0, 24
#: How far log likelihoods may be from those of an elementwise function, in nats.
TOLERANCE = 1e-3
#: What is wrong with a likelihood that is not elementwise.
FAULTS = ("mixes entries", "depends on latents besides", "differs between trials or bins")


@dataclasses.dataclass(frozen=True, eq=False)
class WrittenObservation(Observation):
    """y ~ f(eta), f a function from predictors to NumPyro distributions: all expectations by quadrature.

    The values of the sites that f closes over are the parameters; the function samples them itself.

    Args:
        function: of trials, which makes f.
        seen: a view to run it on.
        dims: latents of each block.
        medians: of the sites that f closes over, where a fit starts.
    """

    function: Callable
    seen: View
    dims: dict[str, int]
    medians: dict[str, Any]

    def distribution(self, predictor, parameters):
        none = zeros(self.dims, self.seen)
        return likelihood(numpyro.handlers.seed(self.function, 0), parameters, self.seen, none)(predictor)

    def start(self, mean, variance):
        return self.medians

    def predictor_of_mean(self, mean):
        """By bisection of the increasing E[y | eta], at the medians of sites, and a step of Newton's at the end."""

        def expected(eta):
            return self.distribution(eta, self.medians).mean

        mean = jnp.asarray(mean, jnp.result_type(float))
        mean = jnp.broadcast_to(mean, jax.eval_shape(expected, mean).shape)
        goal = lax.stop_gradient(mean)

        def halve(_, ends):
            low, high = ends
            middle = 0.5 * (low + high)
            above = expected(middle) > goal
            return jnp.where(above, low, middle), jnp.where(above, middle, high)

        low, high = lax.fori_loop(0, HALVINGS, halve, (jnp.full_like(goal, -FARTHEST), jnp.full_like(goal, FARTHEST)))
        near = lax.stop_gradient(0.5 * (low + high))
        there, slope = jax.jvp(expected, (near,), (jnp.ones_like(near),))
        return near + (mean - there) / slope


def closed_over(function: Callable, seen: View, dims: dict[str, int]) -> tuple[str, ...]:
    """The sites that the likelihood of a function closes over.

    Args:
        function: of trials.
        seen: a view whose trials and bins differ.
        dims: latents of each block.

    Raises:
        InputError: it does not make distributions of counts, each of its own predictor and neuron alone, with a mean
            that rises with the predictor.
    """
    none = zeros(dims, seen)

    def drawn(key):
        first, second, third, fourth, fifth, sixth = jax.random.split(key, 6)
        eta, other = 0.5 * jax.random.normal(first, (2, *seen.counts.shape))
        here, counts = (jax.random.bernoulli(key, shape=eta.shape) for key in (second, third))
        one, two = (own_sites(numpyro.handlers.seed(function, key), seen, dims) for key in (fourth, fifth))

        def log_prob(values, eta, counts, parts=none):
            return checked(function, values, seen, parts, eta).log_prob(counts.astype(eta.dtype))

        def rolled(array):
            return jnp.roll(array, (1, 1), (0, 1))

        x = {name: value + jax.random.normal(sixth, value.shape) for name, value in none.items()}
        alone = log_prob(one, eta, counts)
        swapped = {name: log_prob(one | {name: two[name]}, eta, counts) for name in one}
        pairs = [
            (
                log_prob(one, jnp.where(here, other, eta), counts),
                jnp.where(here, log_prob(one, other, counts), alone),
            ),
            (log_prob(one, eta, counts, x), alone),
            (log_prob(one, rolled(eta), rolled(counts)), rolled(alone)),
        ]
        low, high = (checked(function, one, seen, none, at).mean for at in (eta, eta + 1))
        return alone, swapped, pairs, high - low

    alone, swapped, pairs, rise = jax.tree.map(np.asarray, jax.jit(drawn)(jax.random.key(0)))
    for what, (found, expected) in zip(FAULTS, pairs, strict=True):
        if not np.allclose(found, expected, TOLERANCE, TOLERANCE, equal_nan=True):
            raise InputError(
                f"fit: the likelihood of nlb.observe {what}. Given the predictor it has to factor over trials, bins "
                "and neurons, by one formula for all bins: what couples bins is for latents, and what differs between "
                "them, inputs or latents, for the predictor."
            )
    if (rise < 0).any() or not rise.any():
        raise InputError("fit: the mean of nlb.observe's likelihood has to rise with the predictor eta; turn its sign.")
    return tuple(name for name, found in swapped.items() if not np.allclose(found, alone, 1e-5, 1e-6, equal_nan=True))


def checked(function: Callable, values: dict[str, Any], seen: View, parts: dict[str, Any], eta) -> dist.Distribution:
    """The distribution of counts at predictors eta. Raises InputError where it is none, or has sites inside."""
    with HANDLERS, numpyro.handlers.block(), numpyro.handlers.seed(rng_seed=0), numpyro.handlers.trace() as sites:
        found = likelihood(function, values, seen, parts)(eta)
    if sites:
        raise InputError(
            f"fit: the likelihood of nlb.observe samples {next(iter(sites))!r}. Sample before nlb.observe, and let the "
            "likelihood close over what you sampled."
        )
    shape = (*found.batch_shape, *found.event_shape) if isinstance(found, dist.Distribution) else None
    if shape != eta.shape or found.event_shape:
        kind = type(found).__name__
        raise InputError(
            f"fit: the likelihood of nlb.observe makes {kind} of {shape} of predictors {eta.shape}. It has to be a "
            "function from predictors to a NumPyro distribution of each count, such as "
            "lambda eta: dist.Poisson(jnp.exp(eta)), without to_event."
        )
    return found
