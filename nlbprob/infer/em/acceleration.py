"""Anderson acceleration of EM: the next parameters from those of the last few iterations together.

EM creeps where trajectories are uncertain: at given trajectories, the dynamics go a small part of the way. With an
iteration theta -> G(theta) and its residual f = G(theta) - theta, the next point is G(theta) - sum_i w_i dG_i with the
weights w_i for which f - sum_i w_i df_i is shortest, where dG_i and df_i are the changes from one iteration to the next
(Anderson 1965; for EM: Henderson and Varadhan 2019, arXiv 1803.06673). Length is measured by the information of
complete data, by which EM divides the slope of the bound. All of this turns with the latents: a change of their basis
changes no point.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve
from jaxtyping import Array, Bool, Float, Int

from nlbprob.blocks.base import Context
from nlbprob.model import Model, Parameters
from nlbprob.numerics import matrices
from nlbprob.numerics.gaussian import Chain, symmetrize

#: How many iterations a step is made from.
DEPTH = 10
#: Ridge of the weights, as a fraction of the square of each change of the residual.
RIDGE = 1e-2
#: Longest way from G(theta) to the next point, in lengths of the residual: at first, and at most.
FIRST_REACH, MOST_REACH = 4.0, 64.0
#: A bound has fallen where it is lower by more than this fraction of it: floats resolve no less.
SLACK = 1e-6
#: Parts of a step to try; the first that keeps dynamics stable is taken.
PARTS = (1.0, 0.5, 0.25, 0.125, 0.0)


class Point(NamedTuple):
    """Parameters that turn with the latents: baseline and loadings of each neuron, the dynamics of each block."""

    readout: Float[Array, "*memory neuron width"]
    chains: tuple[Chain, ...]


class Memory(NamedTuple):
    """The last iterations.

    images: G(theta) of the last one, then its changes from one iteration to the next, newest first; residuals: the same
    of G(theta) - theta; count: how many changes there are; continues: whether the next iteration is of the same G, so
    that there is a change from the last one to it; bound: at the last theta, nats; reach: see `FIRST_REACH`;
    extrapolated: whether the next theta is further on than the last image.
    """

    images: Point
    residuals: Point
    count: Int[Array, ""]
    continues: Bool[Array, ""]
    bound: Float[Array, ""]
    reach: Float[Array, ""]
    extrapolated: Bool[Array, ""]


class Metric(NamedTuple):
    """The information of complete data.

    readout: of each neuron's baseline and loadings; chains: of each block, where its dynamics are; counts: of the steps
    and of the trials that inform them. Latents have unit second moment.
    """

    readout: Float[Array, "neuron width width"]
    chains: tuple[Chain, ...]
    counts: tuple[tuple[Float[Array, ""], Float[Array, ""]], ...]


def init(neurons: int, blocks: Sequence[int]) -> Memory:
    """Nothing remembered. blocks: the number of latents of each."""
    dtype = jnp.result_type(float)

    def zeros(*shape: int) -> Array:
        return jnp.zeros((DEPTH, *shape), dtype)

    chains = tuple(Chain(zeros(n), zeros(n, n), zeros(n, n), zeros(n), zeros(n, n)) for n in blocks)
    empty = Point(zeros(neurons, 1 + sum(blocks)), chains)
    lowest, reach = jnp.array(-jnp.inf, dtype), jnp.array(FIRST_REACH, dtype)
    return Memory(empty, empty, jnp.zeros((), jnp.int32), jnp.array(False), lowest, reach, jnp.array(False))


def step(memory: Memory, here: Point, image: Point, bound: Float[Array, ""], metric: Metric) -> tuple[Point, Memory]:
    """The next point, and the memory with this iteration.

    Where an extrapolation has lowered the bound, the next point is the image from which it was made, and later steps
    are shorter. Where one would go downhill, all changes are forgotten.

    Args:
        memory: of the iterations before.
        here: theta.
        image: G(theta).
        bound: at theta, nats.
        metric: at theta.
    """
    fell = fallen(memory, bound)
    reach = jnp.minimum(jnp.where(fell, 0.25, 2.0) * memory.reach, MOST_REACH)
    residual = jax.tree.map(jnp.subtract, image, here)
    continues = memory.continues
    images, residuals = pushed(image, memory.images, continues), pushed(residual, memory.residuals, continues)
    count = jnp.minimum(memory.count + continues, DEPTH - 1)
    entries = jax.vmap(lambda each: whitened(each, metric))(residuals)
    weights = anderson_weights(entries, count)
    change = jax.tree.map(lambda each: -jnp.tensordot(weights, each[1:], 1), images)
    way = whitened(change, metric)
    length, unit = jnp.linalg.norm(way), jnp.linalg.norm(entries[0])
    sizes = jnp.asarray(PARTS, unit.dtype) * jnp.minimum(1.0, reach * unit / jnp.maximum(length, 1e-30))
    size = sizes[jnp.argmax(jax.vmap(lambda size: stable(image, change, size))(sizes) | (sizes == 0))]
    uphill = entries[0] @ (entries[0] + way) > 0  # the residual is the slope; false, too, where it is not finite
    size, count = jnp.where(uphill, size, 0.0), jnp.where(uphill, count, 0)
    following = moved(image, change, size)
    back = jax.tree.map(lambda each: each[0], memory.images)
    kept = Memory(images, residuals, count, jnp.array(True), bound, reach, (count > 0) & (size > 0))
    left = memory._replace(reach=reach, extrapolated=jnp.array(False))
    return jax.tree.map(lambda a, b: jnp.where(fell, a, b), (back, left), (following, kept))


def parameters(
    model: Model,
    context: Context,
    memory: Memory,
    total: tuple[Any, ...],
    thetas: tuple[Parameters, Parameters],
    curvature: Float[Array, "neuron width width"],
    elbo: Float[Array, ""],
) -> tuple[Parameters, tuple[Chain, ...], Memory, Float[Array, "latent latent"]]:
    """Readout and dynamics of the next point, the memory with this iteration, and the basis of both, x = basis z.

    In the basis that an iteration leaves them in, latents are not of unit variance: priors would move them, and what is
    normalised afterwards would look like a step.

    Args:
        model: whose chains regress.
        context: facts of the training data.
        memory: of the iterations before.
        total: statistics of each block, then of the templates.
        thetas: parameters before this iteration, and with its readout.
        curvature: of each neuron's expected log likelihood and prior.
        elbo: the bound before this iteration, nats.
    """
    blocks, before = list(zip(model.chains, total, strict=False)), thetas[0]
    here, image = (jnp.concatenate([theta.baseline[:, None], theta.loadings], 1) for theta in thetas)
    chains = tuple(dynamics.chain for dynamics in before.dynamics)
    updated = [block.regression(statistics, context) for block, statistics in blocks]
    bin_weights = jnp.asarray(context.bin_weights, here.dtype)
    bases = [unit_basis(chain, bin_weights) for chain in updated]
    updated = tuple(matrices.change_basis(chain, *basis) for chain, basis in zip(updated, bases, strict=True))
    basis = matrices.diagonal_blocks([basis for basis, _ in bases])
    image = jnp.concatenate([image[:, :1], image[:, 1:] @ basis], 1)
    metric = Metric(curvature, chains, tuple((s.steps, s.trials) for _, s in blocks))
    points = Point(here, chains), Point(image, updated)
    following, memory = step(memory, *points, elbo, metric)
    theta = thetas[1]._replace(baseline=following.readout[:, 0], loadings=following.readout[:, 1:])
    return theta, following.chains, memory, basis


def fallen(memory: Memory, bound: Float[Array, ""]) -> Bool[Array, ""]:
    """Whether an extrapolation has lowered the bound, in nats, or led to where it is not finite."""
    return memory.extrapolated & ~(bound >= memory.bound - SLACK * jnp.abs(bound))


def forgotten(memory: Memory) -> Memory:
    """The memory with nothing remembered, for parameters that do not follow from it."""
    lowest = jnp.full_like(memory.bound, -jnp.inf)
    none, no = jnp.zeros_like(memory.count), jnp.array(False)
    return memory._replace(count=none, continues=no, bound=lowest, extrapolated=no)


def of_another(memory: Memory) -> Memory:
    """The memory for a G that is a little different: it changes from one theta to another as the last one did."""
    reach = jnp.full_like(memory.reach, FIRST_REACH)
    return memory._replace(continues=jnp.array(False), reach=reach, extrapolated=jnp.array(False))


def unaccelerated(memory: Memory) -> Memory:
    """The memory whose next step is EM's own, or back from an extrapolation that has lowered the bound."""
    return memory._replace(reach=jnp.zeros_like(memory.reach))


def pushed(newest: Point, memory: Point, continues: Bool[Array, ""]) -> Point:
    """The newest, then the changes, the one that leads to it among them where it `continues` the last."""

    def push(newest: Float[Array, "..."], memory: Float[Array, "..."]) -> Float[Array, "..."]:
        changes = jnp.concatenate([(newest - memory[0])[None], memory[1:-1]])
        return jnp.concatenate([newest[None], jnp.where(continues, changes, memory[1:])])

    return jax.tree.map(push, newest, memory)


def whitened(change: Point, metric: Metric) -> Float[Array, " entry"]:
    """The entries of a change of the parameters, whose squares add up to its squared length."""
    parts = [jnp.einsum("nij,ni->nj", jnp.linalg.cholesky(metric.readout), change.readout)]
    for by, chain, (steps, trials) in zip(change.chains, metric.chains, metric.counts, strict=True):
        for covariance, mean_part, covariance_part, count in (
            (chain.noise, by.transition, by.noise, steps),
            (chain.initial_covariance, by.initial_mean[:, None], by.initial_covariance, trials),
        ):
            root = matrices.lower_inverse(jnp.linalg.cholesky(covariance))
            parts += [jnp.sqrt(count) * root @ mean_part, jnp.sqrt(count / 2) * root @ covariance_part @ root.T]
    return jnp.concatenate([part.reshape(-1) for part in parts])


def anderson_weights(entries: Float[Array, "iteration entry"], count: Int[Array, ""]) -> Float[Array, " earlier"]:
    """The weights w for which f - sum_i w_i df_i is shortest; entries: f, then its changes."""
    present = jnp.arange(1, DEPTH) <= count
    changes = jnp.where(present[:, None], entries[1:], 0.0)
    scale = 1 / jnp.maximum(jnp.linalg.norm(changes, axis=1), 1e-30)
    changes = changes * jnp.where(present, scale, 0.0)[:, None]
    gram = changes @ changes.T + jnp.diag(jnp.where(present, RIDGE, 1.0))
    weights = scale * solve(gram, changes @ entries[0], assume_a="pos")
    return jnp.where(present & jnp.isfinite(weights).all(), weights, 0.0)


def stable(image: Point, change: Point, size: Float[Array, ""]) -> Bool[Array, ""]:
    """Whether all dynamics decay after such a part of a change."""
    pairs = zip(image.chains, change.chains, strict=True)
    radii = [matrices.spectral_radius(chain.transition + size * by.transition) for chain, by in pairs]
    return jnp.stack(radii).max() < 1.0


def moved(image: Point, change: Point, size: Float[Array, ""]) -> Point:
    """A step from a point; covariance matrices stay positive definite."""
    chains = [
        Chain(
            chain.initial_mean + size * by.initial_mean,
            changed_covariance(chain.initial_covariance, size * by.initial_covariance),
            chain.transition + size * by.transition,
            chain.offset,
            changed_covariance(chain.noise, size * by.noise),
        )
        for chain, by in zip(image.chains, change.chains, strict=True)
    ]
    return Point(image.readout + size * change.readout, tuple(chains))


def changed_covariance(
    covariance: Float[Array, "latent latent"], change: Float[Array, "latent latent"]
) -> Float[Array, "latent latent"]:
    """L exp(L^-1 change L^-T) L', with L L' the covariance: to first order their sum."""
    root = jnp.linalg.cholesky(covariance)
    inverse = matrices.lower_inverse(root)
    return symmetrize(root @ matrices.symmetric_exp(symmetrize(inverse @ change @ inverse.T)) @ root.T)


def unit_basis(
    chain: Chain, bin_weights: Float[Array, " time"]
) -> tuple[Float[Array, "latent latent"], Float[Array, "latent latent"]]:
    """The symmetric S, x = S z, for which z has unit second moment over a trial, and its inverse.

    bin_weights: of each bin of the trial.
    """
    variance, vectors = jnp.linalg.eigh(matrices.average_second_moment(chain, bin_weights))
    scale = jnp.sqrt(jnp.maximum(variance, 1e-6 * variance[-1]))
    return (vectors * scale) @ vectors.T, (vectors / scale) @ vectors.T


def turned(memory: Memory, bases: Sequence[Float[Array, "_ _"]]) -> Memory:
    """The memory in new coordinates, old latents = basis new latents in each block."""
    whole = matrices.diagonal_blocks([jnp.eye(1, dtype=bases[0].dtype), *bases])
    inverses = [jnp.linalg.inv(basis) for basis in bases]

    def turn(point: Point) -> Point:
        each = zip(point.chains, bases, inverses, strict=True)
        chains = [matrices.change_basis(chain, basis, inverse) for chain, basis, inverse in each]
        return Point(point.readout @ whole, tuple(chains))

    each: Any = jax.vmap(turn)
    return memory._replace(images=each(memory.images), residuals=each(memory.residuals))
