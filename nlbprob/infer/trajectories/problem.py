"""What inference of a batch of trials needs: the model at given parameters, for one batch of trials.

With templates every trial stands once for each component ("rows" of a batch are trial-component pairs, the component
running fastest), and the bound of a trial is log sum_k p(k) exp(bound given k).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, PyTree

from nlbprob.blocks.parameters import CountReadout
from nlbprob.blocks.trajectory_priors.base import TrajectoryPrior
from nlbprob.infer.runtime.batch import Batch
from nlbprob.model import Model, Parameters
from nlbprob.numerics import matrices
from nlbprob.numerics.gaussian import Chain, Sites, Smoothed, apply, until

#: The auxiliary posterior of each block, see `TrajectoryPrior`; None where it has none.
Auxiliary = tuple[Any, ...]


class SiteState(NamedTuple):
    """The posterior of a chunk of trials that the next iteration starts from."""

    sites: Sites
    step_size: Float[Array, " row"]
    auxiliary: Auxiliary


class TrialProblem(NamedTuple):
    """A batch of rows at given parameters.

    priors: of each block's state; emission H, of each bin or of all: x = H state + shift; predictors are eta = c'x +
    offset. count_readout: see `Parameters`.
    """

    priors: tuple[TrajectoryPrior, ...]
    emission: Float[Array, "*time latent state"] | None
    shift: Float[Array, "*row time latent"] | None
    loadings: Float[Array, "neuron latent"]
    offset: Float[Array, "..."]
    observation: dict[str, Array]
    uncertainty: Float[Array, "neuron width width"] | None
    count_readout: CountReadout | None

    @property
    def chains(self) -> tuple[Chain, ...]:
        """What of each block's prior is linear and Gaussian; see `TrajectoryPrior`."""
        return tuple(prior.chain for prior in self.priors)


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
        trajectories = until(theta.mixture.trajectories, bins, axis=1)
        shift = jnp.tile(trajectories, (batch.counts.shape[0], 1, 1))
        offset = offset if offset.ndim == 1 else repeat(offset, times)
        # Arrays of a chain that have an axis for trials; those of a block that switches never do.
        batched_ndims = [(2, 3, 4, 3, 4) if d.regimes is None else (9,) * 5 for d in theta.dynamics]
        chains = [
            Chain(*(repeat(a, times) if a.ndim >= ndim else a for a, ndim in zip(chain, ndims, strict=True)))
            for chain, ndims in zip(chains, batched_ndims, strict=True)
        ]
    emission = model.emission(theta.dynamics)
    if emission is not None and emission.ndim == 3:
        emission = until(emission, bins, axis=0)
    batch = repeat(batch, times)
    parts = zip(model.chains, theta.dynamics, chains, strict=True)
    priors = tuple(block.trajectory_prior(dynamics, chain, inside(batch)) for block, dynamics, chain in parts)
    readout = (theta.loadings, offset, theta.observation, theta.uncertainty, theta.count_readout)
    problem = TrialProblem(priors, emission, shift, *readout)
    return problem, batch


def inside(batch: Batch) -> Bool[Array, "row time"]:
    """The bins of a trial up to the last in which anything is seen: later ones are predicted, not learned from."""
    any_seen = batch.seen.any(-1)
    return lax.cummax(any_seen[:, ::-1].astype(jnp.int32), axis=1)[:, ::-1] > 0


def combined(
    theta: Parameters, bounds: Float[Array, " row"]
) -> tuple[Float[Array, " trial"], Float[Array, "trial component"]]:
    """The bound of each trial and the responsibilities of its components [trial, component], from those of its rows."""
    if theta.mixture is None:
        return bounds, jnp.ones((bounds.shape[0], 1), bounds.dtype)
    joint = bounds.reshape(-1, theta.mixture.log_weights.shape[0]) + theta.mixture.log_weights
    return jax.nn.logsumexp(joint, 1), jax.nn.softmax(joint, 1)


def predicted_responsibility(
    model: Model, theta: Parameters, bounds: Float[Array, " row"]
) -> Float[Array, "trial component"]:
    """The responsibilities of each trial's components for predictions, see `temperature` of `Templates`."""
    temperature = 1.0 if model.templates is None else model.templates.temperature
    return combined(theta, bounds / temperature)[1]


def lift(sites: Sites, emission: Float[Array, "*time latent state"] | None) -> Sites:
    """Sites on the latents as sites on the state: H'h and H'JH."""
    if emission is None:
        return sites
    return Sites(emitted(emission.mT, sites.linear), emission.mT @ sites.precision @ emission)


def emitted(
    emission: Float[Array, "*time latent state"] | None, state: Float[Array, "*batch time state"]
) -> Float[Array, "*batch time latent"]:
    """H state of trajectories [..., time, state], where H is that of each bin or of all; None is the identity."""
    if emission is None:
        return state
    return state @ emission.T if emission.ndim == 2 else apply(emission, state)


def latent_moments(
    problem: TrialProblem, mean: Float[Array, "*batch state"], covariance: Float[Array, "*#batch state state"]
) -> tuple[Float[Array, "*batch latent"], Float[Array, "*#batch latent latent"]]:
    """Mean and covariance of the latents x = H state + shift from those of the state."""
    mean = emitted(problem.emission, mean)
    if problem.emission is not None:
        covariance = problem.emission @ covariance @ problem.emission.mT
    return (mean if problem.shift is None else mean + problem.shift), covariance


def state_slices(problem: TrialProblem) -> list[slice]:
    """Where each block's state is among all."""
    slices, start = [], 0
    for chain in problem.chains:
        size = chain.initial_mean.shape[-1]
        slices.append(slice(start, start + size))
        start += size
    return slices


def block_part(smoothed: Smoothed, columns: slice) -> Smoothed:
    """The moments of one block's state."""
    return Smoothed(
        smoothed.mean[..., columns],
        smoothed.covariance[..., columns, columns],
        smoothed.cross_covariance[..., columns, columns],
        smoothed.divergence,
    )


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
