"""Variational EM, the fast start of a fit: closed-form dynamics, Newton steps for the readout."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpyro.handlers
from jax import lax
from jaxtyping import Array, Float

from nlbprob.blocks.base import Context
from nlbprob.infer import local as local_inference
from nlbprob.infer.local import Batch
from nlbprob.model import Model, Parameters
from nlbprob.numerics import matrices
from nlbprob.numerics.gaussian import Chain, Sites, Smoothed, symmetrize

#: Weight of the priors of the closed-form updates, in bins (dynamics) and in trials (initial state).
PRIOR_BINS, PRIOR_TRIALS = 20.0, 4.0
#: Newton steps for the readout in each iteration.
READOUT_STEPS = 1


class Statistics(NamedTuple):
    """Expected second moments of neighbouring states, summed over the bins in which a trial is inside."""

    current: Float[Array, "state state"]
    previous: Float[Array, "state state"]
    cross: Float[Array, "state state"]
    steps: Float[Array, ""]
    first: Float[Array, "state state"]
    first_mean: Float[Array, " state"]
    trials: Float[Array, ""]


class Chunk(NamedTuple):
    """The posterior of a chunk of trials: sites, step size and bound of each, moments, statistics."""

    sites: Sites
    step_size: Float[Array, " trial"]
    elbo: Float[Array, " trial"]
    moments: tuple[Array, Array]
    statistics: Statistics


class EMState(NamedTuple):
    """Values of all parameter sites, and the sites and step sizes of the trials, chunk by chunk.

    `curvature` is that of each neuron's expected log likelihood and prior in its baseline and loadings, before the
    last step.
    """

    values: dict[str, Any]
    curvature: Float[Array, "neuron width width"]
    trials: tuple[tuple[Sites, Array], ...]


def parameters_at(model: Model, context: Context, values: dict[str, Array]) -> Parameters:
    """The model's parameters where its sites have the given values."""
    program: Any = numpyro.handlers.substitute(model.parameters, data=values)
    return program(context)


def parameter_sites(model: Model, context: Context) -> tuple[dict[str, jax.ShapeDtypeStruct], dict[str, Any]]:
    """The shape and the support of every parameter site."""
    supports = {}

    def sample(key):
        sites = numpyro.handlers.trace(numpyro.handlers.seed(model.parameters, key)).get_trace(context)
        sites = {name: site for name, site in sites.items() if site["type"] == "sample"}
        supports.update({name: site["fn"].support for name, site in sites.items()})
        return {name: site["value"] for name, site in sites.items()}

    return jax.eval_shape(sample, jax.random.key(0)), supports


def log_prior(model: Model, context: Context, values: dict[str, Array]) -> Float[Array, ""]:
    """log p(theta) of all parameter sites."""
    with numpyro.handlers.trace() as sites:
        parameters_at(model, context, values)
    terms = [site["fn"].log_prob(site["value"]).sum() for site in sites.values() if site["type"] == "sample"]
    return jnp.stack(terms).sum()


def statistics(batch: Batch, smoothed: Smoothed) -> Statistics:
    """Sums over trials and bins up to the last with any seen entry: later ones are predicted, not learned from."""
    some = batch.seen.any(-1)
    inside = lax.cummax(some[:, ::-1].astype(jnp.int32), axis=1)[:, ::-1].astype(smoothed.mean.dtype)
    mean = smoothed.mean
    second = smoothed.covariance + mean[..., :, None] * mean[..., None, :]
    cross = smoothed.cross_covariance + mean[:, 1:, :, None] * mean[:, :-1, None, :]
    later, starts = inside[:, 1:], inside[:, 0]
    return Statistics(
        jnp.einsum("bt,btij->ij", later, second[:, 1:]),
        jnp.einsum("bt,btij->ij", later, second[:, :-1]),
        jnp.einsum("bt,btij->ij", later, cross),
        later.sum(),
        jnp.einsum("b,bij->ij", starts, second[:, 0]),
        jnp.einsum("b,bi->i", starts, mean[:, 0]),
        starts.sum(),
    )


def maximize_dynamics(stats: Statistics, bin_ms: float) -> Chain:
    """The chain that maximises E_q[log p(x)] plus conjugate priors.

    The prior is a persistent state, decaying in 200 ms, seen for a few bins:

    A = (S10 + n0 a0 I)(S00 + n0 I)^-1,
    Q = (S11 - A S10' - S10 A' + A S00 A' + n0 [(A - a0 I)(A - a0 I)' + q0 I]) / (n + n0).
    """
    identity = jnp.eye(stats.current.shape[0], dtype=stats.current.dtype)
    persistence = jnp.exp(-bin_ms / 200.0)
    gram = stats.previous + PRIOR_BINS * identity
    moments = stats.cross + PRIOR_BINS * persistence * identity
    transition = jnp.linalg.solve(gram, moments.T).T
    residual = stats.current - transition @ stats.cross.T - stats.cross @ transition.T
    residual = residual + transition @ stats.previous @ transition.T
    shift = transition - persistence * identity
    prior = PRIOR_BINS * (shift @ shift.T + (1 - persistence**2) * identity)
    noise = symmetrize(residual + prior) / (stats.steps + PRIOR_BINS)
    mean = stats.first_mean / (stats.trials + PRIOR_TRIALS)
    around = stats.first - stats.first_mean[:, None] * mean[None, :] - mean[:, None] * stats.first_mean[None, :]
    around = around + stats.trials * mean[:, None] * mean[None, :]
    covariance = symmetrize(around + PRIOR_TRIALS * identity) / (stats.trials + PRIOR_TRIALS)
    return Chain(mean, covariance, transition, jnp.zeros_like(mean), noise)


def readout_objective(model: Model, theta: Parameters, data: Batch, moments, penalty):
    """E_q[log p(y | x)] + log prior of each neuron, its gradient [neuron, 1 + state] and curvature, summed over chunks.

    The curvature, sum_t w (m m' + P), leaves out how w changes with the loadings; it is positive definite for every
    likelihood.
    """
    location, precision = penalty
    state = theta.loadings.shape[1]

    def add(total, chunk):
        batch, (mean, covariance) = chunk
        centre, variance = local_inference.predictor(theta, mean, covariance)
        terms = model.observation.expected_log_prob(centre, variance, batch.counts, theta.observation)
        value, slope, weight = (jnp.where(batch.seen, t, 0.0).reshape(-1, t.shape[-1]) for t in terms)
        weight = jnp.maximum(weight, 0.0)
        design = jnp.concatenate([jnp.ones_like(mean[..., :1]), mean], -1).reshape(-1, 1 + state)
        spread = (weight.T @ covariance.reshape(-1, state * state)).reshape(-1, state, state)
        gradient = slope.T @ design
        gradient = gradient.at[:, 1:].add(-jnp.einsum("nij,nj->ni", spread, theta.loadings))
        outer = (design[:, :, None] * design[:, None, :]).reshape(-1, (1 + state) ** 2)
        curvature = (weight.T @ outer).reshape(-1, 1 + state, 1 + state).at[:, 1:, 1:].add(spread)
        return jax.tree.map(jnp.add, total, (value.sum(0), gradient, curvature)), None

    neurons = theta.baseline.shape[0]
    shapes = ((neurons,), (neurons, 1 + state), (neurons, 1 + state, 1 + state))
    zero = tuple(jnp.zeros(shape, theta.baseline.dtype) for shape in shapes)
    (value, gradient, curvature), _ = lax.scan(add, zero, (data, moments))
    coefficients = jnp.concatenate([theta.baseline[:, None], theta.loadings], 1) - location
    value = value - 0.5 * jnp.sum(precision * coefficients**2, 1)
    return value, gradient - precision * coefficients, curvature + jnp.diag(precision)


def maximize_readout(model: Model, theta: Parameters, data: Batch, moments, penalty, steps: int):
    """Damped Newton steps on every neuron's baseline and loadings at once; each neuron keeps a step only if it helps.

    Returns the new parameters and the curvature [neuron, 1 + state, 1 + state] where they ended.
    """

    def moved(theta, change):
        return theta._replace(baseline=theta.baseline + change[:, 0], loadings=theta.loadings + change[:, 1:])

    def advance(carry, _):
        theta, size, (value, gradient, curvature) = carry
        change = size[:, None] * jnp.linalg.solve(curvature, gradient[..., None])[..., 0]
        proposal = moved(theta, change)
        found = readout_objective(model, proposal, data, moments, penalty)
        slack = jnp.where(jnp.isfinite(value), local_inference.tolerance(value.dtype) * jnp.abs(value), 0.0)
        better = found[0] >= value - slack
        theta = moved(theta, jnp.where(better[:, None], change, 0.0))
        kept = local_inference.select(better, found, (value, gradient, curvature))
        size = jnp.where(better, jnp.minimum(1.0, 2 * size), 0.3 * size)
        return (theta, size, kept), None

    neurons, width = theta.baseline.shape[0], 1 + theta.loadings.shape[1]
    dtype = theta.baseline.dtype
    unknown = (
        jnp.full(neurons, -jnp.inf, dtype),
        jnp.zeros((neurons, width), dtype),
        jnp.broadcast_to(jnp.eye(width, dtype=dtype), (neurons, width, width)),
    )
    # The first pass evaluates where the readout is (its change is zero), the others move it.
    (theta, _, found), _ = lax.scan(advance, (theta, jnp.ones_like(theta.baseline), unknown), length=1 + steps)
    return theta, found[2]


def maximize_observation(model: Model, theta: Parameters, data: Batch, moments) -> Parameters:
    """One damped Newton step on the logarithm of each neuron's own parameters (noise scale), if there are any."""
    if not theta.observation:
        return theta

    def objective(logarithms, batch, mean, covariance):
        centre, variance = local_inference.predictor(theta, mean, covariance)
        parameters = jax.tree.map(jnp.exp, logarithms)
        terms = model.observation.expected_log_prob(centre, variance, batch.counts, parameters)
        return jnp.where(batch.seen, terms[0], 0.0).sum()

    logarithms = jax.tree.map(jnp.log, theta.observation)
    ones = jax.tree.map(jnp.ones_like, logarithms)

    def add(total, chunk):
        batch, (mean, covariance) = chunk

        def slope(at):
            return jax.grad(objective)(at, batch, mean, covariance)

        return jax.tree.map(jnp.add, total, jax.jvp(slope, (logarithms,), (ones,))), None

    zero = jax.tree.map(jnp.zeros_like, (logarithms, logarithms))
    (gradient, curvature), _ = lax.scan(add, zero, (data, moments))

    def move(logarithm, gradient, curvature):
        return jnp.exp(logarithm + jnp.clip(gradient / (jnp.abs(curvature) + 1e-3), -0.5, 0.5))

    return theta._replace(observation=jax.tree.map(move, logarithms, gradient, curvature))


def expectation(model: Model, context: Context) -> Callable[..., Chunk]:
    """The E-step of one chunk: (values, batch, (sites, step sizes), steps) -> Chunk."""

    def update(values, batch: Batch, trials, steps) -> Chunk:
        theta = parameters_at(model, context, values)
        local = local_inference.iterate(theta, model.observation, batch, local_inference.begin(*trials), steps)
        smoothed = local.smoothed
        step_size = jnp.minimum(1.0, local_inference.GROW * local.step_size)
        moments = (smoothed.mean, smoothed.covariance)
        return Chunk(local.sites, step_size, local.elbo, moments, statistics(batch, smoothed))

    return update


def maximization(model: Model, context: Context) -> Callable[..., EMState]:
    """The M-step: (values, batches, chunks) -> state. Readout, observation, dynamics, then the change of basis."""

    def update(values, batches: tuple[Batch, ...], chunks: tuple[Chunk, ...]) -> EMState:
        theta = parameters_at(model, context, values)
        data, moments = stacked(batches), stacked([chunk.moments for chunk in chunks])
        penalty = model.readout.ridge(model.dim, model.observation.baseline_location(context))
        theta, curvature = maximize_readout(model, theta, data, moments, penalty, READOUT_STEPS)
        theta = maximize_observation(model, theta, data, moments)
        total = jax.tree.map(lambda *parts: sum(parts), *[chunk.statistics for chunk in chunks])
        values, basis = maximize_latents(model, context, total)
        values |= {model.observation.site(name): value for name, value in theta.observation.items()}
        values[model.readout.site("loadings")] = theta.loadings @ basis
        values[model.readout.site("baseline")] = theta.baseline
        inverse = matrices.diagonal_blocks([jnp.eye(1, dtype=basis.dtype), jnp.linalg.inv(basis)])
        trials = tuple(
            (Sites(chunk.sites.linear @ basis, basis.T @ chunk.sites.precision @ basis), chunk.step_size)
            for chunk in chunks
        )
        return EMState(values, inverse @ curvature @ inverse.T, trials)

    return update


def stacked(trees):
    """Trees of arrays as one, with a leading axis `chunk`."""
    return jax.tree.map(lambda *arrays: jnp.stack(arrays), *trees)


def maximize_latents(model: Model, context: Context, total: Statistics):
    """Site values of all latent blocks, and the basis in which they are normalised: x = basis z."""
    values, bases, start = {}, [], 0
    for latent in model.latents:
        part = slice(start, start + latent.n_latents)
        own = Statistics(*(a[(part,) * a.ndim] for a in total))
        found, basis = latent.estimate(maximize_dynamics(own, context.bin_ms), context)
        values |= found
        bases.append(basis)
        start += latent.n_latents
    return values, matrices.diagonal_blocks(bases)
