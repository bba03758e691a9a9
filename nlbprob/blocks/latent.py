"""Latents: priors over a trajectory x[time, latent] for each trial."""

import abc
import dataclasses
import math
from typing import TYPE_CHECKING, Any

import numpyro
from jaxtyping import Array, Float

from nlbprob.blocks.base import Block, Context
from nlbprob.blocks.markov import LinearGaussianMarkov
from nlbprob.errors import InputError
from nlbprob.numerics.gaussian import Chain

if TYPE_CHECKING:
    from nlbprob.data.trials import Trials


#: The most latents that a block takes by itself, where it is not told how many.
MOST_LATENTS = 24


class Latent(Block, abc.ABC):
    """A linear-Gaussian chain given its parameters.

    A subclass states `chain(context)`: sample the parameters, return the chain, scaled so that the second moment of x
    averaged over the bins of a trial is the identity (so that priors on loadings mean something). Calling a block
    inside a NumPyro function samples the trajectories of all trials as one site named after the block.
    """

    dim: int | None

    def resolve(self, neurons: int) -> "Latent":
        """The same block with its number of latents settled, for a recording of so many neurons."""
        if self.dim is not None:
            return self
        block: Any = self  # every block is a dataclass
        return dataclasses.replace(block, dim=min(MOST_LATENTS, max(1, round(math.sqrt(neurons)))))

    @property
    def n_latents(self) -> int:
        """The number of latents, once it is settled."""
        if self.dim is None:
            raise InputError("The number of latents is not settled before the model meets a recording: give LDS(dim).")
        return self.dim

    @abc.abstractmethod
    def chain(self, context: Context) -> Chain:
        """Sample the block's parameters and return the chain of its state."""

    @abc.abstractmethod
    def estimate(self, chain: Chain, context: Context) -> tuple[dict[str, Array], Float[Array, "latent latent"]]:
        """Site values whose chain is the given one up to a basis, and that basis: x = basis z. For variational EM."""

    def check_dim(self) -> None:
        """Raise InputError unless `dim` is None or a positive whole number."""
        if self.dim is None:
            return
        if isinstance(self.dim, bool) or not isinstance(self.dim, int) or self.dim < 1:
            raise InputError(
                f"{type(self).__name__}(dim={self.dim!r}): dim must be a whole number of latents, at least 1."
            )

    def trajectories(self, chain: Chain, trials: "Trials"):
        """Sample x [trial, time, latent] of all trials from a chain."""
        with numpyro.plate("trial", trials.n_trials, dim=-1):
            prior = LinearGaussianMarkov.from_chain(chain, trials.n_bins)
            return numpyro.sample(self.name, prior, infer={"event_dims": ["time", f"{self.name}_latent"]})

    def __call__(self, trials: "Trials"):
        """Sample the block's parameters and its trajectories: x [trial, time, latent]."""
        block = self.resolve(trials.n_neurons)
        return block.trajectories(block.chain(Context.of(trials)), trials)
