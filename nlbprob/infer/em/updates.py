"""Updates of parameters in closed form or by Newton steps, given the E-step of all trials."""

from typing import Any

import jax
import jax.numpy as jnp
import numpyro.handlers
from jax import lax
from jax.scipy.linalg import solve
from jaxtyping import Array, Float
from numpyro.distributions import biject_to
from numpyro.distributions.constraints import Constraint

from nlbprob.blocks.base import Context
from nlbprob.blocks.latent import Latent
from nlbprob.blocks.learned_emission import LearnedEmission
from nlbprob.infer.em import emissions, templates
from nlbprob.infer.runtime.batch import Batch
from nlbprob.infer.trajectories import cvi, likelihood
from nlbprob.infer.trajectories.problem import TrialProblem, block_part, inside, state_slices, trial_problem
from nlbprob.model import Model, Parameters
from nlbprob.numerics import matrices
from nlbprob.numerics.gaussian import Chain, Moments

#: Newton steps for the readout in each iteration.
READOUT_STEPS = 1

#: Mean and covariance of the state and responsibilities, of each row in turn, with or without a leading axis of chunks.
StateMarginals = tuple[
    tuple[Float[Array, "*chunk row time state"], Float[Array, "*chunk #row time state state"]],
    Float[Array, "*chunk row"],
]
#: Location and precision of the normal that stands for the prior of baselines and loadings.
Penalty = tuple[Float[Array, "*neuron width"], Float[Array, "neuron width"]]
#: The value of each neuron's objective, its gradient and its curvature.
ReadoutObjective = tuple[Float[Array, " neuron"], Float[Array, "neuron width"], Float[Array, "neuron width width"]]
NeuronTerm = Float[Array, "row time neuron"]
#: Parameters by name in unconstrained space.
Raw = dict[str, Float[Array, "..."]]


def statistics(
    model: Model,
    theta: Parameters,
    problem: TrialProblem,
    batch: Batch,
    local: cvi.TrajectoryPosterior,
    responsibility: Float[Array, " row"],
) -> tuple[Any, ...]:
    """What the updates of each block in turn need, then those of the templates (None where there is none)."""
    smoothed = local.smoothed
    bin_weights = inside(batch).astype(smoothed.mean.dtype) * responsibility[:, None]
    by_block: list[Any] = []
    parts = zip(model.chains, theta.dynamics, problem.priors, state_slices(problem), local.auxiliary, strict=True)
    for block, dynamics, prior, columns, auxiliary in parts:
        if not model.closed_form(block):
            by_block.append(None)
            continue
        if isinstance(block, LearnedEmission):
            places = model.slices[block.name], columns
            by_block.append(emissions.statistics(block, places, problem, local, bin_weights[:, 0]))
            continue
        condition_shift = prior.chain.initial_mean - dynamics.chain.initial_mean
        state = block_part(smoothed, columns)
        by_block.append(block.statistics(state, prior, condition_shift, bin_weights, auxiliary))
    if model.templates is None:
        return (*by_block, None)
    components = model.n_components
    slope = cvi.latent_slope(problem, local)

    trials = responsibility.reshape(-1, components).sum(0)

    def summed(array: Float[Array, "_ *shape"]) -> Float[Array, "component *shape"]:
        if len(array) != len(responsibility):  # rows share it
            return trials.reshape(-1, *[1] * (array.ndim - 1)) * array
        weighted = array * responsibility.reshape(-1, *[1] * (array.ndim - 1))
        return weighted.reshape(-1, components, *array.shape[1:]).sum(0)

    return (*by_block, templates.TemplateStatistics(summed(slope), summed(local.target.precision), trials))


def latents(
    model: Model,
    context: Context,
    values: dict[str, Any],
    total: tuple[Any, ...],
    chains: tuple[Chain, ...] | None = None,
) -> tuple[dict[str, Any], Float[Array, "latent latent"]]:
    """Site values of the blocks with closed forms, and the basis in which all are normalised: x = basis z.

    chains: the dynamics of each block, where they are already known.
    """
    sites, bases, number = {}, [], 0
    dtype = jnp.result_type(float)
    for block in model.latents:
        basis = jnp.eye(block.n_latents, dtype=dtype)
        if isinstance(block, Latent):
            stats, chain = total[number], None if chains is None else chains[number]
            number += 1
            if chain is not None:
                updated, basis = block.from_chain(chain, context, values)
                sites |= updated
            elif stats is not None:
                updated, basis = block.maximize(stats, context, values)
                sites |= updated
        bases.append(basis)
    return sites, matrices.diagonal_blocks(bases)


def readout_terms(
    model: Model,
    theta: Parameters,
    batch: Batch,
    moments: Moments,
    responsibility: Float[Array, " row"],
    of_latents: bool = False,
) -> tuple[
    NeuronTerm, NeuronTerm, NeuronTerm, Float[Array, "row time latent"], Float[Array, "#row time latent latent"]
]:
    """E_q[log p(y | x)] in each row, bin and neuron, times the row's responsibility: value, slope g and weight w >= 0
    in the predictor; then the moments of the latents. of_latents: whether `moments` are of them; else of the state.
    """
    problem, batch = trial_problem(model, theta, batch)
    mean, covariance = moments if of_latents else cvi.latent_moments(problem, *moments)
    centre, variance = likelihood.predictor(problem, mean, covariance)
    terms = model.observation.expected_log_prob(centre, variance, batch.counts, problem.observation)
    value, slope, weight = (jnp.where(batch.seen, t, 0.0) * responsibility[:, None, None] for t in terms)
    return value, slope, jnp.maximum(weight, 0.0), mean, covariance


def readout_curvature(
    weight: Float[Array, "point neuron"],
    design: Float[Array, "point width"],
    covariance: Float[Array, "neuron latent latent"],
) -> Float[Array, "neuron width width"]:
    """sum w (m m' + P) of each neuron's baseline and loadings; design: (1, m); covariance: sum w P."""
    width = design.shape[1]
    outer = (design[:, :, None] * design[:, None, :]).reshape(-1, width**2)
    return (weight.T @ outer).reshape(-1, width, width).at[:, 1:, 1:].add(covariance)


def readout_design(mean: Float[Array, "row time latent"]) -> Float[Array, "point width"]:
    """(1, m) of every row and bin."""
    return jnp.concatenate([jnp.ones_like(mean[..., :1]), mean], -1).reshape(-1, 1 + mean.shape[-1])


def readout_objective(
    model: Model, theta: Parameters, data: Batch, marginals: StateMarginals, penalty: Penalty, of_latents: bool = False
) -> ReadoutObjective:
    """E_q[log p(y | x)] + log prior of each neuron, its gradient [neuron, 1 + latent] and curvature, over all chunks.

    The curvature, sum_t w (m m' + P), leaves out how w changes with the loadings; it is positive definite for every
    likelihood.
    """
    location, precision = penalty
    size = theta.loadings.shape[1]

    def add(total: ReadoutObjective, chunk: tuple[Batch, StateMarginals]) -> tuple[ReadoutObjective, None]:
        batch, (moments, responsibility) = chunk
        *terms, mean, covariance = readout_terms(model, theta, batch, moments, responsibility, of_latents)
        value, slope, weight = (term.reshape(-1, term.shape[-1]) for term in terms)
        design = readout_design(mean)
        weighted = jnp.einsum("rtn,rtij->nij", terms[2], covariance)
        gradient = slope.T @ design
        gradient = gradient.at[:, 1:].add(-jnp.einsum("nij,nj->ni", weighted, theta.loadings))
        curvature = readout_curvature(weight, design, weighted)
        return jax.tree.map(jnp.add, total, (value.sum(0), gradient, curvature)), None

    neurons = theta.baseline.shape[0]
    shapes = ((neurons,), (neurons, 1 + size), (neurons, 1 + size, 1 + size))
    zero: Any = tuple(jnp.zeros(shape, theta.baseline.dtype) for shape in shapes)
    (value, gradient, curvature), _ = lax.scan(add, zero, (data, marginals))
    coefficients = jnp.concatenate([theta.baseline[:, None], theta.loadings], 1) - location
    value = value - 0.5 * jnp.sum(precision * coefficients**2, 1)
    diagonal = precision[:, :, None] * jnp.eye(1 + size, dtype=precision.dtype)
    return value, gradient - precision * coefficients, curvature + diagonal


def readout(
    model: Model,
    theta: Parameters,
    data: Batch,
    marginals: StateMarginals,
    penalty: Penalty,
    steps: int = READOUT_STEPS,
    of_latents: bool = False,
) -> tuple[Parameters, Float[Array, "neuron width width"]]:
    """Damped Newton steps on every neuron's baseline and loadings at once; each neuron keeps a step only if it helps.

    Returns the new parameters and the curvature [neuron, 1 + latent, 1 + latent] where they ended.
    """

    def moved(theta: Parameters, change: Float[Array, "neuron width"]) -> Parameters:
        return theta._replace(baseline=theta.baseline + change[:, 0], loadings=theta.loadings + change[:, 1:])

    def advance(
        carry: tuple[Parameters, Float[Array, " neuron"], ReadoutObjective], _: None
    ) -> tuple[tuple[Parameters, Float[Array, " neuron"], ReadoutObjective], None]:
        theta, size, (value, gradient, curvature) = carry
        change = size[:, None] * solve(curvature, gradient[..., None], assume_a="pos")[..., 0]
        proposal = moved(theta, change)
        proposed = readout_objective(model, proposal, data, marginals, penalty, of_latents)
        slack = jnp.where(jnp.isfinite(value), cvi.tolerance(value.dtype) * jnp.abs(value), 0.0)
        better = proposed[0] >= value - slack
        theta = moved(theta, jnp.where(better[:, None], change, 0.0))
        kept = cvi.select(better, proposed, (value, gradient, curvature))
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
    initial = (theta, jnp.ones_like(theta.baseline), unknown)
    (theta, _, (_, _, curvature)), _ = lax.scan(advance, initial, length=1 + steps)
    return theta, curvature


def observation_sites(model: Model, context: Context) -> list[str]:
    """The sites of the observation's own parameters."""
    traced = numpyro.handlers.trace(numpyro.handlers.seed(model.observation.parameters, 0)).get_trace(context)
    return [name for name, site in traced.items() if site["type"] == "sample"]


def observation(
    model: Model,
    context: Context,
    supports: dict[str, Constraint],
    values: dict[str, Any],
    theta: Parameters,
    data: Batch,
    marginals: StateMarginals,
) -> dict[str, Any]:
    """One damped Newton step on each neuron's own parameters (noise scale, dispersion), in unconstrained space."""
    sites = observation_sites(model, context)
    names = {n: site for n in theta.observation if (site := model.observation.site(n)) in sites}
    if not names:
        return {}
    raw = {name: biject_to(supports[site]).inv(values[site]) for name, site in names.items()}

    def objective(raw: Raw, batch: Batch, marginals: StateMarginals) -> Float[Array, ""]:
        parameters = {name: biject_to(supports[site])(raw[name]) for name, site in names.items()}
        at = theta._replace(observation=theta.observation | parameters)
        return readout_terms(model, at, batch, *marginals)[0].sum()

    def prior(raw: Raw) -> Float[Array, ""]:
        constrained = {site: biject_to(supports[site])(raw[name]) for name, site in names.items()}
        sampled: Any = numpyro.handlers.substitute(model.observation.parameters, data=constrained)
        with numpyro.handlers.trace() as sites:
            sampled(context)
        samples = [site for site in sites.values() if site["type"] == "sample"]
        total: Any = sum(site["fn"].log_prob(site["value"]).sum() for site in samples)
        return total

    ones = jax.tree.map(jnp.ones_like, raw)

    def add(total: tuple[Raw, Raw], chunk: tuple[Batch, StateMarginals]) -> tuple[tuple[Raw, Raw], None]:
        def slope(at: Raw) -> Raw:
            return jax.grad(objective)(at, *chunk)

        return jax.tree.map(jnp.add, total, jax.jvp(slope, (raw,), (ones,))), None

    of_prior = jax.jvp(jax.grad(prior), (raw,), (ones,))
    (gradient, curvature), _ = lax.scan(add, of_prior, (data, marginals))

    def move(
        raw: Float[Array, "*shape"], gradient: Float[Array, "*shape"], curvature: Float[Array, "*shape"]
    ) -> Float[Array, "*shape"]:
        return raw + jnp.clip(gradient / (jnp.abs(curvature) + 1e-3), -0.5, 0.5)

    moved = jax.tree.map(move, raw, gradient, curvature)
    return {site: biject_to(supports[site])(moved[name]) for name, site in names.items()}
