"""The prior of all blocks' states together, each block by its own contract, as a surrogate that a smoother can take."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from nlbprob.blocks.trajectory_priors.base import Surrogate
from nlbprob.infer.trajectories.problem import Problem, block_part, emitted, joined, lift, state_slices
from nlbprob.numerics.gaussian import Chain, Sites, Smoothed

#: The auxiliary posterior of each block, None where it has none.
Auxiliary = tuple[Any, ...]


def init(given: Problem, rows: int, bins: int) -> Auxiliary:
    """Where the auxiliary posteriors start."""
    return tuple(prior.init(rows, bins) for prior in given.priors)


class JointSurrogate(NamedTuple):
    """What stands for the prior of the whole state, and for that of each block."""

    chain: Chain
    sites: Sites | None
    constant: Float[Array, " row"] | float
    parts: tuple[Surrogate, ...]


def surrogate(given: Problem, auxiliary: Auxiliary) -> JointSurrogate:
    """What stands for the prior of the whole state."""
    parts = tuple(prior.expected(own) for prior, own in zip(given.priors, auxiliary, strict=True))
    chain = joined([part.chain for part in parts])
    present = [part.sites for part in parts if part.sites is not None]
    if not present:
        return JointSurrogate(chain, None, 0.0, parts)
    lead, dtype = present[0].linear.shape[:2], present[0].linear.dtype
    size = state_slices(given)[-1].stop
    linear, precision = jnp.zeros((*lead, size), dtype), jnp.zeros((*lead, size, size), dtype)
    constant: Any = jnp.zeros(lead[:1], dtype)
    for part, place in zip(parts, state_slices(given), strict=True):
        if part.sites is not None:
            constant = constant + part.constant
            linear = linear.at[..., place].set(part.sites.linear)
            precision = precision.at[..., place, place].set(part.sites.precision)
    return JointSurrogate(chain, Sites(linear, precision), constant, parts)


def all_sites(prior: JointSurrogate, sites: Sites, emission: Array | None) -> Sites:
    """The likelihood's sites on the latents, as sites on the state, and those of the prior's surrogate."""
    sites = lift(sites, emission)
    if prior.sites is None:
        return sites
    return Sites(sites.linear + prior.sites.linear, sites.precision + prior.sites.precision)


def update(given: Problem, smoothed: Smoothed, auxiliary: Auxiliary) -> Auxiliary:
    """The auxiliary posteriors that a full step leads to, given the moments of the state."""
    parts = zip(given.priors, state_slices(given), auxiliary, strict=True)
    return tuple(prior.update(block_part(smoothed, place), own) for prior, place, own in parts)


def move(given: Problem, current: Auxiliary, updated: Auxiliary, size: Float[Array, " row"]) -> Auxiliary:
    """The auxiliary posteriors after a step of some size of each row."""
    each = zip(given.priors, current, updated, strict=True)
    return tuple(prior.move(old, new, size) for prior, old, new in each)


def terms(given: Problem, auxiliary: Auxiliary, prior: JointSurrogate, smoothed: Smoothed):
    """What the bound of each row has besides E_q[log p(y | x)] and E_q[log surrogate(x)], summed over blocks."""
    total: Any = 0.0
    for block, part, place, own in zip(given.priors, prior.parts, state_slices(given), auxiliary, strict=True):
        if own is not None:
            total = total + block.terms(own, part, block_part(smoothed, place))
    return total


def gain(
    given: Problem, auxiliary: Auxiliary, prior: JointSurrogate, smoothed: Smoothed
) -> Float[Array, " row"] | float:
    """What the bound has besides E_q[log p(y | x)] and the smoother's divergence.

    That divergence counts the sites of the surrogate as data.
    """
    if prior.sites is None:
        return 0.0
    mean, covariance = smoothed.mean, smoothed.covariance
    second = covariance + mean[..., :, None] * mean[..., None, :]
    sites = jnp.sum(prior.sites.linear * mean, (-1, -2)) - 0.5 * jnp.sum(prior.sites.precision * second, (-1, -2, -3))
    return sites + prior.constant + terms(given, auxiliary, prior, smoothed)


def target(given: Problem, auxiliary: Auxiliary, smoothed: Smoothed) -> Sites | None:
    """What the blocks add to the sites on the latents that a full natural-gradient step leads to, if anything."""
    parts = zip(given.priors, state_slices(given), auxiliary, strict=True)
    found = [(place, prior.target(own, block_part(smoothed, place))) for prior, place, own in parts]
    if all(own is None for _, own in found):
        return None
    linear, precision = jnp.zeros_like(smoothed.mean), jnp.zeros_like(smoothed.covariance)
    for place, own in found:
        if own is not None:
            linear = linear.at[..., place].set(own.linear)
            precision = precision.at[..., place, place].set(own.precision)
    if given.emission is None:
        return Sites(linear, precision)
    # The states of a block with such sites are its latents: the emission only moves them to their place.
    return Sites(emitted(given.emission, linear), given.emission @ precision @ given.emission.mT)
