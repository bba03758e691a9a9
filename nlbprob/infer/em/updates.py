"""Updates of parameters in closed form or by Newton steps, given what the E-step found of all trials."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
import numpyro.handlers
from jax import lax
from jaxtyping import Array, Float
from numpyro.distributions import biject_to

from nlbprob.blocks.base import Context
from nlbprob.blocks.latent import Latent
from nlbprob.infer.runtime.batch import Batch
from nlbprob.infer.trajectories import cvi as local_inference
from nlbprob.infer.trajectories import likelihood
from nlbprob.infer.trajectories.problem import Problem, problem, state_slices
from nlbprob.model import Model, Parameters
from nlbprob.numerics import matrices
from nlbprob.numerics.gaussian import Smoothed, apply

#: Newton steps for the readout in each iteration.
READOUT_STEPS = 1


class TemplateStatistics(NamedTuple):
    """Gradient and curvature of the bound in what each component adds to the latents, bin by bin; trials of each."""

    slope: Float[Array, "component time latent"]
    curvature: Float[Array, "component time latent latent"]
    trials: Float[Array, " component"]


def inside(batch: Batch):
    """1 in the bins of a trial up to the last in which anything is seen: later ones are predicted, not learned from."""
    some = batch.seen.any(-1)
    return lax.cummax(some[:, ::-1].astype(jnp.int32), axis=1)[:, ::-1]


def statistics(model: Model, theta: Parameters, given: Problem, batch: Batch, local, share) -> tuple[Any, ...]:
    """What the updates of each block in turn need, then those of the templates (None where there is none)."""
    smoothed = local.smoothed
    within = inside(batch).astype(smoothed.mean.dtype) * share[:, None]
    found: list[Any] = []
    parts = zip(model.chains, theta.dynamics, given.chains, state_slices(given), local.paths, strict=True)
    for block, own, chain, place, path in parts:
        if not model.closed_form(block):
            found.append(None)
            continue
        apart = chain.initial_mean - own.chain.initial_mean
        found.append(block.statistics(part(smoothed, place), chain.offset, apart, within, path))
    if model.templates is None:
        return (*found, None)
    components = model.n_components
    mean, _ = local_inference.latent_moments(given._replace(shift=None), smoothed.mean, smoothed.covariance)
    slope = local.target.linear - apply(local.target.precision, mean)

    def summed(array):
        weighted = array * share.reshape(-1, *[1] * (array.ndim - 1))
        return weighted.reshape(-1, components, *array.shape[1:]).sum(0)

    trials = share.reshape(-1, components).sum(0)
    return (*found, TemplateStatistics(summed(slope), summed(local.target.precision), trials))


def part(smoothed: Smoothed, place: slice) -> Smoothed:
    """The moments of one block's state."""
    return Smoothed(
        smoothed.mean[..., place],
        smoothed.covariance[..., place, place],
        smoothed.cross_covariance[..., place, place],
        smoothed.divergence,
    )


def latents(model: Model, context: Context, values: dict[str, Any], total: tuple[Any, ...]):
    """Site values of the blocks with closed forms, and the basis in which all are normalised: x = basis z."""
    found, bases, number = {}, [], 0
    dtype = jnp.result_type(float)
    for block in model.latents:
        identity = jnp.eye(block.n_latents, dtype=dtype)
        if isinstance(block, Latent):
            stats = total[number]
            number += 1
            if stats is not None:
                own, identity = block.maximize(stats, context, values)
                found |= own
        bases.append(identity)
    return found, matrices.diagonal_blocks(bases)


def templates(model: Model, context: Context, values: dict[str, Any], total: tuple[Any, ...]) -> dict[str, Any]:
    """A Newton step on the coefficients of each template, and the weights of the mixture."""
    if model.templates is None:
        return {}
    stats: TemplateStatistics = total[-1]
    place = model.template_slice
    basis = jnp.asarray(model.templates.basis(context), stats.slope.dtype)
    site = model.templates.site("coefficients")
    current = values[site]
    components, count, width = current.shape
    bins = basis.shape[0]
    prior: Any = model.templates.priors.get("coefficients", dist.Normal(0.0, 1.0))
    precision = jnp.broadcast_to(1 / jnp.square(prior.scale), current.shape)
    slope = jnp.einsum("tj,ktl->kjl", basis, stats.slope[:, :bins, place]) - precision * (current - prior.loc)
    curvature = jnp.einsum("tj,ti,ktlm->kjlim", basis, basis, stats.curvature[:, :bins, place, place])
    curvature = curvature.reshape(components, count * width, -1)
    curvature = curvature + jnp.eye(count * width, dtype=slope.dtype) * precision.reshape(components, 1, -1)
    change = jnp.linalg.solve(curvature, slope.reshape(components, -1, 1)).reshape(current.shape)
    # The curvature is that of a Poisson likelihood at the present rates: far from the optimum a whole step overshoots.
    size = jnp.minimum(1.0, 1.0 / jnp.maximum(jnp.abs(jnp.einsum("tj,kjl->ktl", basis, change)).max(), 1e-6))
    spread: Any = model.templates.priors.get("weights", dist.Dirichlet(jnp.ones(components)))
    weights = stats.trials + spread.concentration
    return {site: current + size * change, model.templates.site("weights"): weights / weights.sum()}


def readout_terms(model: Model, theta: Parameters, batch: Batch, moments, share):
    """E_q[log p(y | x)] in each row, bin and neuron, times the row's share: value, slope g and weight w >= 0 in the
    predictor; then the moments of the latents.
    """
    given, batch = problem(model, theta, batch)
    mean, covariance = local_inference.latent_moments(given, *moments)
    centre, variance = likelihood.predictor(given, mean, covariance)
    terms = model.observation.expected_log_prob(centre, variance, batch.counts, given.observation)
    value, slope, weight = (jnp.where(batch.seen, t, 0.0) * share[:, None, None] for t in terms)
    return value, slope, jnp.maximum(weight, 0.0), mean, covariance


def readout_curvature(weight, design, spread):
    """sum w (m m' + P) of each neuron's baseline and loadings; design: (1, m) [point, width]; spread: sum w P."""
    width = design.shape[1]
    outer = (design[:, :, None] * design[:, None, :]).reshape(-1, width**2)
    return (weight.T @ outer).reshape(-1, width, width).at[:, 1:, 1:].add(spread)


def readout_design(mean):
    """(1, m) of every row and bin [point, 1 + latent]."""
    return jnp.concatenate([jnp.ones_like(mean[..., :1]), mean], -1).reshape(-1, 1 + mean.shape[-1])


def readout_objective(model: Model, theta: Parameters, data: Batch, rows, penalty):
    """E_q[log p(y | x)] + log prior of each neuron, its gradient [neuron, 1 + latent] and curvature, over all chunks.

    The curvature, sum_t w (m m' + P), leaves out how w changes with the loadings; it is positive definite for every
    likelihood.
    """
    location, precision = penalty
    size = theta.loadings.shape[1]

    def add(total, chunk):
        batch, (moments, share) = chunk
        *terms, mean, covariance = readout_terms(model, theta, batch, moments, share)
        value, slope, weight = (term.reshape(-1, term.shape[-1]) for term in terms)
        design = readout_design(mean)
        spread = (weight.T @ covariance.reshape(-1, size * size)).reshape(-1, size, size)
        gradient = slope.T @ design
        gradient = gradient.at[:, 1:].add(-jnp.einsum("nij,nj->ni", spread, theta.loadings))
        curvature = readout_curvature(weight, design, spread)
        return jax.tree.map(jnp.add, total, (value.sum(0), gradient, curvature)), None

    neurons = theta.baseline.shape[0]
    shapes = ((neurons,), (neurons, 1 + size), (neurons, 1 + size, 1 + size))
    zero = tuple(jnp.zeros(shape, theta.baseline.dtype) for shape in shapes)
    (value, gradient, curvature), _ = lax.scan(add, zero, (data, rows))
    coefficients = jnp.concatenate([theta.baseline[:, None], theta.loadings], 1) - location
    value = value - 0.5 * jnp.sum(precision * coefficients**2, 1)
    diagonal = precision[:, :, None] * jnp.eye(1 + size, dtype=precision.dtype)
    return value, gradient - precision * coefficients, curvature + diagonal


def readout(model: Model, theta: Parameters, data: Batch, rows, penalty, steps: int = READOUT_STEPS):
    """Damped Newton steps on every neuron's baseline and loadings at once; each neuron keeps a step only if it helps.

    Returns the new parameters and the curvature [neuron, 1 + latent, 1 + latent] where they ended.
    """

    def moved(theta, change):
        return theta._replace(baseline=theta.baseline + change[:, 0], loadings=theta.loadings + change[:, 1:])

    def advance(carry, _):
        theta, size, (value, gradient, curvature) = carry
        change = size[:, None] * jnp.linalg.solve(curvature, gradient[..., None])[..., 0]
        proposal = moved(theta, change)
        found = readout_objective(model, proposal, data, rows, penalty)
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


def observation_sites(model: Model, context: Context) -> list[str]:
    """The sites of the observation's own parameters."""
    traced = numpyro.handlers.trace(numpyro.handlers.seed(model.observation.parameters, 0)).get_trace(context)
    return [name for name, site in traced.items() if site["type"] == "sample"]


def observation(
    model: Model, context: Context, supports, values: dict[str, Any], theta: Parameters, data: Batch, rows
) -> dict[str, Any]:
    """One damped Newton step on each neuron's own parameters (noise scale, dispersion), in unconstrained space."""
    own_sites = observation_sites(model, context)
    names = {n: site for n in theta.observation if (site := model.observation.site(n)) in own_sites}
    if not names:
        return {}
    raw = {name: biject_to(supports[site]).inv(values[site]) for name, site in names.items()}

    def objective(raw, batch, rows):
        own = {name: biject_to(supports[site])(raw[name]) for name, site in names.items()}
        return readout_terms(model, theta._replace(observation=theta.observation | own), batch, *rows)[0].sum()

    def prior(raw):
        own = {site: biject_to(supports[site])(raw[name]) for name, site in names.items()}
        sampled: Any = numpyro.handlers.substitute(model.observation.parameters, data=own)
        with numpyro.handlers.trace() as sites:
            sampled(context)
        return sum(site["fn"].log_prob(site["value"]).sum() for site in sites.values() if site["type"] == "sample")

    ones = jax.tree.map(jnp.ones_like, raw)

    def add(total, chunk):
        def slope(at):
            return jax.grad(objective)(at, *chunk)

        return jax.tree.map(jnp.add, total, jax.jvp(slope, (raw,), (ones,))), None

    start = jax.jvp(jax.grad(prior), (raw,), (ones,))
    (gradient, curvature), _ = lax.scan(add, start, (data, rows))

    def move(raw, gradient, curvature):
        return raw + jnp.clip(gradient / (jnp.abs(curvature) + 1e-3), -0.5, 0.5)

    moved = jax.tree.map(move, raw, gradient, curvature)
    return {site: biject_to(supports[site])(moved[name]) for name, site in names.items()}
