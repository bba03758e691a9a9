"""The posterior of each trial's trajectory given the parameters: structured variational inference by natural gradients.

The posterior is q(x) = p(x | theta) prod_t exp(h_t'x_t - 1/2 x_t'J_t x_t) / Z. Conjugate-computation variational
inference (Khan and Lin 2017, arXiv 1703.04265) moves the sites (h, J) towards their fixed point
J_t = sum_n w_n c_n c_n', h_t = sum_n c_n (g_n + w_n c_n'm_t); each trial has its own step size, and a step is taken
only if that trial's bound rises. Unseen entries drop out of the sums, so co-smoothing, missing bins, padding and
forecasts are one code path.
"""

from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Num

from nlbprob.model import Parameters
from nlbprob.numerics import kalman
from nlbprob.numerics.gaussian import Sites, Smoothed

if TYPE_CHECKING:
    from nlbprob.blocks.observations import Observation

SHRINK, GROW = 0.3, 2.0


class Batch(NamedTuple):
    """The counts of some trials and which of them are seen."""

    counts: Num[Array, "trial time neuron"]
    seen: Bool[Array, "trial time neuron"]


class Local(NamedTuple):
    """The posterior of some trials: sites, moments, bound (nats, of each trial), next target and step size."""

    sites: Sites
    smoothed: Smoothed
    elbo: Float[Array, " trial"]
    target: Sites
    step_size: Float[Array, " trial"]
    done: Bool[Array, " trial"]


def tolerance(dtype) -> float:
    """A trial is done when a full step raises its bound by less than this share of it: what the float width can see."""
    return 1e-6 if dtype == jnp.float32 else 1e-12


def empty_sites(trials: int, bins: int, state: int, dtype=jnp.float32) -> Sites:
    """The sites of a trial of which nothing has been seen: q is the prior."""
    return Sites(jnp.zeros((trials, bins, state), dtype), jnp.zeros((trials, bins, state, state), dtype))


def outer_products(loadings: Float[Array, "neuron state"]) -> Float[Array, "neuron pair"]:
    """c_n c_n' flattened, one row a neuron, so that sums over neurons are matrix products."""
    return (loadings[:, :, None] * loadings[:, None, :]).reshape(loadings.shape[0], -1)


def predictor(theta: Parameters, mean, covariance):
    """Mean and variance of every neuron's predictor eta = c'x + d: [..., neuron].

    The mean is c'm + d, the variance c'Pc; where (d, c) are uncertain with covariance S, plus E[(1, x) S (1, x)'],
    which takes eta, a product of two normal vectors, for normal.
    """
    flat = covariance.reshape(*mean.shape[:-1], -1)
    variance = flat @ outer_products(theta.loadings).T
    if theta.uncertainty is not None:
        constant, cross, quadratic = split_uncertainty(theta)
        second = flat + (mean[..., :, None] * mean[..., None, :]).reshape(flat.shape)
        variance = variance + constant + 2 * mean @ cross.T + second @ quadratic.T
    return mean @ theta.loadings.T + theta.baseline, variance


def split_uncertainty(theta: Parameters):
    """The covariance of (d, c) of each neuron: of d alone [neuron], of c with d [neuron, state], of c alone [neuron,
    pair].
    """
    covariance = theta.uncertainty
    assert covariance is not None
    return covariance[:, 0, 0], covariance[:, 1:, 0], covariance[:, 1:, 1:].reshape(covariance.shape[0], -1)


def expected_log_likelihood(theta: Parameters, observation: "Observation", batch: Batch, mean, covariance):
    """E_q[log p(y | x)] of each trial, and the sites that a full natural-gradient step leads to."""
    location, variance = predictor(theta, mean, covariance)
    terms = observation.expected_log_prob(location, variance, batch.counts, theta.observation)
    value, slope, weight = (jnp.where(batch.seen, term, 0.0) for term in terms)
    weight = jnp.maximum(weight, 0.0)
    outer = outer_products(theta.loadings)
    linear = (slope + weight * (location - theta.baseline)) @ theta.loadings
    if theta.uncertainty is not None:
        _, cross, quadratic = split_uncertainty(theta)
        outer = outer + quadratic
        linear = linear - weight @ cross
    precision = (weight @ outer).reshape(*mean.shape, mean.shape[-1])
    return value.sum((-1, -2)), Sites(linear, precision)


def evaluate(theta: Parameters, observation: "Observation", batch: Batch, sites: Sites):
    """Moments, bound and target of given sites. The bound of a trial is E_q[log p(y | x)] - KL(q || prior)."""
    smoothed = kalman.smooth(theta.chain, sites, kalman.filter(theta.chain, sites))
    likelihood, target = expected_log_likelihood(theta, observation, batch, smoothed.mean, smoothed.covariance)
    elbo = likelihood - smoothed.divergence
    return smoothed, jnp.where(jnp.isfinite(elbo), elbo, -jnp.inf), target


def begin(sites: Sites, step_size=None) -> Local:
    """The state before anything is known of the sites: the first `step` evaluates them, later ones improve them."""
    *batch, bins, state = sites.linear.shape
    dtype = sites.linear.dtype
    unknown = Smoothed(
        jnp.zeros((*batch, bins, state), dtype),
        jnp.zeros((*batch, bins, state, state), dtype),
        jnp.zeros((*batch, bins - 1, state, state), dtype),
        jnp.zeros(batch, dtype),
    )
    step_size = jnp.ones(batch, dtype) if step_size is None else step_size
    return Local(sites, unknown, jnp.full(batch, -jnp.inf, dtype), sites, step_size, jnp.zeros(batch, bool))


def select(condition: Bool[Array, " trial"], yes, no):
    """Trial by trial, the arrays of one tree or the other."""

    def pick(a, b):
        return jnp.where(condition.reshape(-1, *[1] * (a.ndim - 1)), a, b)

    return jax.tree.map(pick, yes, no)


def step(theta: Parameters, observation: "Observation", batch: Batch, local: Local) -> Local:
    """One natural-gradient step of every trial that is not done; kept where that trial's bound rises."""

    def move(current, target):
        size = local.step_size.reshape(-1, *[1] * (current.ndim - 1))
        return current + size * (target - current)

    sites = jax.tree.map(move, local.sites, local.target)
    smoothed, elbo, target = evaluate(theta, observation, batch, sites)
    slack = jnp.where(jnp.isfinite(local.elbo), tolerance(elbo.dtype) * jnp.abs(local.elbo), 0.0)
    better = (elbo >= local.elbo - slack) & jnp.isfinite(elbo)
    size = jnp.where(better, jnp.minimum(1.0, GROW * local.step_size), SHRINK * local.step_size)
    settled = better & (local.step_size >= 1.0) & (elbo - local.elbo < slack)
    moved = Local(sites, smoothed, elbo, target, size, settled | (size < 1e-6))
    stayed = local._replace(step_size=size, done=size < 1e-6)
    return select(local.done, local, select(better, moved, stayed))


def iterate(theta: Parameters, observation: "Observation", batch: Batch, local: Local, iterations) -> Local:
    """Evaluate, then step until every trial is done, at most `iterations` times; each trial stops by itself."""

    def unfinished(carry):
        count, local = carry
        return (count <= iterations) & ~jnp.all(local.done)

    def advance(carry):
        count, local = carry
        return count + 1, step(theta, observation, batch, local)

    return lax.while_loop(unfinished, advance, (0, local))[1]


def bound(theta: Parameters, observation: "Observation", batch: Batch, sites: Sites, smoothed: Smoothed):
    """The bound of each trial, with the gradient in theta that is exact where the sites have converged.

    With sites and q held fixed the gradient is that of log Z(theta), through the filter alone, plus that of
    E_q[log p(y | x, theta)]. The gradient of E_q[log p(x | theta)] is the same on paper, wrong in float32.
    """
    sites, smoothed = lax.stop_gradient((sites, smoothed))
    log_normalizer = kalman.log_normalizer(kalman.filter(theta.chain, sites), sites)
    location, variance = predictor(theta, smoothed.mean, smoothed.covariance)
    fixed = lax.stop_gradient((location, variance))
    value, slope, weight = observation.expected_log_prob(*fixed, batch.counts, theta.observation)
    slope, weight = lax.stop_gradient((slope, weight))
    value = value + slope * (location - lax.stop_gradient(location))
    value = value - 0.5 * weight * (variance - lax.stop_gradient(variance))
    likelihood = jnp.where(batch.seen, value, 0.0).sum((-1, -2))
    change = log_normalizer - lax.stop_gradient(log_normalizer)
    return likelihood - smoothed.divergence + change
