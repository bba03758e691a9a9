"""What inference of a batch of trials needs: the model's parameters brought to bear on these very trials.

With templates every trial stands once for each component ("rows" of a batch are trial-component pairs, the component
running fastest), and the bound of a trial is log sum_k p(k) exp(bound given k).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from nlbprob.blocks.latent import Regimes
from nlbprob.blocks.templates import extended
from nlbprob.infer.runtime.batch import Batch
from nlbprob.model import Model, Parameters
from nlbprob.numerics import matrices
from nlbprob.numerics.gaussian import Chain, Sites, symmetrize


class Rows(NamedTuple):
    """The posterior of a chunk of trials that the next iteration starts from."""

    sites: Sites
    step_size: Float[Array, " row"]
    paths: tuple[Any, ...]


class Problem(NamedTuple):
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


def repeat(tree, times: int):
    """Every trial of a tree of arrays [trial, ...] so many times in a row."""
    return tree if times == 1 else jax.tree.map(lambda a: jnp.repeat(a, times, axis=0), tree)


def problem(model: Model, theta: Parameters, batch: Batch) -> tuple[Problem, Batch]:
    """The rows of a batch at given parameters."""
    bins = batch.counts.shape[1]
    offset = model.offset(theta, dict(batch.covariates), batch.counts, batch.seen)
    chains = [
        block.for_trials(one, dict(batch.covariates)) for block, one in zip(model.chains, theta.dynamics, strict=True)
    ]
    times, shift = 1, None
    if theta.mixture is not None:
        times = theta.mixture.log_weights.shape[0]
        trajectories = extended(theta.mixture.trajectories, bins)
        shift = jnp.tile(trajectories, (batch.counts.shape[0], 1, 1))
        offset = offset if offset.ndim == 1 else repeat(offset, times)
        # Arrays of a chain that have an axis for trials; those of a block that switches never do.
        own = [(2, 3, 4, 3, 4) if one.regimes is None else (9,) * 5 for one in theta.dynamics]
        chains = [
            Chain(*(repeat(a, times) if a.ndim >= axes else a for a, axes in zip(chain, least, strict=True)))
            for chain, least in zip(chains, own, strict=True)
        ]
    emission = model.emission(theta.dynamics)
    regimes = tuple(one.regimes for one in theta.dynamics)
    found = Problem(
        tuple(chains), regimes, emission, shift, theta.loadings, offset, theta.observation, theta.uncertainty
    )
    return found, repeat(batch, times)


def combined(theta: Parameters, bounds: Float[Array, " row"]):
    """The bound of each trial and the responsibilities of its components [trial, component], from those of its rows."""
    if theta.mixture is None:
        return bounds, jnp.ones((bounds.shape[0], 1), bounds.dtype)
    joint = bounds.reshape(-1, theta.mixture.log_weights.shape[0]) + theta.mixture.log_weights
    return jax.nn.logsumexp(joint, 1), jax.nn.softmax(joint, 1)


def lift(sites: Sites, emission) -> Sites:
    """Sites on the latents as sites on the state: H'h and H'JH."""
    if emission is None:
        return sites
    return Sites(sites.linear @ emission, emission.T @ sites.precision @ emission)


def latent_moments(given: Problem, mean, covariance):
    """Mean and covariance of the latents x = H state + shift from those of the state."""
    if given.emission is not None:
        mean = mean @ given.emission.T
        covariance = given.emission @ covariance @ given.emission.T
    return (mean if given.shift is None else mean + given.shift), covariance


def state_slices(given: Problem) -> list[slice]:
    """Where each block's state is in the whole."""
    found, start = [], 0
    for chain in given.chains:
        size = chain.initial_mean.shape[-1]
        found.append(slice(start, start + size))
        start += size
    return found


def joined(chains: list[Chain]) -> Chain:
    """The chain of all blocks' states together; time and trial axes are broadcast where a block has none."""
    if len(chains) == 1:
        return chains[0]
    if all(chain.transition.ndim == 2 and chain.offset.ndim == 1 and chain.initial_mean.ndim == 1 for chain in chains):
        return matrices.block_diagonal(chains)

    def blocks(parts):
        lead = lax.broadcast_shapes(*(part.shape[:-2] for part in parts))
        size = sum(part.shape[-1] for part in parts)
        whole, start = jnp.zeros((*lead, size, size), parts[0].dtype), 0
        for part in parts:
            end = start + part.shape[-1]
            whole = whole.at[..., start:end, start:end].set(part)
            start = end
        return whole

    def concatenated(parts):
        lead = lax.broadcast_shapes(*(part.shape[:-1] for part in parts))
        return jnp.concatenate([jnp.broadcast_to(part, (*lead, part.shape[-1])) for part in parts], -1)

    means, covariances, transitions, offsets, noises = (list(parts) for parts in zip(*chains, strict=True))
    return Chain(concatenated(means), blocks(covariances), blocks(transitions), concatenated(offsets), blocks(noises))


class Averaged(NamedTuple):
    """exp E_q(s)[log p(x | s)] of a block as a chain times sites times exp(constant)."""

    chain: Chain
    extra: Sites
    constant: Float[Array, " row"]


def averaged(chain: Chain, weights: Float[Array, "row time regime"]) -> Averaged:
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

    def mean(arrays):
        return jnp.einsum("bts,s...->bt...", later, arrays)

    precision, cross, beta = symmetrize(mean(inverse)), mean(pulled), mean(bias)
    quadratic = mean(transition.mT @ pulled)
    nu = mean(jnp.einsum("sij,si->sj", transition, bias))
    kappa = mean(jnp.einsum("si,si->s", offset, bias))
    spread = symmetrize(jnp.linalg.inv(precision))
    moved = spread @ cross
    shift = jnp.einsum("btij,btj->bti", spread, beta)
    site = symmetrize(quadratic - cross.mT @ moved)
    linear = jnp.einsum("btij,bti->btj", moved, beta) - nu
    log_precision = jnp.linalg.slogdet(precision)[1]
    constant = 0.5 * (jnp.sum(beta * shift, -1) - kappa - log_precision - mean(jnp.linalg.slogdet(noise)[1]))
    fixed = Chain(chain.initial_mean, chain.initial_covariance, moved, shift, spread)

    def pad(a):
        return jnp.concatenate([a, jnp.zeros_like(a[:, :1])], 1)

    extra = Sites(pad(linear), pad(site))
    return Averaged(fixed, extra, constant.sum(1))
