"""Laplace: a prior for sparse loadings."""

import dataclasses
import math

import numpyro.distributions as dist

from nlbprob.arguments import checked_keywords
from nlbprob.blocks.shrinkage.shrinkage import Shrinkage


@checked_keywords
@dataclasses.dataclass(frozen=True, eq=False)
class Laplace(Shrinkage):
    """c_nk ~ Laplace(0, scale / sqrt 2), for sparse loadings.

    Args:
        scale: the standard deviation of a loading.
    """

    scale: float = 0.5

    def distribution(self, shape, values):
        return dist.Laplace(0.0, self.scale / math.sqrt(2)).expand(shape)

    def precision(self, loadings, values):
        return math.sqrt(2) / (self.scale * self.size(loadings))
