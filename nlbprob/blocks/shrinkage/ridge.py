"""Ridge: one normal prior for all loadings."""

import dataclasses

import jax.numpy as jnp
import numpyro.distributions as dist

from nlbprob.arguments import checked_keywords
from nlbprob.blocks.shrinkage.shrinkage import Shrinkage


@checked_keywords
@dataclasses.dataclass(frozen=True, eq=False)
class Ridge(Shrinkage):
    """c_nk ~ N(0, scale^2).

    It shrinks the loadings of neurons with few spikes more than of those with many.

    Args:
        scale: 0.5 lets one latent carry a twofold change of rate either way at two standard deviations.
    """

    scale: float = 0.5

    def distribution(self, shape, values):
        return dist.Normal(0.0, self.scale).expand(shape)

    def precision(self, loadings, values):
        return jnp.full(loadings.shape, self.scale**-2, loadings.dtype)
