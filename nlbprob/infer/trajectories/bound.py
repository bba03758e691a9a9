"""The bound of a batch of trials, with the gradient in the parameters that is exact where the sites have converged."""

from typing import TYPE_CHECKING

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from nlbprob.infer.runtime.batch import Batch
from nlbprob.infer.trajectories import prior as trajectory_prior
from nlbprob.infer.trajectories.cvi import TrajectoryPosterior
from nlbprob.infer.trajectories.likelihood import predictor
from nlbprob.infer.trajectories.problem import TrialProblem, latent_moments
from nlbprob.numerics import kalman

if TYPE_CHECKING:
    from nlbprob.blocks.observations import Observation


def bound(
    problem: TrialProblem, observation: "Observation", batch: Batch, local: TrajectoryPosterior
) -> Float[Array, " row"]:
    """The bound of each row, with the gradient in the parameters that is exact where the sites have converged.

    With sites and q held fixed the gradient is that of log Z(theta), through the filter alone, plus that of
    E_q[log p(y | x, theta)]. The gradient of E_q[log p(x | theta)] is the same on paper, wrong in float32.
    """
    sites, smoothed, auxiliary, elbo = lax.stop_gradient((local.sites, local.smoothed, local.auxiliary, local.elbo))
    prior = trajectory_prior.surrogate(problem, auxiliary)
    total = trajectory_prior.all_sites(prior, sites, lax.stop_gradient(problem.emission))
    change = jnp.zeros(())
    if prior.sites is not None:
        change = prior.constant + trajectory_prior.terms(problem, auxiliary, prior, smoothed)
    change = change + kalman.log_normalizer(kalman.filter(prior.chain, total), total)
    mean, covariance = latent_moments(problem, smoothed.mean, smoothed.covariance)
    location, variance = predictor(problem, mean, covariance)
    fixed = lax.stop_gradient((location, variance))
    value, slope, weight = observation.expected_log_prob(*fixed, batch.counts, problem.observation)
    slope, weight = lax.stop_gradient((slope, weight))
    predictor_change = slope * (location - fixed[0]) - 0.5 * weight * (variance - fixed[1])
    value = value - lax.stop_gradient(value) + predictor_change
    change = change - lax.stop_gradient(change) + jnp.where(batch.seen, value, 0.0).sum((-1, -2))
    return elbo + change
