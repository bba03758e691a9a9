"""Latents that are a constant state of each trial, seen through an emission that EM learns bin by bin."""

import abc
from typing import Any

from jaxtyping import Array, Float

from nlbprob.blocks.base import Context
from nlbprob.blocks.latent import Latent


class LearnedEmission(Latent, abc.ABC):
    """x_t = H_t z with one z for each trial; EM improves H_t at the posterior of z, then what else has closed forms.

    A fit starts with its latents: the other blocks start from what they leave.
    """

    @abc.abstractmethod
    def emission_statistics(
        self,
        slope: Float[Array, "row time latent"],
        precision: Float[Array, "row time latent latent"],
        pull: Float[Array, "row time latent state"],
        mean: Float[Array, "row state"],
        covariance: Float[Array, "row state state"],
        weight: Float[Array, " row"],
    ) -> Any:
        """Sums over rows for `maximize_emission` and `maximize`, which are added up over all chunks.

        Args:
            slope: of E_q[log p(y | x)] in the mean of this block's latents.
            precision: minus its curvature there, J.
            pull: J Cov(x, z), with the latents of all blocks.
            mean: of z.
            covariance: of z.
            weight: of each row: its responsibility, 0 where nothing is seen.
        """

    @abc.abstractmethod
    def maximize_emission(self, stats: Any, context: Context, values: dict[str, Array]) -> dict[str, Array]:
        """New values of the sites of H, in the present basis, by their full names.

        Args:
            stats: `emission_statistics`, added up over all trials.
            context: facts of the training data.
            values: of the block's sites before the update, by their full names.
        """
