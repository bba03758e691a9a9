"""When EM has converged, and what the trials then occupy."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from nlbprob.infer.runtime.programs import program

if TYPE_CHECKING:
    from nlbprob.infer.em.steps import EM, EStep
    from nlbprob.infer.runtime.batch import Batch
    from nlbprob.model import Model

#: The bound is level where an iteration raises it by less than this fraction of its whole rise, after so many
#: iterations. Mixtures, and parameters without an update in closed form, take their time.
TOLERANCE, LEAST_ITERATIONS = {"closed": 0.005, "mixture": 0.001, "gradual": 0.00005}, 10
#: Accelerated EM ends where so many iterations together raise the bound by less than so many nats: a move by one
#: standard deviation of the parameters' posterior, in any direction, is worth half a nat.
WINDOW, LEAST_RISE = 5, 0.25
#: A bound has fallen where it is lower than the highest by more nats than this.
LEAST_FALL = 1.0
#: EM ends where no parameter has moved by more than this fraction of its standard deviation in any of so many
#: iterations.
MOVEMENT, STILL_ITERATIONS = 0.05, 3

#: The axes of a block's sites along which a rotation of its latents acts.
TURNED = ("latent", "latent_2", "pair")


def level(bounds: Sequence[float] | Float[np.ndarray, " step"], pace: str) -> bool:
    """Whether the last EM iteration moved the bound by less than `TOLERANCE` of all that it has risen; pace: of its
    parameters. A bound that falls by more is not level: a step overshot.
    """
    fraction = TOLERANCE[pace]
    return len(bounds) >= LEAST_ITERATIONS and bool(abs(bounds[-1] - bounds[-2]) < fraction * (bounds[-1] - bounds[0]))


def converged(moved: Sequence[float | None]) -> bool:
    """Whether no parameter has moved in the last iterations.

    Args:
        moved: of each iteration, how far the parameter went that moved most, in its standard deviations; None where the
            bound was not level yet.
    """
    last = moved[-STILL_ITERATIONS:]
    return len(last) == STILL_ITERATIONS and all(each is not None and each < MOVEMENT for each in last)


def flat(bounds: Sequence[float] | Float[np.ndarray, " step"], least: float = LEAST_RISE) -> bool:
    """Whether the last iterations of accelerated EM did not raise the bound: they stay, or twice as many are lower.

    Args:
        bounds: of every iteration, nats.
        least: a rise that counts, nats.
    """
    if len(bounds) < LEAST_ITERATIONS + WINDOW:
        return False
    last, before = bounds[-WINDOW:], bounds[:-WINDOW]
    still = not fallen(bounds) or max(last) - min(last) < LEAST_FALL
    lower = max(bounds[-2 * WINDOW :]) < max(bounds) - LEAST_FALL
    return bool(max(last) - max(before) < least and (still or lower))


def fallen(bounds: Sequence[float] | Float[np.ndarray, " step"]) -> bool:
    """Whether the last iteration is clearly below the highest bound."""
    return len(bounds) > 0 and bool(bounds[-1] < max(bounds) - LEAST_FALL)


def falls(bounds: Sequence[float] | Float[np.ndarray, " step"]) -> int:
    """In how many iterations the bound was clearly below its highest so far."""
    bounds = np.asarray(bounds, float)
    return int((bounds < np.maximum.accumulate(bounds) - LEAST_FALL).sum())


@program("em")
def movement(
    em: "EM", before: dict[str, Any], after: dict[str, Any], deviations: dict[str, Array]
) -> dict[str, Float[Array, ""]]:
    """How far the entry of each site went that moved most, in its standard deviations.

    Latents of which a rotation changes nothing may turn from one iteration to the next: of a neuron's loadings on them,
    and of the parameters of their dynamics, the length counts.

    Args:
        em: the first stage.
        before: values of all sites.
        after: the same after an iteration.
        deviations: standard deviations of the entries of each site in unconstrained space.
    """
    parts = [em.entries.split(em.entries.of(values)) for values in (before, after)]
    moved = {}
    for name, deviation in deviations.items():
        rows = [rows_of(em, name, array) for array in (*(part[name] for part in parts), deviation)]
        moved[name] = jnp.stack([lengthened(*group).max() for group in zip(*rows, strict=True)]).max()
    return moved


def rows_of(em: "EM", name: str, entries: Array) -> list[Float[Array, "row entry"]]:
    """The entries of a site [row, entry] in groups, such that a rotation of latents leaves the length of each row."""
    if name in em.model.readout.names[1:]:
        if entries.shape[1] != em.model.dim:  # a site for the loadings of one block
            return [entries]
        blocks = [block for block in em.model.latents if block.n_latents]
        parts = [(block, entries[:, em.model.slices[block.name]]) for block in blocks]
        return [part if block.rotatable else part.reshape(-1, 1) for block, part in parts]
    block = next((block for block in em.model.latents if name.startswith(f"{block.name}.")), None)
    if block is None or not block.rotatable or name.endswith("decay_ms"):
        return [entries.reshape(-1, 1)]
    dims = em.sites[name].dims
    if len(dims) != entries.ndim:
        return [entries.reshape(1, -1)]
    turned = [axis for axis, dim in enumerate(dims) if dim in TURNED]
    size = math.prod(entries.shape[axis] for axis in turned)
    return [jnp.moveaxis(entries, turned, range(-len(turned), 0)).reshape(-1, size)]


def lengthened(
    before: Float[Array, "row entry"], after: Float[Array, "row entry"], deviations: Float[Array, "row entry"]
) -> Float[Array, " row"]:
    """How far the length of each row went, in its standard deviations."""
    if before.shape[1] == 1:
        return (jnp.abs(after - before) / deviations)[:, 0]
    lengths = [jnp.sqrt((rows**2).sum(1)) for rows in (before, after)]
    slope = after / jnp.maximum(lengths[1], 1e-30)[:, None]
    return jnp.abs(lengths[1] - lengths[0]) / jnp.maximum(jnp.sqrt(((slope * deviations) ** 2).sum(1)), 1e-30)


def occupancy(model: "Model", batches: "Sequence[Batch]", chunks: "Sequence[EStep]") -> dict[str, list[float]]:
    """By block: the expected number of trials that follow each template, the fraction of seen bins in each regime."""
    counts: dict[str, Any] = {}
    for batch, chunk in zip(batches, chunks, strict=True):
        seen = np.asarray(batch.seen).any(2)
        responsibility = np.asarray(chunk.responsibility, float).reshape(len(seen), -1) * seen.any(1)[:, None]
        if model.templates is not None:
            name = model.templates.name
            counts[name] = counts.get(name, 0.0) + responsibility.sum(0)
        for block, path in zip(model.chains, chunk.site_state.auxiliary, strict=True):
            if block.n_regimes:
                marginal = np.asarray(path.marginal, float).reshape(*responsibility.shape, *path.marginal.shape[1:])
                bins = np.einsum("rk,rt,rkts->s", responsibility, seen, marginal)
                counts[block.name] = counts.get(block.name, 0.0) + bins
    regimes = {block.name for block in model.chains if block.n_regimes}
    return {name: (v / v.sum() if name in regimes else v).tolist() for name, v in counts.items()}
