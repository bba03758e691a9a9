"""The free parameters of kernels: their priors, and the values from which fits start."""

import math
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist


class Hyperparameter(NamedTuple):
    """A free parameter of a kernel, one value a latent: its name, prior, and the range over which latents start.

    Attributes:
        name: of its site.
        median, sigma: of the LogNormal prior, sigma the standard deviation of the log.
        first, last: where the first and the last latent start.
        parts: of weights on the simplex, how many; 0 for others.
    """

    name: str
    median: float = 1.0
    sigma: float = 1.0
    first: float = 1.0
    last: float = 1.0
    parts: int = 0

    def prior(self, dim: int) -> dist.Distribution:
        """The prior of the values of all latents.

        Args:
            dim: number of latents.

        Returns:
            A LogNormal of batch shape [latent]; of weights, a Dirichlet [latent, part].
        """
        if self.parts:
            return dist.Dirichlet(jnp.full(self.parts, 2.0)).expand([dim])
        return dist.LogNormal(math.log(self.median), self.sigma).expand([dim])

    def start(self, dim: int, least: float) -> np.ndarray:
        """Values spaced log-evenly over the latents, where a fit starts; a single latent gets the middle one.

        Args:
            dim: number of latents.
            least: lower bound of the values.

        Returns:
            [latent], or [latent, part] for weights.
        """
        if self.parts:
            return np.full((dim, self.parts), 1 / self.parts)
        position = (np.arange(dim) + 0.5) / dim if dim == 1 else np.linspace(0, 1, dim)
        return np.maximum(self.first ** (1 - position) * self.last**position, least)


LENGTHSCALE = Hyperparameter("lengthscale_ms", 100.0, 1.0, 500.0, 20.0)
PERIOD = Hyperparameter("period_ms", 300.0, 1.0, 600.0, 150.0)
SMOOTHNESS = Hyperparameter("smoothness", 1.5, 0.3, 1.5, 1.5)
