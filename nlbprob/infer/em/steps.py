"""Variational EM, the fast start of a fit: closed forms, Newton steps for the readout, gradients for the rest."""

import dataclasses
import functools
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nlbprob.blocks.base import Context
from nlbprob.blocks.identity import Identified
from nlbprob.infer.em import updates as maximize
from nlbprob.infer.em.fisher import Ascent, Slopes, Stride, scale_groups
from nlbprob.infer.parameters.flat import Entries
from nlbprob.infer.parameters.sites import Site, parameter_sites, parameters_at
from nlbprob.infer.runtime.batch import Batch
from nlbprob.infer.runtime.programs import program
from nlbprob.infer.trajectories import cvi as local_inference
from nlbprob.infer.trajectories.problem import Rows, combined, problem
from nlbprob.model import Model
from nlbprob.numerics import matrices
from nlbprob.numerics.gaussian import Sites
from nlbprob.numerics.hmm import Path

#: Standard deviation, in unconstrained space, at which a parameter starts whose curvature is not known.
START_SCALE = 0.05


def empty_rows(model: Model, trials: int, bins: int, dtype) -> Rows:
    """The rows of so many trials before anything is known of them."""
    count = trials * model.n_components
    paths = tuple(
        Path(
            jnp.zeros((count, bins, block.n_regimes), dtype),
            jnp.zeros((count, bins - 1, block.n_regimes, block.n_regimes), dtype),
            jnp.zeros(count, dtype),
        )
        if block.n_regimes
        else None
        for block in model.chains
    )
    return Rows(local_inference.empty_sites(count, bins, model.dim, dtype), jnp.ones(count, dtype), paths)


class Chunk(NamedTuple):
    """What the E-step says of a chunk of trials.

    elbo: of each trial; share: responsibilities of each trial's components, by row; moments: mean and covariance of
    the state; statistics: for the updates; slopes: of the bound in the free sites, where there are some.
    """

    rows: Rows
    elbo: Float[Array, " trial"]
    share: Float[Array, " row"]
    moments: tuple[Array, Array]
    statistics: tuple[Any, ...]
    slopes: Slopes | None


class EMState(NamedTuple):
    """Values of all parameter sites, and the rows, chunk by chunk.

    `curvature` is that of each neuron's expected log likelihood and prior in its baseline and loadings, before the
    last step.
    """

    values: dict[str, Any]
    curvature: Float[Array, "neuron width width"]
    rows: tuple[Rows, ...]
    stride: Stride


def free_sites(model: Model, context: Context, supports: dict[str, Any]) -> list[str]:
    """The sites that no update in closed form moves: these follow the gradient of the bound."""
    settled = set(model.readout.closed_form)
    settled |= {name for name in supports if name in maximize.observation_sites(model, context)}
    for latent in model.chains:
        settled |= {latent.site(name) for name in model.closed_form(latent)}
    if model.templates is not None:
        settled |= {model.templates.site(name) for name in ("weights", "coefficients")}
    return [name for name in supports if name not in settled]


@dataclasses.dataclass(frozen=True, eq=False)
class EM(Identified):
    """Variational EM for a model in its context: what its two steps are compiled for."""

    model: Model
    context: Context

    @functools.cached_property
    def supports(self) -> dict[str, Any]:
        """The support of every parameter site."""
        return {name: site.support for name, site in parameter_sites(self.model, self.context).items()}

    @property
    def sites(self) -> dict[str, Site]:
        """Every parameter site."""
        return parameter_sites(self.model, self.context)

    @property
    def ascent(self) -> Ascent:
        """Steps for the sites that no update in closed form moves."""
        free = free_sites(self.model, self.context, self.supports)
        sites = self.sites
        return Ascent(self.model, self.context, Entries({name: sites[name] for name in free}), scale_groups(self.model))

    @property
    def pace(self) -> str:
        """How fast EM converges, as `verdict.SETTLED` has it: "gradual" where some parameters have no update in closed
        form, or a scale of the readout falls little by little to zero.
        """
        if self.ascent.entries.sites or len(self.model.readout.closed_form) > len(self.model.readout.names):
            return "gradual"
        return "closed" if self.model.templates is None else "mixture"

    def init(self, values: dict[str, Any], batches: Sequence[Batch], trials: int) -> EMState:
        """The state before the first iteration.

        Args:
            values: of all parameter sites, or their shapes.
            batches: the chunks of trials, all of one shape.
            trials: how many these are without padding.
        """
        model, dtype = self.model, jnp.result_type(float)
        size, bins, neurons = batches[0].counts.shape
        rows, width = empty_rows(model, size, bins, dtype), 1 + model.dim
        curvature = jnp.broadcast_to(jnp.eye(width, dtype=dtype) / START_SCALE**2, (neurons, width, width))
        return EMState(values, curvature, (rows,) * len(batches), self.ascent.begin(trials))


@program("em")
def e_step(em: EM, values, batch: Batch, rows: Rows, steps, cold) -> Chunk:
    """The E-step of one chunk: `steps` natural-gradient steps. cold: discrete paths start from their prior."""
    model, ascent = em.model, em.ascent
    theta = parameters_at(model, em.context, values)
    given, repeated = problem(model, theta, batch)
    start = local_inference.begin(given, rows.sites, rows.step_size)
    paths = jax.tree.map(lambda fresh, kept: jnp.where(cold, fresh, kept), start.paths, rows.paths)
    local = local_inference.iterate(given, model.observation, repeated, start._replace(paths=paths), steps)
    elbo, share = combined(theta, local.elbo)
    share = share.reshape(-1)
    smoothed = local.smoothed
    moments = (smoothed.mean, smoothed.covariance)
    found = maximize.statistics(model, theta, given, repeated, local, share)
    step_size = jnp.minimum(1.0, local_inference.GROW * local.step_size)
    kept = Rows(local.sites, step_size, local.paths)
    slopes = ascent.slopes(values, batch, kept, share, moments) if ascent.entries.sites else None
    return Chunk(kept, elbo, share, moments, found, slopes)


@program("em")
def m_step(em: EM, state: EMState, batches: tuple[Batch, ...], chunks: tuple[Chunk, ...]) -> EMState:
    """The M-step: templates, readout, observation, dynamics, the change of basis, then the free sites."""
    model, context, values, ascent = em.model, em.context, dict(state.values), em.ascent
    total = jax.tree.map(lambda *parts: sum(parts), *[chunk.statistics for chunk in chunks])
    values |= maximize.templates(model, context, values, total)
    data = stacked(batches)
    rows = stacked([(chunk.moments, chunk.share) for chunk in chunks])
    theta = parameters_at(model, context, values)
    curvature = state.curvature
    if model.readout.names:
        penalty = model.penalty(context, theta, values)
        theta, curvature = maximize.readout(model, theta, data, rows, penalty)
        values |= model.readout.maximize(theta.loadings, curvature, values)
    values |= maximize.observation(model, context, em.supports, values, theta, data, rows)
    stride, scale = state.stride, jnp.ones(())
    if ascent.entries.sites:
        slopes = jax.tree.map(lambda *parts: sum(parts), *[chunk.slopes for chunk in chunks])
        bound = sum(chunk.elbo.sum() for chunk in chunks)
        trials = sum(batch.seen.any((1, 2)).sum() for batch in batches)
        values, scale, stride = ascent.climb(values, theta, slopes, trials, stride, bound)
        theta = theta._replace(loadings=theta.loadings * scale)
    found, basis = maximize.latents(model, context, values, total)
    values |= found
    values |= model.readout.values(theta.baseline, theta.loadings @ basis)
    inverse = matrices.diagonal_blocks([jnp.eye(1, dtype=basis.dtype), jnp.linalg.inv(basis)])
    if model.templates is not None and model.templates.on is not None:
        site, place = model.templates.site("coefficients"), model.template_slice
        values[site] = values[site] @ jnp.linalg.inv(basis[place, place]).T
    turn = basis * scale[..., None]
    rows = tuple(
        chunk.rows._replace(sites=Sites(chunk.rows.sites.linear @ turn, turn.T @ chunk.rows.sites.precision @ turn))
        for chunk in chunks
    )
    return EMState(values, inverse @ curvature @ inverse.T, rows, stride)


def bound(chunks: Iterable[Chunk]) -> float:
    """The bound of all trials, nats; trials that fill the last chunk have seen nothing, and theirs is zero."""
    return float(sum(chunk.elbo.sum() for chunk in chunks))


@program()
def flat(batches: tuple[Batch, ...], rows: tuple[Rows, ...]) -> tuple[Batch, Rows]:
    """Data and rows of all chunks with one axis of trials; those that pad the last chunk come last."""

    def joined(parts):
        return jax.tree.map(lambda *arrays: jnp.concatenate(arrays), *parts)

    found = joined(rows)
    return joined(batches), found._replace(step_size=jnp.ones_like(found.step_size))


def stacked(trees):
    """Trees of arrays as one, with a leading axis `chunk`."""
    return jax.tree.map(lambda *arrays: jnp.stack(arrays), *trees)
