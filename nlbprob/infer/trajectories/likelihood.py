"""The expected log likelihood of counts under a posterior of the latents, and the sites that follow from it."""

from typing import TYPE_CHECKING

import jax.numpy as jnp
from jaxtyping import Array, Float

from nlbprob.infer.runtime.batch import Batch
from nlbprob.infer.trajectories.problem import TrialProblem
from nlbprob.numerics.gaussian import Sites, apply

if TYPE_CHECKING:
    from nlbprob.blocks.observations import Observation


#: Most that the uncertainty of parameters adds to the variance of a predictor. Rates are averaged over it: a few bins
#: whose latents lie so far out that parameters say nothing there would count for more than all others.
LARGEST_VARIANCE = 4.0


def outer_products(loadings: Float[Array, "neuron state"]) -> Float[Array, "neuron pair"]:
    """c_n c_n' flattened, one row a neuron, so that sums over neurons are matrix products."""
    return (loadings[:, :, None] * loadings[:, None, :]).reshape(loadings.shape[0], -1)


def predictor(
    problem: TrialProblem, mean: Float[Array, "*batch latent"], covariance: Float[Array, "*#batch latent latent"]
) -> tuple[Float[Array, "*batch neuron"], Float[Array, "*#batch neuron"]]:
    """Mean and variance of every neuron's predictor eta = c'x + offset: [..., neuron], from moments of the latents.

    The mean is c'm + d, the variance c'Pc; where (d, c) are uncertain with covariance S, plus E[(1, x) S (1, x)'],
    which takes eta, a product of two normal vectors, for normal; of that at most `LARGEST_VARIANCE`.
    """
    flat = covariance.reshape(*covariance.shape[:-2], -1)
    variance = flat @ outer_products(problem.loadings).T
    if problem.uncertainty is not None:
        variance = variance + jnp.minimum(added_variance(problem, mean, flat), LARGEST_VARIANCE)
    return mean @ problem.loadings.T + problem.offset, variance


def added_variance(
    problem: TrialProblem, mean: Float[Array, "*batch latent"], flat: Float[Array, "*#batch pair"]
) -> Float[Array, "*batch neuron"]:
    """E[(1, x) S (1, x)'] of every neuron, not limited yet; flat: the covariance of x, flattened."""
    constant, cross, quadratic = split_uncertainty(problem)
    second = flat + (mean[..., :, None] * mean[..., None, :]).reshape(*mean.shape[:-1], -1)
    return constant + 2 * mean @ cross.T + second @ quadratic.T


def split_uncertainty(
    problem: TrialProblem,
) -> tuple[Float[Array, " neuron"], Float[Array, "neuron latent"], Float[Array, "neuron pair"]]:
    """The covariance of (d, c) of each neuron: of d [neuron], of c with d [neuron, latent], of c [neuron, pair]."""
    covariance = problem.uncertainty
    assert covariance is not None
    return covariance[:, 0, 0], covariance[:, 1:, 0], covariance[:, 1:, 1:].reshape(covariance.shape[0], -1)


def expected_log_likelihood(
    problem: TrialProblem,
    observation: "Observation",
    batch: Batch,
    mean: Float[Array, "row time latent"],
    covariance: Float[Array, "#row time latent latent"],
) -> tuple[Float[Array, " row"], Sites]:
    """E_q[log p(y | x)] of each row, and the sites on the latents that a full natural-gradient step leads to.

    Where all rows share the covariance they share the sites' precision, its mean over the rows of which something is
    seen.

    mean, covariance: of the latents, templates included.
    """
    location, variance = predictor(problem, mean, covariance)
    terms = observation.expected_log_prob(location, variance, batch.counts, problem.observation)
    value, slope, weight = (jnp.where(batch.seen, term, 0.0) for term in terms)
    weight = jnp.maximum(weight, 0.0)
    flat = covariance.reshape(*covariance.shape[:-2], -1)

    def matrices(weight: Float[Array, "row time neuron"], pairs: Float[Array, "neuron pair"]) -> Float[Array, "..."]:
        if covariance.shape[0] != mean.shape[0]:
            weight = weight.sum(0, keepdims=True) / jnp.maximum(batch.seen.any((1, 2)).sum(), 1)
        return (weight @ pairs).reshape(*weight.shape[:-1], *problem.loadings.shape[1:], -1)

    linear, precision = slope @ problem.loadings, matrices(weight, outer_products(problem.loadings))
    if problem.uncertainty is not None:
        _, cross, quadratic = split_uncertainty(problem)
        growing = jnp.where(added_variance(problem, mean, flat) < LARGEST_VARIANCE, weight, 0.0)
        added = matrices(growing, quadratic)
        linear, precision = linear - growing @ cross - apply(added, mean), precision + added
    state = mean if problem.shift is None else mean - problem.shift
    return value.sum((-1, -2)), Sites(linear + apply(precision, state), precision)
