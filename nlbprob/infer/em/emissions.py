"""Emissions that EM learns bin by bin, given the E-step of all trials."""

from typing import Any

from jaxtyping import Array, Float

from nlbprob.blocks.base import Context
from nlbprob.blocks.learned_emission import LearnedEmission
from nlbprob.infer.trajectories import cvi
from nlbprob.infer.trajectories.problem import TrialProblem
from nlbprob.model import Model


def statistics(
    block: LearnedEmission,
    places: tuple[slice, slice],
    problem: TrialProblem,
    local: cvi.TrajectoryPosterior,
    weight: Float[Array, " row"],
) -> Any:
    """What the block needs of some rows; places: where its latents and its state are among all."""
    latents, state = places
    assert problem.emission is not None
    covariance = local.smoothed.covariance[..., state]
    precision = local.target.precision[..., latents, :]
    pull = precision @ (problem.emission @ covariance)
    first = local.smoothed.mean[:, 0, state], covariance[:, 0, state]
    slope = cvi.latent_slope(problem, local)[..., latents]
    return block.emission_statistics(slope, precision[..., latents], pull, *first, weight)


def update(model: Model, context: Context, values: dict[str, Any], total: tuple[Any, ...]) -> dict[str, Any]:
    """New values of the sites of emissions that are learned; total: statistics of each block, of all trials."""
    updated: dict[str, Any] = {}
    for block, statistics in zip(model.chains, total, strict=False):
        if isinstance(block, LearnedEmission) and statistics is not None:
            updated |= block.maximize_emission(statistics, context, values)
    return updated
