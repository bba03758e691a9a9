"""A shift of all latents at once, which baselines undo: the direction in which EM by itself creeps.

Baselines d + C b with trajectories x - b give the same rates as d and x: only the trajectories' prior tells b, and an
update of d at given trajectories moves it by a hundredth of the way. A Newton step on b with the trajectories
integrated out takes it at once: EM with an expanded parameter (Liu, Rubin and Wu 1998), for the mean of the latents.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
from jax.scipy.linalg import solve
from jaxtyping import Array, Float

from nlbprob.infer.trajectories import cvi
from nlbprob.infer.trajectories.problem import SiteState, TrialProblem
from nlbprob.model import Parameters
from nlbprob.numerics import kalman
from nlbprob.numerics.gaussian import Sites, Smoothed, apply, symmetrize

#: Longest step of a latent, in its own standard deviations.
LONGEST = 0.5


class ShiftStatistics(NamedTuple):
    """Slope and information of the bound in b, summed over trials, the trajectories integrated out."""

    slope: Float[Array, " latent"]
    information: Float[Array, "latent latent"]


def information(
    problem: TrialProblem, sites: Sites, smoothed: Smoothed, responsibility: Float[Array, " row"]
) -> Float[Array, "latent latent"]:
    """The information of rows on b, where the predictors are those of the latents x + b.

    With sites of precision J and the posterior covariance P of a whole trajectory it is sum_t J_t - sum_ts J_t P_ts
    J_s.
    """
    forces = sites.precision if problem.emission is None else problem.emission.mT @ sites.precision
    own = jnp.einsum("r,rtki,rtkj->ij", responsibility, forces, smoothed.covariance @ forces)
    later = jnp.einsum("r,rtki,rtkj->ij", responsibility, forces[:, :-1], kalman.later_response(smoothed, forces))
    return symmetrize(jnp.einsum("r,rtij->ij", responsibility, sites.precision) - own - later - later.mT)


def statistics(
    problem: TrialProblem, local: cvi.TrajectoryPosterior, responsibility: Float[Array, " row"]
) -> ShiftStatistics:
    """Slope and information of rows, from their E-step."""
    slope = responsibility @ cvi.latent_slope(problem, local).sum(1)
    return ShiftStatistics(slope, information(problem, local.sites, local.smoothed, responsibility))


def step(
    statistics: ShiftStatistics,
    baseline: Float[Array, " neuron"],
    loadings: Float[Array, "neuron latent"],
    location: Float[Array, " neuron"],
    precision: Float[Array, " neuron"],
    still: Sequence[slice] = (),
) -> Float[Array, " latent"]:
    """The Newton step on b.

    Args:
        statistics: of all trials, at these baselines and loadings.
        baseline: d.
        loadings: C.
        location: prior mean of each baseline.
        precision: prior precision of each baseline.
        still: latents that are not shifted: another update moves their mean.
    """
    slope = statistics.slope - loadings.T @ (precision * (baseline - location))
    curvature = statistics.information + (loadings.T * precision) @ loadings
    change = solved(curvature, slope, still)
    return change * jnp.minimum(1.0, LONGEST / jnp.maximum(jnp.abs(change).max(), 1e-30))


def within(
    before: Parameters, after: Parameters, curvature: Float[Array, "neuron width width"], still: Sequence[slice] = ()
) -> Float[Array, " latent"]:
    """The shift b that a step of the readout holds already: the C b nearest to how far it moves mean predictors.

    A step in b goes all the way along these directions, that of the readout a part of it: both together would go too
    far, and with the dynamics' own step EM would swing about its optimum.

    Args:
        before: parameters before the step.
        after: parameters with its baselines and loadings.
        curvature: of each neuron's expected log likelihood and prior in (d, c).
        still: latents that are not shifted.
    """
    baseline, loadings = after.baseline - before.baseline, after.loadings - before.loadings
    change = jnp.sum(curvature[:, 0] * jnp.concatenate([baseline[:, None], loadings], 1), 1)
    weighted = (before.loadings.T * curvature[:, 0, 0]) @ before.loadings
    return solved(weighted, before.loadings.T @ change, still)


def solved(
    curvature: Float[Array, "latent latent"], slope: Float[Array, " latent"], still: Sequence[slice]
) -> Float[Array, " latent"]:
    """curvature^-1 slope with a small ridge, zero in latents that are not shifted and where it is not finite."""
    for columns in still:
        slope = slope.at[columns].set(0.0)
        curvature = curvature.at[columns].set(0.0).at[:, columns].set(0.0)
    scale = 1e-4 * jnp.maximum(jnp.trace(curvature) / curvature.shape[0], 1e-6)
    ridge = scale * jnp.eye(curvature.shape[0], dtype=curvature.dtype)
    change = solve(curvature + ridge, slope, assume_a="pos")
    return jnp.where(jnp.isfinite(change).all(), change, 0.0)


def moved(state: SiteState, by: Float[Array, " latent"], basis: Float[Array, "latent latent"]) -> SiteState:
    """The sites of latents that were shifted by b: those on z, x = basis z."""
    sites = state.sites
    linear = sites.linear - apply(sites.precision, by)
    return state._replace(sites=Sites(linear @ basis, basis.T @ sites.precision @ basis))
