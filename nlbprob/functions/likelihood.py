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
from nlbprob.blocks.observation_base import Observation
from nlbprob.errors import InputError
from nlbprob.functions.program import function_sites, likelihood, zero_latents
from nlbprob.functions.view import View

#: The bisection for the predictor of a mean: its largest predictor, and its number of halvings.
FARTHEST, HALVINGS = 8.0, 24
#: Largest difference of log likelihoods from those of an elementwise function, in nats.
TOLERANCE = 1e-3
#: What is wrong with a likelihood that is not elementwise.
FAULTS = ("mixes entries", "depends on latents other than by the predictor", "differs between trials or bins")


@dataclasses.dataclass(frozen=True, eq=False)
class FunctionObservation(Observation):
    """y ~ f(eta), f a function from predictors to NumPyro distributions: all expectations by quadrature.

    The values of the sites that f closes over are the parameters; the function samples them itself.

    Args:
        function: of trials, which gives f to `nlb.observe`.
        seen: a view to run it on.
        dims: latents of each block.
        medians: of the sites that f closes over, at which a fit starts.
    """

    function: Callable
    seen: View
    dims: dict[str, int]
    medians: dict[str, Any]

    def distribution(self, predictor, parameters):
        zero = zero_latents(self.dims, self.seen)
        return likelihood(numpyro.handlers.seed(self.function, 0), parameters, self.seen, zero)(predictor)

    def start(self, mean, variance):
        return self.medians

    def predictor_of_mean(self, mean):
        """By bisection of the increasing E[y | eta] at the medians of sites, then one Newton step."""

        def expected(eta):
            return self.distribution(eta, self.medians).mean

        mean = jnp.asarray(mean, jnp.result_type(float))
        mean = jnp.broadcast_to(mean, jax.eval_shape(expected, mean).shape)
        goal = lax.stop_gradient(mean)

        def halve(_, ends):
            low, high = ends
            midpoint = 0.5 * (low + high)
            too_high = expected(midpoint) > goal
            return jnp.where(too_high, low, midpoint), jnp.where(too_high, midpoint, high)

        low, high = lax.fori_loop(0, HALVINGS, halve, (jnp.full_like(goal, -FARTHEST), jnp.full_like(goal, FARTHEST)))
        near = lax.stop_gradient(0.5 * (low + high))
        mean_there, slope = jax.jvp(expected, (near,), (jnp.ones_like(near),))
        return near + (mean - mean_there) / slope


def closed_over(function: Callable, seen: View, dims: dict[str, int]) -> tuple[str, ...]:
    """The sites that the likelihood of a function closes over.

    Args:
        function: of trials.
        seen: a view whose trials and bins differ.
        dims: latents of each block.

    Raises:
        InputError: it does not return distributions of counts, each a function of its own predictor and neuron, with a
            mean that rises with the predictor.
    """
    zero = zero_latents(dims, seen)

    def drawn(key):
        first, second, third, fourth, fifth, sixth = jax.random.split(key, 6)
        eta, other = 0.5 * jax.random.normal(first, (2, *seen.counts.shape))
        swap, counts = (jax.random.bernoulli(key, shape=eta.shape) for key in (second, third))
        sites, other_sites = (
            function_sites(numpyro.handlers.seed(function, key), seen, dims) for key in (fourth, fifth)
        )

        def log_prob(values, eta, counts, parts=zero):
            return checked(function, values, seen, parts, eta).log_prob(counts.astype(eta.dtype))

        def rolled(array):
            return jnp.roll(array, (1, 1), (0, 1))

        x = {name: value + jax.random.normal(sixth, value.shape) for name, value in zero.items()}
        reference = log_prob(sites, eta, counts)
        swapped = {name: log_prob(sites | {name: other_sites[name]}, eta, counts) for name in sites}
        pairs = [
            (
                log_prob(sites, jnp.where(swap, other, eta), counts),
                jnp.where(swap, log_prob(sites, other, counts), reference),
            ),
            (log_prob(sites, eta, counts, x), reference),
            (log_prob(sites, rolled(eta), rolled(counts)), rolled(reference)),
        ]
        low, high = (checked(function, sites, seen, zero, at).mean for at in (eta, eta + 1))
        return reference, swapped, pairs, high - low

    reference, swapped, pairs, rise = jax.tree.map(np.asarray, jax.jit(drawn)(jax.random.key(0)))
    for what, (value, expected) in zip(FAULTS, pairs, strict=True):
        if not np.allclose(value, expected, TOLERANCE, TOLERANCE, equal_nan=True):
            raise InputError(
                f"fit: the likelihood of nlb.observe {what}. Given the predictor it has to factor over trials, bins "
                "and neurons, by one formula for all bins: what couples bins is for latents, and what differs between "
                "them, inputs or latents, for the predictor."
            )
    if (rise < 0).any() or not rise.any():
        raise InputError("fit: the mean of nlb.observe's likelihood has to rise with the predictor eta; turn its sign.")
    return tuple(
        name for name, value in swapped.items() if not np.allclose(value, reference, 1e-5, 1e-6, equal_nan=True)
    )


def checked(function: Callable, values: dict[str, Any], seen: View, parts: dict[str, Any], eta) -> dist.Distribution:
    """The distribution of counts at predictors eta. Raises InputError where it is none, or samples sites."""
    with HANDLERS, numpyro.handlers.block(), numpyro.handlers.seed(rng_seed=0), numpyro.handlers.trace() as sites:
        distribution = likelihood(function, values, seen, parts)(eta)
    if sites:
        raise InputError(
            f"fit: the likelihood of nlb.observe samples {next(iter(sites))!r}. Sample before nlb.observe, and let the "
            "likelihood close over what you sampled."
        )
    shape = (
        (*distribution.batch_shape, *distribution.event_shape) if isinstance(distribution, dist.Distribution) else None
    )
    if shape != eta.shape or distribution.event_shape:
        kind = type(distribution).__name__
        raise InputError(
            f"fit: the likelihood of nlb.observe makes {kind} of {shape} of predictors {eta.shape}. It has to be a "
            "function from predictors to a NumPyro distribution of each count, such as "
            "lambda eta: dist.Poisson(jnp.exp(eta)), without to_event."
        )
    return distribution
