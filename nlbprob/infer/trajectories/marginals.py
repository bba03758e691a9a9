"""The posterior marginals of trials' latents given what is seen, and the counts expected under them."""

from typing import Any, NamedTuple

from jax import numpy as jnp
from jaxtyping import Array, Float

from nlbprob.infer.runtime.batch import Batch
from nlbprob.infer.runtime.programs import program
from nlbprob.infer.trajectories import cvi as local_inference
from nlbprob.infer.trajectories import likelihood
from nlbprob.infer.trajectories.problem import Problem, combined, latent_moments, problem
from nlbprob.model import Model, Parameters

#: Natural-gradient steps for a trial that starts from its prior; each stops by itself, most after about ten.
COLD_STEPS = 50


class Marginals(NamedTuple):
    """Moments of the latents of each trial-component pair, templates included, and the share of each in its trial.

    share [trial, component], or [trial, time, component] from a filter; auxiliary: see
    `TrajectoryPrior`.
    """

    mean: Float[Array, "row time latent"]
    covariance: Float[Array, "row time latent latent"]
    share: Float[Array, "trial *time component"]
    auxiliary: tuple[Any, ...] = ()


def infer(model: "Model", theta: Parameters, batch: Batch):
    """The local posterior given everything seen: (problem, rows of the batch, converged posterior)."""
    given, repeated = problem(model, theta, batch)
    rows, bins = repeated.counts.shape[:2]
    sites = local_inference.empty_sites(rows, bins, theta.loadings.shape[1], theta.loadings.dtype)
    local = local_inference.begin(given, sites)
    return given, repeated, local_inference.iterate(given, model.observation, repeated, local, COLD_STEPS)


@program("model")
def smoothed_marginals(model: "Model", theta: Parameters, batch: Batch) -> Marginals:
    """Marginals of the latents given everything seen."""
    given, _, local = infer(model, theta, batch)
    _, share = combined(theta, local.elbo)
    moments = latent_moments(given, local.smoothed.mean, local.smoothed.covariance)
    return Marginals(*moments, share, local.auxiliary)


def mixed(values, share):
    """The mean over each trial's components of values [row, time, ...], by their share [trial, (time,) component]."""
    if share.shape[-1] == 1:
        return values
    trials, count = share.shape[0], share.shape[-1]
    grouped = values.reshape(trials, count, *values.shape[1:])
    weights = share[:, None] if share.ndim == 2 else share
    weights = jnp.moveaxis(weights, -1, 1).reshape(trials, count, -1, *[1] * (values.ndim - 2))
    return (weights * grouped).sum(1)


def expected_counts(model: "Model", given: Problem, moments: Marginals):
    """Expected counts [trial, time, neuron] over the posterior of the latents and their components."""
    location, variance = likelihood.predictor(given, moments.mean, moments.covariance)
    return mixed(model.observation.expected_count(location, variance, given.observation), moments.share)
