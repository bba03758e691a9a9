"""The M-step of EM: closed forms, Newton steps for the readout, gradients for the rest.

It is three programs. Only the first and the last go through trials; the middle one, by far the largest to compile, is
the same with tied sites and without.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from nlbprob.blocks.learned_emission import LearnedEmission
from nlbprob.infer.em import acceleration, emissions, shift, templates
from nlbprob.infer.em import updates as maximize
from nlbprob.infer.em.fisher import StepSize, TrialScores
from nlbprob.infer.em.steps import EM, EMState, EStep, stacked
from nlbprob.infer.parameters.sites import parameters_at
from nlbprob.infer.runtime.batch import Batch
from nlbprob.infer.runtime.programs import Program, program
from nlbprob.infer.trajectories.problem import SiteState
from nlbprob.model import Parameters
from nlbprob.numerics import matrices


class DataStep(NamedTuple):
    """What an M-step takes from the data.

    values: with new templates and emissions; observation: new values of the observation's own sites; baseline,
    loadings: after a step of the readout; curvature: of each neuron's expected log likelihood and prior in them, before
    it; shift: of all latents; fell: whether an extrapolation has lowered the bound; statistics: of each block, then of
    the templates, over all trials; scores: gradients of the bound in the free sites, where there are some; elbo: of all
    trials, nats; trials: how many there are.
    """

    values: dict[str, Any]
    observation: dict[str, Any]
    baseline: Float[Array, " neuron"]
    loadings: Float[Array, "neuron latent"]
    curvature: Float[Array, "neuron width width"]
    shift: Float[Array, " latent"]
    fell: Bool[Array, ""]
    statistics: tuple[Any, ...]
    scores: TrialScores | None
    elbo: Float[Array, ""]
    trials: Int[Array, ""]


class ParameterStep(NamedTuple):
    """The next `EMState`, but for its rows; turn: old latents = turn x new latents."""

    values: dict[str, Any]
    curvature: Float[Array, "neuron width width"]
    stride: StepSize
    memory: acceleration.Memory | None
    turn: Float[Array, "latent latent"]


def m_step(
    em: EM,
    state: EMState,
    batches: Sequence[Batch],
    chunks: tuple[EStep, ...],
    call: Callable[..., Any] = Program.__call__,
) -> EMState:
    """The M-step: templates, readout, observation, dynamics, the change of basis, then the free sites.

    Args:
        em: the first stage.
        state: before it.
        batches: the trials.
        chunks: their E-step.
        call: how to call a program: `Program.ahead` starts to compile it and returns shapes.
    """
    step = call(data_step, em, state, batches, chunks)
    values, curvature, stride, memory, turn = call(parameter_step, em, state.stride, state.memory, step)
    found = tuple(chunk.site_state for chunk in chunks)
    rows = call(moved_rows, state.rows, found, step.fell, step.shift, turn)
    return EMState(values, curvature, rows, stride, memory)


@program("em")
def data_step(em: EM, state: EMState, batches: tuple[Batch, ...], chunks: tuple[EStep, ...]) -> DataStep:
    """The steps of templates, emissions, readout and observation, and the sums over trials that other steps need."""
    model, context, values, memory = em.model, em.context, dict(state.values), state.memory
    total = jax.tree.map(lambda *parts: sum(parts), *[chunk.statistics for chunk in chunks])
    values |= templates.update(model, context, values, total)
    values |= emissions.update(model, context, values, total)
    data = stacked(batches)
    marginals = stacked([(chunk.moments, chunk.responsibility) for chunk in chunks])
    theta, curvature = parameters_at(model, context, values), state.curvature
    elbo: Any = sum(chunk.elbo.sum() for chunk in chunks)
    # An extrapolation that went too far is taken back, with all that was found there.
    fell = jnp.array(False) if memory is None else acceleration.fallen(memory, elbo)
    by = jnp.zeros(model.dim, curvature.dtype)
    if model.readout.names:
        theta, curvature, by = readout_step(em, values, theta, data, marginals, chunks, fell)
    observation = maximize.observation(model, context, em.supports, values, theta, data, marginals)
    scores = jax.tree.map(lambda *parts: sum(parts), *[chunk.scores for chunk in chunks])
    trials: Any = sum(batch.seen.any((1, 2)).sum() for batch in batches)
    readout = theta.baseline, theta.loadings, curvature
    return DataStep(values, unless(fell, values, observation), *readout, by, fell, total, scores, elbo, trials)


@program("em")
def parameter_step(em: EM, stride: StepSize, memory: acceleration.Memory | None, step: DataStep) -> ParameterStep:
    """The steps of all parameters that need no data: priors of the readout, dynamics, free sites.

    Args:
        em: the first stage.
        stride: of the steps of free sites.
        memory: of the iterations before, where EM is accelerated.
        step: what the M-step takes from the data.
    """
    model, context, scoring = em.model, em.context, em.scoring
    values, curvature, fell, total = dict(step.values), step.curvature, step.fell, step.statistics
    before, chains = parameters_at(model, context, values), None
    theta = before._replace(baseline=step.baseline, loadings=step.loadings)
    if model.readout.names:
        values |= unless(fell, values, model.readout.maximize(theta.loadings, curvature, values))
    values |= step.observation
    unit = jnp.eye(model.dim, dtype=curvature.dtype)
    if memory is not None:
        points = before, theta
        theta, chains, memory, of_image = acceleration.parameters(
            model, context, memory, total, points, curvature, step.elbo
        )
        unit = jnp.where(fell, unit, of_image)
    scale = jnp.ones(())
    if step.scores is not None:
        values, scale, stride = scoring.step(values, theta, step.scores, step.trials, stride, step.elbo)
        theta = theta._replace(loadings=theta.loadings * scale)
    latent_sites, basis = maximize.latents(model, context, values, total, chains)
    values |= latent_sites
    values |= model.readout.values(theta.baseline, theta.loadings @ basis)
    if memory is not None:
        places = [model.slices[block.name] for block in model.chains]
        memory = acceleration.turned(memory, [basis[place, place] for place in places])
    basis = unit @ basis
    inverse = matrices.diagonal_blocks([jnp.eye(1, dtype=basis.dtype), jnp.linalg.inv(basis)])
    if model.templates is not None and model.templates.on is not None:
        site, place = model.templates.site("coefficients"), model.template_slice
        values[site] = values[site] @ jnp.linalg.inv(basis[place, place]).T
    return ParameterStep(values, inverse @ curvature @ inverse.T, stride, memory, basis * scale[..., None])


@program()
def moved_rows(
    kept: tuple[SiteState, ...],
    found: tuple[SiteState, ...],
    fell: Bool[Array, ""],
    by: Float[Array, " latent"],
    turn: Float[Array, "latent latent"],
) -> tuple[SiteState, ...]:
    """The sites of the next parameters.

    Args:
        kept: chunk by chunk, before the E-step: where an extrapolation has lowered the bound.
        found: by the E-step.
        fell: whether one has.
        by: the shift of all latents.
        turn: old latents = turn x new latents.
    """
    choose = functools.partial(jnp.where, fell)
    return tuple(shift.moved(jax.tree.map(choose, *pair), by, turn) for pair in zip(kept, found, strict=True))


def readout_step(
    em: EM,
    values: dict[str, Any],
    before: Parameters,
    data: Batch,
    marginals: maximize.StateMarginals,
    chunks: tuple[EStep, ...],
    fell: Bool[Array, ""],
) -> tuple[Parameters, Float[Array, "neuron width width"], Float[Array, " latent"]]:
    """A step of the readout and of a shift of all latents: the parameters after it, the readout's curvature, the shift.

    data and marginals are stacked; where an extrapolation went too far, it `fell`, nothing is shifted.
    """
    model, context = em.model, em.context
    penalty = model.penalty(context, before, values)
    shifts = jax.tree.map(lambda *parts: sum(parts), *[chunk.shift for chunk in chunks])
    location, precision = (jnp.broadcast_to(part, (len(before.baseline), part.shape[-1]))[:, 0] for part in penalty)
    still = [model.slices[block.name] for block in model.chains if isinstance(block, LearnedEmission)]
    still += [] if model.templates is None else [model.template_slice]
    by = jnp.where(fell, 0.0, shift.step(shifts, before.baseline, before.loadings, location, precision, still))
    theta, curvature = maximize.readout(model, before, data, marginals, penalty)
    left = by - shift.within(before, theta, curvature, still)
    return theta._replace(baseline=theta.baseline + before.loadings @ left), curvature, by


def unless(fell: Bool[Array, ""], values: dict[str, Any], updated: dict[str, Any]) -> dict[str, Any]:
    """The updated values, or those from before where an extrapolation went too far."""
    return {name: jax.tree.map(functools.partial(jnp.where, fell), values[name], new) for name, new in updated.items()}
