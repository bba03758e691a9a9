"""The prior of all blocks' states together, each block by its own contract, as a surrogate that a smoother can take."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from nlbprob.blocks.trajectory_priors.base import Surrogate
from nlbprob.infer.trajectories.problem import Auxiliary, TrialProblem, block_part, emitted, joined, lift, state_slices
from nlbprob.numerics.gaussian import Chain, Sites, Smoothed


def init(problem: TrialProblem, rows: int, bins: int) -> Auxiliary:
    """Where the auxiliary posteriors start."""
    return tuple(prior.init(rows, bins) for prior in problem.priors)


class JointSurrogate(NamedTuple):
    """What stands for the prior of the whole state, and for that of each block."""

    chain: Chain
    sites: Sites | None
    constant: Float[Array, " row"] | float
    parts: tuple[Surrogate, ...]


def surrogate(problem: TrialProblem, auxiliary: Auxiliary) -> JointSurrogate:
    """What stands for the prior of the whole state."""
    parts = tuple(prior.expected(posterior) for prior, posterior in zip(problem.priors, auxiliary, strict=True))
    chain = joined([part.chain for part in parts])
    present = [part.sites for part in parts if part.sites is not None]
    if not present:
        return JointSurrogate(chain, None, 0.0, parts)
    lead, dtype = present[0].linear.shape[:2], present[0].linear.dtype
    size = state_slices(problem)[-1].stop
    linear, precision = jnp.zeros((*lead, size), dtype), jnp.zeros((*lead, size, size), dtype)
    constant: Any = jnp.zeros(lead[:1], dtype)
    for part, columns in zip(parts, state_slices(problem), strict=True):
        if part.sites is not None:
            constant = constant + part.constant
            linear = linear.at[..., columns].set(part.sites.linear)
            precision = precision.at[..., columns, columns].set(part.sites.precision)
    return JointSurrogate(chain, Sites(linear, precision), constant, parts)


def all_sites(prior: JointSurrogate, sites: Sites, emission: Float[Array, "*time latent state"] | None) -> Sites:
    """The likelihood's sites on the latents, as sites on the state, and those of the prior's surrogate."""
    sites = lift(sites, emission)
    if prior.sites is None:
        return sites
    return Sites(sites.linear + prior.sites.linear, sites.precision + prior.sites.precision)


def update(problem: TrialProblem, smoothed: Smoothed, auxiliary: Auxiliary) -> Auxiliary:
    """The auxiliary posteriors that a full step leads to, given the moments of the state."""
    parts = zip(problem.priors, state_slices(problem), auxiliary, strict=True)
    return tuple(prior.update(block_part(smoothed, columns), posterior) for prior, columns, posterior in parts)


def move(problem: TrialProblem, current: Auxiliary, updated: Auxiliary, size: Float[Array, " row"]) -> Auxiliary:
    """The auxiliary posteriors after a step of some size of each row."""
    each = zip(problem.priors, current, updated, strict=True)
    return tuple(prior.move(old, new, size) for prior, old, new in each)


def terms(
    problem: TrialProblem, auxiliary: Auxiliary, prior: JointSurrogate, smoothed: Smoothed
) -> Float[Array, " row"] | float:
    """What the bound of each row has besides E_q[log p(y | x)] and E_q[log surrogate(x)], summed over blocks."""
    total: Any = 0.0
    parts = zip(problem.priors, prior.parts, state_slices(problem), auxiliary, strict=True)
    for block, part, columns, posterior in parts:
        if posterior is not None:
            total = total + block.terms(posterior, part, block_part(smoothed, columns))
    return total


def gain(
    problem: TrialProblem, auxiliary: Auxiliary, prior: JointSurrogate, smoothed: Smoothed
) -> Float[Array, " row"] | float:
    """What the bound has besides E_q[log p(y | x)] and the smoother's divergence.

    That divergence counts the sites of the surrogate as data.
    """
    if prior.sites is None:
        return 0.0
    mean, covariance = smoothed.mean, smoothed.covariance
    second = covariance + mean[..., :, None] * mean[..., None, :]
    sites = jnp.sum(prior.sites.linear * mean, (-1, -2)) - 0.5 * jnp.sum(prior.sites.precision * second, (-1, -2, -3))
    return sites + prior.constant + terms(problem, auxiliary, prior, smoothed)


def target(problem: TrialProblem, auxiliary: Auxiliary, smoothed: Smoothed) -> Sites | None:
    """What the blocks add to the sites on the latents that a full natural-gradient step leads to, if anything."""
    parts = zip(problem.priors, state_slices(problem), auxiliary, strict=True)
    targets = [(columns, prior.target(posterior, block_part(smoothed, columns))) for prior, columns, posterior in parts]
    if all(sites is None for _, sites in targets):
        return None
    linear, precision = jnp.zeros_like(smoothed.mean), jnp.zeros_like(smoothed.covariance)
    for columns, sites in targets:
        if sites is not None:
            linear = linear.at[..., columns].set(sites.linear)
            precision = precision.at[..., columns, columns].set(sites.precision)
    if problem.emission is None:
        return Sites(linear, precision)
    # The states of a block with such sites are its latents: the emission only moves them to their place.
    return Sites(emitted(problem.emission, linear), problem.emission @ precision @ problem.emission.mT)
