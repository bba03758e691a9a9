"""Variational EM, the fast start of a fit: what it is compiled for, its state, and its E-step (see `m_step`)."""

import dataclasses
import functools
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree
from numpyro.distributions.constraints import Constraint

from nlbprob.blocks.base import Context
from nlbprob.blocks.identity import Identified
from nlbprob.infer.em import acceleration, shift
from nlbprob.infer.em import updates as maximize
from nlbprob.infer.em.fisher import FisherScoring, StepSize, TrialScores, scale_groups
from nlbprob.infer.parameters.flat import Entries
from nlbprob.infer.parameters.sites import Site, parameter_sites, parameters_at
from nlbprob.infer.runtime.batch import Batch
from nlbprob.infer.runtime.programs import program
from nlbprob.infer.trajectories import cvi
from nlbprob.infer.trajectories import prior as trajectory_prior
from nlbprob.infer.trajectories.problem import Auxiliary, SiteState, combined, trial_problem
from nlbprob.model import Model
from nlbprob.numerics.gaussian import Moments

#: Standard deviation, in unconstrained space, at which a parameter starts whose curvature is unknown.
START_SCALE = 0.05


class EStep(NamedTuple):
    """The E-step of a chunk of trials.

    site_state: what the next one starts from; elbo: of each trial; responsibility: of each trial's components, by row;
    moments: mean and covariance of the state; statistics: for the updates; shift: for that of all latents at once,
    where there is a readout; scores: gradients of the bound in the free sites, where there are some.
    """

    site_state: SiteState
    elbo: Float[Array, " trial"]
    responsibility: Float[Array, " row"]
    moments: Moments
    statistics: tuple[Any, ...]
    shift: shift.ShiftStatistics | None
    scores: TrialScores | None


class EMState(NamedTuple):
    """Values of all parameter sites, and the rows, chunk by chunk.

    `curvature` is that of each neuron's expected log likelihood and prior in its baseline and loadings, before the
    last step. `memory` is of the last iterations, where EM is accelerated.
    """

    values: dict[str, Any]
    curvature: Float[Array, "neuron width width"]
    rows: tuple[SiteState, ...]
    stride: StepSize
    memory: acceleration.Memory | None = None


def free_sites(model: Model, context: Context, names: Collection[str]) -> list[str]:
    """The sites that no update in closed form moves: these follow the gradient of the bound."""
    closed_form = set(model.readout.closed_form)
    closed_form |= {name for name in names if name in maximize.observation_sites(model, context)}
    for latent in model.chains:
        closed_form |= {latent.site(name) for name in model.closed_form(latent)}
    if model.templates is not None:
        closed_form |= {model.templates.site(name) for name in ("weights", "coefficients")}
    return [name for name in names if name not in closed_form]


@dataclasses.dataclass(frozen=True, eq=False)
class EM(Identified):
    """Variational EM for a model in its context: what its two steps are compiled for."""

    model: Model
    context: Context

    @functools.cached_property
    def supports(self) -> dict[str, Constraint]:
        """The support of every parameter site."""
        return {name: site.support for name, site in parameter_sites(self.model, self.context).items()}

    @property
    def sites(self) -> dict[str, Site]:
        """Every parameter site."""
        return parameter_sites(self.model, self.context)

    @property
    def entries(self) -> Entries:
        """The entries of all parameter sites."""
        return Entries(self.sites)

    @property
    def scoring(self) -> FisherScoring:
        """Steps for the sites that no update in closed form moves."""
        free = free_sites(self.model, self.context, self.supports)
        sites = self.sites
        return FisherScoring(
            self.model, self.context, Entries({name: sites[name] for name in free}), scale_groups(self.model)
        )

    @property
    def pace(self) -> str:
        """How fast EM converges, see `convergence.TOLERANCE`: "gradual" where some parameters have no update in closed
        form, or a scale of the readout falls little by little to zero.
        """
        if self.scoring.entries.sites or len(self.model.readout.closed_form) > len(self.model.readout.names):
            return "gradual"
        return "closed" if self.model.templates is None else "mixture"

    @property
    def accelerated(self) -> bool:
        """Whether steps are made from several iterations: where dynamics are linear, and all updates in closed form."""
        return self.pace == "closed" and all(block.regresses for block in self.model.chains)

    def init(self, values: dict[str, Any], batches: Sequence[Batch], trials: int, tied: bool = False) -> EMState:
        """The state before the first iteration.

        Args:
            values: of all parameter sites, or their shapes.
            batches: the chunks of trials, all of one shape.
            trials: how many these are without padding.
            tied: whether trials share the precision of their sites.
        """
        model, dtype = self.model, jnp.result_type(float)
        site_state, width, neurons = empty_site_state(self, batches[0], tied), 1 + model.dim, batches[0].counts.shape[2]
        curvature = jnp.broadcast_to(jnp.eye(width, dtype=dtype) / START_SCALE**2, (neurons, width, width))
        memory = acceleration.init(neurons, [block.n_latents for block in model.chains]) if self.accelerated else None
        return EMState(values, curvature, (site_state,) * len(batches), self.scoring.init(trials), memory)


def empty_site_state(em: EM, batch: Batch, tied: bool = False) -> SiteState:
    """The state of a chunk before the first E-step; tied: whether trials share the precision of their sites."""
    model, dtype = em.model, jnp.result_type(float)

    def init(values: dict[str, Any], batch: Batch) -> Auxiliary:
        problem, repeated = trial_problem(model, parameters_at(model, em.context, values), batch)
        return trajectory_prior.init(problem, *repeated.counts.shape[:2])

    shapes = jax.eval_shape(init, {name: site.shape for name, site in em.sites.items()}, batch)
    auxiliary = jax.tree.map(lambda array: jnp.zeros(array.shape, array.dtype), shapes)
    count = batch.counts.shape[0] * model.n_components
    sites = cvi.empty_sites(count, batch.counts.shape[1], model.dim, dtype)
    sites = sites._replace(precision=sites.precision[:1]) if tied else sites
    return SiteState(sites, jnp.ones(count, dtype), auxiliary)


@program("em")
def e_step(
    em: EM,
    values: dict[str, Any],
    batch: Batch,
    site_state: SiteState,
    steps: int | Int[Array, ""],
    cold: bool | Bool[Array, ""],
    anew: bool | Bool[Array, ""],
) -> EStep:
    """The E-step of one chunk: `steps` natural-gradient steps.

    Args:
        em: the first stage.
        values: of all parameter sites.
        batch: the chunk.
        site_state: what to start from.
        steps: natural-gradient steps.
        cold: whether auxiliary posteriors start from the prior.
        anew: whether those that blocks propose are tried as well.
    """
    model, scoring = em.model, em.scoring
    theta = parameters_at(model, em.context, values)
    problem, repeated = trial_problem(model, theta, batch)
    initial = cvi.init(problem, site_state.sites, site_state.step_size)
    auxiliary = jax.tree.map(lambda fresh, kept: jnp.where(cold, fresh, kept), initial.auxiliary, site_state.auxiliary)
    initial = initial._replace(auxiliary=auxiliary, held=auxiliary)
    local = cvi.iterate_anew(problem, model.observation, repeated, initial, steps, anew)
    elbo, responsibility = combined(theta, local.elbo)
    responsibility = responsibility.reshape(-1)
    if local.sites.tied:  # else what is unseen has no weight by itself
        responsibility = jnp.where(repeated.seen.any((1, 2)), responsibility, 0.0)
    smoothed = local.smoothed
    moments = (smoothed.mean, smoothed.covariance)
    statistics = maximize.statistics(model, theta, problem, repeated, local, responsibility)
    step_size = jnp.minimum(1.0, cvi.GROW * local.step_size)
    next_state = SiteState(local.sites, step_size, local.auxiliary)
    scores = scoring.scores(values, batch, next_state, responsibility, moments) if scoring.entries.sites else None
    shifted = shift.statistics(problem, local, responsibility) if model.readout.names else None
    return EStep(next_state, elbo, responsibility, moments, statistics, shifted, scores)


def bound(chunks: Iterable[EStep]) -> float:
    """The bound of all trials, nats; that of the trials that pad the last chunk is zero."""
    return float(sum(chunk.elbo.sum() for chunk in chunks))


@program()
def flat(batches: tuple[Batch, ...], site_states: tuple[SiteState, ...]) -> tuple[Batch, SiteState]:
    """Data and states of all chunks with one axis of trials; those that pad the last chunk come last.

    Tied sites are then tied across chunks.
    """

    def joined(parts: tuple[PyTree[Array], ...]) -> PyTree[Array]:
        return jax.tree.map(lambda *arrays: jnp.concatenate(arrays), *parts)

    site_state: Any = joined(site_states)
    if site_states[0].sites.tied:
        precision = sum(part.sites.precision for part in site_states) / len(site_states)
        site_state = site_state._replace(sites=site_state.sites._replace(precision=precision))
    return joined(batches), site_state._replace(step_size=jnp.ones_like(site_state.step_size))


def stacked(trees: Sequence[PyTree[Array]]) -> Any:
    """Trees of arrays as one, with a leading axis `chunk`."""
    return jax.tree.map(lambda *arrays: jnp.stack(arrays), *trees)
