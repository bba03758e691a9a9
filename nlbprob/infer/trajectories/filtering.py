"""Filtering: the posterior of each bin given what is seen up to it, for online use."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree, Shaped

from nlbprob.blocks.trajectory_priors.base import ChainPrior
from nlbprob.errors import InputError
from nlbprob.infer.runtime.batch import Batch
from nlbprob.infer.runtime.programs import program
from nlbprob.infer.trajectories import cvi
from nlbprob.infer.trajectories.marginals import COLD_STEPS, Marginals
from nlbprob.infer.trajectories.problem import (
    TrialProblem,
    joined,
    latent_moments,
    predicted_responsibility,
    trial_problem,
)
from nlbprob.model import Model, Parameters
from nlbprob.numerics import gaussian
from nlbprob.numerics.gaussian import Chain

#: Mean and covariance of the state in a bin, and the evidence of the bins so far.
Bin = tuple[Float[Array, "row state"], Float[Array, "row state state"], Float[Array, " row"]]


@program("model")
def filtered_marginals(model: Model, theta: Parameters, batch: Batch) -> Marginals:
    """Moments of the latents in each bin given what is seen up to it: each bin is fitted once, then carried forward.

    The evidence that the bins so far give for each component is summed as they come.
    """
    problem, repeated = trial_problem(model, theta, batch)
    check_causal(model, problem)
    chain, bins = joined(list(problem.chains)), batch.counts.shape[1]
    rows, state = repeated.counts.shape[0], chain.initial_mean.shape[-1]
    first = (
        jnp.broadcast_to(chain.initial_mean, (rows, state)),
        jnp.broadcast_to(chain.initial_covariance, (rows, state, state)),
        jnp.zeros(rows, chain.initial_mean.dtype),
    )

    def per_step(array: Float[Array, "..."], rank: int) -> Float[Array, "..."]:
        lead = array.shape[:-rank]
        every = jnp.broadcast_to(array, (*(lead or (bins - 1,)), *array.shape[-rank:]))
        moved = jnp.moveaxis(every, -rank - 1, 0)
        return jnp.concatenate([moved, moved[-1:]])

    steps = (per_step(chain.transition, 2), per_step(chain.offset, 1), per_step(chain.noise, 2))

    identity = jnp.eye(state, dtype=chain.initial_mean.dtype)

    def advance(carry: Bin, inputs: tuple[PyTree[Array], ...]) -> tuple[Bin, Bin]:
        mean, covariance, evidence = carry
        counts, seen, offset, shift, emission, step = inputs
        one_bin = Chain(mean, covariance, identity, jnp.zeros(state, mean.dtype), identity)
        now = problem._replace(priors=(ChainPrior(one_bin),), offset=offset, shift=shift)
        now = now if emission is None else now._replace(emission=emission)
        here = Batch(counts[:, None], seen[:, None], {})
        sites = cvi.first_sites(now, model.observation, here)
        local = cvi.iterate(now, model.observation, here, cvi.init(now, sites), COLD_STEPS)
        mean, covariance = local.smoothed.mean[:, 0], local.smoothed.covariance[:, 0]
        evidence = evidence + local.elbo
        return (*gaussian.predict(mean, covariance, *step), evidence), (mean, covariance, evidence)

    def leading(array: Shaped[Array, "row time ..."]) -> Shaped[Array, "time row ..."]:
        return jnp.moveaxis(array, 1, 0)

    neurons = problem.offset.shape[-1]
    offset = jnp.broadcast_to(problem.offset, (rows, bins, neurons)) if problem.offset.ndim == 1 else problem.offset
    offset = leading(offset)[:, :, None]
    shift = None if problem.shift is None else leading(problem.shift)[:, :, None]
    varies = problem.emission is not None and problem.emission.ndim == 3
    emission = problem.emission if varies else None
    inputs = (leading(repeated.counts), leading(repeated.seen), offset, shift, emission, steps)
    _, (mean, covariance, evidence) = jax.lax.scan(advance, first, inputs)
    mean, covariance = jnp.moveaxis(mean, 0, 1), jnp.moveaxis(covariance, 0, 1)
    responsibility = jax.vmap(lambda bounds: predicted_responsibility(model, theta, bounds), out_axes=1)(evidence)
    return Marginals(*latent_moments(problem, mean, covariance), responsibility)


def check_causal(model: Model, problem: TrialProblem) -> None:
    """Raise InputError where a block has no filter."""
    for block, prior in zip(model.chains, problem.priors, strict=True):
        if not isinstance(prior, ChainPrior):
            raise InputError(f"causal=True: {type(block).__name__} has no filter of its own; leave causal out.")
