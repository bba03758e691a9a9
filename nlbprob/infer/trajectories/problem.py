"""What inference of a batch of trials needs: the model at given parameters, for one batch of trials.

With templates every trial stands once for each component ("rows" of a batch are trial-component pairs, the component
running fastest), and the bound of a trial is log sum_k p(k) exp(bound given k).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, PyTree

from nlbprob.blocks.latent import Regimes
from nlbprob.blocks.templates import until
from nlbprob.infer.runtime.batch import Batch
from nlbprob.model import Model, Parameters
from nlbprob.numerics import matrices
from nlbprob.numerics.gaussian import Chain, Sites, symmetrize
from nlbprob.numerics.hmm import Paths


class SiteState(NamedTuple):
    """The posterior of a chunk of trials that the next iteration starts from."""

    sites: Sites
    step_size: Float[Array, " row"]
    paths: Paths


class TrialProblem(NamedTuple):
    """A batch of rows at given parameters.

    chains: the prior of each block's state (with leading axis `regime` of transition, offset and noise where it
    switches); regimes: of the blocks that switch, None for the others; emission H: x = H state + shift; predictors are
    eta = c'x + offset.
    """

    chains: tuple[Chain, ...]
    regimes: tuple[Regimes | None, ...]
    emission: Float[Array, "latent state"] | None
    shift: Float[Array, "*row time latent"] | None
    loadings: Float[Array, "neuron latent"]
    offset: Float[Array, "..."]
    observation: dict[str, Array]
    uncertainty: Float[Array, "neuron width width"] | None


def repeat(tree: PyTree[Array], times: int) -> PyTree[Array]:
    """Every trial of a tree of arrays [trial, ...] so many times in a row."""
    return tree if times == 1 else jax.tree.map(lambda a: jnp.repeat(a, times, axis=0), tree)


def trial_problem(model: Model, theta: Parameters, batch: Batch) -> tuple[TrialProblem, Batch]:
    """The rows of a batch at given parameters."""
    bins = batch.counts.shape[1]
    offset = model.offset(theta, dict(batch.covariates), batch.counts, batch.seen)
    chains = [
        block.for_trials(dynamics, dict(batch.covariates))
        for block, dynamics in zip(model.chains, theta.dynamics, strict=True)
    ]
    times, shift = 1, None
    if theta.mixture is not None:
        times = theta.mixture.log_weights.shape[0]
        trajectories = until(theta.mixture.trajectories, bins)
        shift = jnp.tile(trajectories, (batch.counts.shape[0], 1, 1))
        offset = offset if offset.ndim == 1 else repeat(offset, times)
        # Arrays of a chain that have an axis for trials; those of a block that switches never do.
        batched_ndims = [(2, 3, 4, 3, 4) if d.regimes is None else (9,) * 5 for d in theta.dynamics]
        chains = [
            Chain(*(repeat(a, times) if a.ndim >= ndim else a for a, ndim in zip(chain, ndims, strict=True)))
            for chain, ndims in zip(chains, batched_ndims, strict=True)
        ]
    emission = model.emission(theta.dynamics)
    regimes = tuple(dynamics.regimes for dynamics in theta.dynamics)
    problem = TrialProblem(
        tuple(chains), regimes, emission, shift, theta.loadings, offset, theta.observation, theta.uncertainty
    )
    return problem, repeat(batch, times)


def combined(
    theta: Parameters, bounds: Float[Array, " row"]
) -> tuple[Float[Array, " trial"], Float[Array, "trial component"]]:
    """The bound of each trial and the responsibilities of its components [trial, component], from those of its rows."""
    if theta.mixture is None:
        return bounds, jnp.ones((bounds.shape[0], 1), bounds.dtype)
    joint = bounds.reshape(-1, theta.mixture.log_weights.shape[0]) + theta.mixture.log_weights
    return jax.nn.logsumexp(joint, 1), jax.nn.softmax(joint, 1)


def lift(sites: Sites, emission: Float[Array, "latent state"] | None) -> Sites:
    """Sites on the latents as sites on the state: H'h and H'JH."""
    if emission is None:
        return sites
    return Sites(sites.linear @ emission, emission.T @ sites.precision @ emission)


def latent_moments(
    problem: TrialProblem, mean: Float[Array, "*batch state"], covariance: Float[Array, "*batch state state"]
) -> tuple[Float[Array, "*batch latent"], Float[Array, "*batch latent latent"]]:
    """Mean and covariance of the latents x = H state + shift from those of the state."""
    if problem.emission is not None:
        mean = mean @ problem.emission.T
        covariance = problem.emission @ covariance @ problem.emission.T
    return (mean if problem.shift is None else mean + problem.shift), covariance


def state_slices(problem: TrialProblem) -> list[slice]:
    """Where each block's state is among all."""
    slices, start = [], 0
    for chain in problem.chains:
        size = chain.initial_mean.shape[-1]
        slices.append(slice(start, start + size))
        start += size
    return slices


def joined(chains: list[Chain]) -> Chain:
    """The chain of all blocks' states together; time and trial axes are broadcast where a block has none."""
    if len(chains) == 1:
        return chains[0]
    if all(chain.transition.ndim == 2 and chain.offset.ndim == 1 and chain.initial_mean.ndim == 1 for chain in chains):
        return matrices.block_diagonal(chains)

    def blocks(parts: list[Float[Array, "... _ _"]]) -> Float[Array, "... state state"]:
        lead = lax.broadcast_shapes(*(part.shape[:-2] for part in parts))
        size = sum(part.shape[-1] for part in parts)
        matrix, start = jnp.zeros((*lead, size, size), parts[0].dtype), 0
        for part in parts:
            end = start + part.shape[-1]
            matrix = matrix.at[..., start:end, start:end].set(part)
            start = end
        return matrix

    def concatenated(parts: list[Float[Array, "... _"]]) -> Float[Array, "... state"]:
        lead = lax.broadcast_shapes(*(part.shape[:-1] for part in parts))
        return jnp.concatenate([jnp.broadcast_to(part, (*lead, part.shape[-1])) for part in parts], -1)

    means, covariances, transitions, offsets, noises = (list(parts) for parts in zip(*chains, strict=True))
    return Chain(concatenated(means), blocks(covariances), blocks(transitions), concatenated(offsets), blocks(noises))


class ExpectedChain(NamedTuple):
    """exp E_q(s)[log p(x | s)] of a block as a chain times sites times exp(constant)."""

    chain: Chain
    extra: Sites
    constant: Float[Array, " row"]


def expected_chain(chain: Chain, weights: Float[Array, "row time regime"]) -> ExpectedChain:
    """The expected log density of a switching chain under the marginals of its regimes.

    With L = sum_s w_s Q_s^-1, M = sum_s w_s Q_s^-1 A_s, beta = sum_s w_s Q_s^-1 b_s, N = sum_s w_s A_s'Q_s^-1 A_s and
    nu = sum_s w_s A_s'Q_s^-1 b_s it is log N(x_t; L^-1 (M x + beta), L^-1) plus the site at x = x_{t-1} with precision
    N - M'L^-1 M and linear term M'L^-1 beta - nu, plus a constant.
    """
    transition, offset, noise = chain.transition, chain.offset, chain.noise
    inverse = symmetrize(jnp.linalg.inv(noise))
    pulled = inverse @ transition
    bias = jnp.einsum("sij,sj->si", inverse, offset)
    later = weights[:, 1:]

    def mean(arrays: Float[Array, "regime *shape"]) -> Float[Array, "row step *shape"]:
        return jnp.einsum("bts,s...->bt...", later, arrays)

    precision, cross, beta = symmetrize(mean(inverse)), mean(pulled), mean(bias)
    quadratic = mean(transition.mT @ pulled)
    nu = mean(jnp.einsum("sij,si->sj", transition, bias))
    kappa = mean(jnp.einsum("si,si->s", offset, bias))
    covariance = symmetrize(jnp.linalg.inv(precision))
    moved = covariance @ cross
    shift = jnp.einsum("btij,btj->bti", covariance, beta)
    site = symmetrize(quadratic - cross.mT @ moved)
    linear = jnp.einsum("btij,bti->btj", moved, beta) - nu
    log_precision = jnp.linalg.slogdet(precision)[1]
    constant = 0.5 * (jnp.sum(beta * shift, -1) - kappa - log_precision - mean(jnp.linalg.slogdet(noise)[1]))
    fixed = Chain(chain.initial_mean, chain.initial_covariance, moved, shift, covariance)

    def pad(a: Float[Array, "row step ..."]) -> Float[Array, "row time ..."]:
        return jnp.concatenate([a, jnp.zeros_like(a[:, :1])], 1)

    extra = Sites(pad(linear), pad(site))
    return ExpectedChain(fixed, extra, constant.sum(1))
