"""Variational EM, the fast start of a fit: closed forms, Newton steps for the readout, gradients for the rest."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nlbprob.blocks.base import Context
from nlbprob.infer import local as local_inference
from nlbprob.infer import maximize
from nlbprob.infer.ascent import Ascent, Slopes, Stride, scale_groups
from nlbprob.infer.parameters import Entries, parameter_sites, parameters_at
from nlbprob.infer.problem import Batch, Rows, combined, problem
from nlbprob.model import Model
from nlbprob.numerics import matrices
from nlbprob.numerics.gaussian import Sites
from nlbprob.numerics.hmm import Path


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
    settled = set(model.readout.settled)
    settled |= {name for name in supports if name in maximize.observation_sites(model, context)}
    for latent in model.chains:
        settled |= {latent.site(name) for name in model.settled(latent)}
    if model.templates is not None:
        settled |= {model.templates.site(name) for name in ("weights", "coefficients")}
    return [name for name in supports if name not in settled]


class EM:
    """The two steps of variational EM for a model, as functions to compile."""

    def __init__(self, model: Model, context: Context):
        self.model, self.context = model, context
        self.sites = parameter_sites(model, context)
        self.supports = {name: site.support for name, site in self.sites.items()}
        free = free_sites(model, context, self.supports)
        self.ascent = Ascent(model, context, Entries({name: self.sites[name] for name in free}), scale_groups(model))

    @property
    def pace(self) -> str:
        """How fast EM settles, as `verdict.SETTLED` has it: "gradual" where some parameters have no update in closed
        form, or a scale of the readout falls little by little to zero.
        """
        if self.ascent.entries.sites or len(self.model.readout.settled) > len(self.model.readout.names):
            return "gradual"
        return "closed" if self.model.templates is None else "mixture"

    def expectation(self, values, batch: Batch, rows: Rows, steps, cold) -> Chunk:
        """The E-step of one chunk: `steps` natural-gradient steps. cold: discrete paths start from their prior."""
        model = self.model
        theta = parameters_at(model, self.context, values)
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
        slopes = self.ascent.slopes(values, batch, kept, share, moments) if self.ascent.entries.sites else None
        return Chunk(kept, elbo, share, moments, found, slopes)

    def maximization(self, state: EMState, batches: tuple[Batch, ...], chunks: tuple[Chunk, ...]) -> EMState:
        """The M-step: templates, readout, observation, dynamics, the change of basis, then the free sites."""
        model, context, values = self.model, self.context, dict(state.values)
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
        values |= maximize.observation(model, context, self.supports, values, theta, data, rows)
        stride, scale = state.stride, jnp.ones(())
        if self.ascent.entries.sites:
            slopes = jax.tree.map(lambda *parts: sum(parts), *[chunk.slopes for chunk in chunks])
            bound = sum(chunk.elbo.sum() for chunk in chunks)
            trials = sum(batch.seen.any((1, 2)).sum() for batch in batches)
            values, scale, stride = self.ascent.climb(values, theta, slopes, trials, stride, bound)
            theta = theta._replace(loadings=theta.loadings * scale)
        found, basis = maximize.latents(model, context, values, total)
        values |= found
        values |= model.readout.values(theta.baseline, theta.loadings @ basis)
        inverse = matrices.diagonal_blocks([jnp.eye(1, dtype=basis.dtype), jnp.linalg.inv(basis)])
        if model.templates is not None and model.templates.on is not None:
            site, place = model.templates.site("coefficients"), model.template_place
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


def flat(batches: tuple[Batch, ...], rows: tuple[Rows, ...], trials: int, components: int) -> tuple[Batch, Rows]:
    """Data and rows of all chunks with one axis of trials, without those that filled up the last chunk."""

    def whole(parts, number):
        return jax.tree.map(lambda *arrays: jnp.concatenate(arrays)[:number], *parts)

    joined = whole(rows, trials * components)
    return whole(batches, trials), joined._replace(step_size=jnp.ones_like(joined.step_size))


def stacked(trees):
    """Trees of arrays as one, with a leading axis `chunk`."""
    return jax.tree.map(lambda *arrays: jnp.stack(arrays), *trees)
