"""The posterior marginals of trials' latents given what is seen, and the counts expected under them."""

from typing import NamedTuple

from jax import numpy as jnp
from jaxtyping import Array, Float

from nlbprob.blocks.observations import Observation
from nlbprob.infer.runtime.batch import Batch
from nlbprob.infer.runtime.programs import program
from nlbprob.infer.trajectories import cvi, likelihood
from nlbprob.infer.trajectories.problem import (
    Auxiliary,
    TrialProblem,
    latent_moments,
    predicted_responsibility,
    trial_problem,
)
from nlbprob.model import Model, Parameters

#: Natural-gradient steps for a trial that starts from its prior; each stops by itself, most after about ten.
COLD_STEPS = 50


class Marginals(NamedTuple):
    """Moments of the latents of each trial-component pair, templates included, and the pair's responsibility.

    responsibility [trial, component], or [trial, time, component] from a filter; auxiliary: see `TrajectoryPrior`.
    """

    mean: Float[Array, "row time latent"]
    covariance: Float[Array, "row time latent latent"]
    responsibility: Float[Array, "trial *time component"]
    auxiliary: Auxiliary = ()


def infer(model: Model, theta: Parameters, batch: Batch) -> tuple[TrialProblem, Batch, cvi.TrajectoryPosterior]:
    """The local posterior given everything seen: (problem, rows of the batch, converged posterior)."""
    problem, repeated = trial_problem(model, theta, batch)
    local = cvi.init(problem, cvi.first_sites(problem, model.observation, repeated))
    return problem, repeated, cvi.iterate_anew(problem, model.observation, repeated, local, COLD_STEPS)


@program("model")
def smoothed_marginals(model: Model, theta: Parameters, batch: Batch) -> Marginals:
    """Marginals of the latents given everything seen."""
    problem, _, local = infer(model, theta, batch)
    responsibility = predicted_responsibility(model, theta, local.elbo)
    moments = latent_moments(problem, local.smoothed.mean, local.smoothed.covariance)
    return Marginals(*moments, responsibility, local.auxiliary)


def mixed(
    values: Float[Array, "row time ..."], responsibility: Float[Array, "trial *time component"]
) -> Float[Array, "trial time ..."]:
    """The mean over each trial's components, weighted by their responsibilities."""
    if responsibility.shape[-1] == 1:
        return values
    trials, count = responsibility.shape[0], responsibility.shape[-1]
    grouped = values.reshape(trials, count, *values.shape[1:])
    weights = responsibility[:, None] if responsibility.ndim == 2 else responsibility
    weights = jnp.moveaxis(weights, -1, 1).reshape(trials, count, -1, *[1] * (values.ndim - 2))
    return (weights * grouped).sum(1)


def of_counts(model: Model, problem: TrialProblem) -> tuple[Observation, TrialProblem]:
    """The observation that predicts counts, and the problem with its readout."""
    observation, readout = model.observation.count_observation, problem.count_readout
    if observation is None or readout is None:
        return model.observation, problem
    return observation, problem._replace(
        loadings=readout.loadings, offset=readout.baseline, observation={}, uncertainty=None
    )


def expected_counts(model: Model, problem: TrialProblem, marginals: Marginals) -> Float[Array, "trial time neuron"]:
    """Expected counts [trial, time, neuron] over the posterior of the latents and their components."""
    observation, problem = of_counts(model, problem)
    location, variance = likelihood.predictor(problem, marginals.mean, marginals.covariance)
    return mixed(observation.expected_count(location, variance, problem.observation), marginals.responsibility)
