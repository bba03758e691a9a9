"""The prior of all blocks' states together, each block by its own contract, as a surrogate that a smoother can take."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from nlbprob.blocks.trajectory_priors.base import Surrogate
from nlbprob.infer.trajectories.problem import Auxiliary, TrialProblem, block_part, emitted, joined, lift, state_slices
from nlbprob.numerics.gaussian import Chain, Sites, Smoothed, apply, expected_sites


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
    sites = joint_sites(problem, [part.sites for part in parts])
    constant: Any = sum(part.constant for part in parts)
    return JointSurrogate(chain, sites, constant, parts)


def joint_sites(problem: TrialProblem, parts: list[Sites | None]) -> Sites | None:
    """Sites on the whole state from those on each block's; None where no block has any."""
    present = [sites for sites in parts if sites is not None]
    if not present:
        return None
    lead, dtype = present[0].linear.shape[:2], present[0].linear.dtype
    size = state_slices(problem)[-1].stop
    linear, precision = jnp.zeros((*lead, size), dtype), jnp.zeros((*lead, size, size), dtype)
    for sites, columns in zip(parts, state_slices(problem), strict=True):
        if sites is not None:
            linear = linear.at[..., columns].set(sites.linear)
            precision = precision.at[..., columns, columns].set(sites.precision)
    return Sites(linear, precision)


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


def proposal(problem: TrialProblem, sites: Sites, smoothed: Smoothed, auxiliary: Auxiliary) -> Auxiliary:
    """The auxiliary posteriors, with what blocks propose in place of theirs.

    Args:
        problem: the rows.
        sites: of the likelihood, on the latents.
        smoothed: moments of the state; blocks see each other at their means.
        auxiliary: of each block, now.
    """
    sites, found = lift(sites, problem.emission), list(auxiliary)
    pull = sites.linear - apply(sites.precision, smoothed.mean)
    for number, (prior, columns) in enumerate(zip(problem.priors, state_slices(problem), strict=True)):
        if prior.proposes:
            own = sites.precision[..., columns, columns]
            linear = pull[..., columns] + apply(own, smoothed.mean[..., columns])
            found[number] = prior.proposal(Sites(linear, own))
    return tuple(found)


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
    sites = expected_sites(prior.sites, smoothed.mean, smoothed.covariance)
    return sites + prior.constant + terms(problem, auxiliary, prior, smoothed)


def target(problem: TrialProblem, auxiliary: Auxiliary, smoothed: Smoothed) -> Sites | None:
    """What the blocks add to the sites on the latents that a full natural-gradient step leads to, if anything."""
    parts = zip(problem.priors, state_slices(problem), auxiliary, strict=True)
    targets = [prior.target(posterior, block_part(smoothed, columns)) for prior, columns, posterior in parts]
    sites = joint_sites(problem, targets)
    if sites is None or problem.emission is None:
        return sites
    # The states of a block with such sites are its latents: the emission only moves them to their place.
    precision = problem.emission @ sites.precision @ problem.emission.mT
    return Sites(emitted(problem.emission, sites.linear), precision)
