"""The base of shrinkage priors: the density of loadings, and its updates in a fit."""

import abc
from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpyro.distributions as dist

from nlbprob.arguments import real_number
from nlbprob.blocks.base import Block
from nlbprob.blocks.identity import Identified

#: Smallest size of a loading in the quadratic that bounds a sparse prior, in units of `scale`.
LEAST_LOADING = 0.05
#: Smallest scale that a prior learns, in units of `scale`: at zero its precision would be infinite.
LEAST_SCALE = 0.001


class Shrinkage(Identified, abc.ABC):
    """A prior of the loadings c[neuron, latent] that pulls each towards zero.

    A subclass is a frozen dataclass with the field `scale` (and others that it needs) that states `distribution`. If
    it has parameters of its own, `names` lists them, `parameters` samples them and `start` returns their first values.
    `precision` and `maximize` follow from the density or may be replaced by closed forms.

    Attributes:
        scale: the size of one latent's effect on a predictor; latents have unit second moment.
        names: the parameters that the prior learns. Each is a site of the readout, with a prior that the readout's
            `priors` may replace.
        closed_form: those of them that `maximize` sets. The others follow the gradient of the bound.
    """

    scale: float
    names: ClassVar[tuple[str, ...]] = ()
    closed_form: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", real_number(self.scale, type(self).__name__, "scale", above=0))

    @abc.abstractmethod
    def distribution(self, shape: tuple[int, int], values: Mapping[str, Any]) -> dist.Distribution:
        """The prior of loadings, independent given its own parameters.

        Args:
            shape: numbers of neurons and latents.
            values: of the prior's own parameters, by name.

        Returns:
            A distribution of batch shape `shape`.
        """

    def parameters(self, readout: Block, dim: int) -> dict[str, Any]:
        """Sample the prior's own parameters with `readout.sample`; there are none by default.

        Args:
            readout: the block whose sites they are.
            dim: the number of latents.

        Returns:
            The parameters by name.
        """
        return {}

    def start(self, dim: int) -> dict[str, Any]:
        """Values of the prior's own parameters where a fit starts.

        Args:
            dim: the number of latents.

        Returns:
            Arrays by name.
        """
        return {}

    def precision(self, loadings, values: Mapping[str, Any]) -> Any:
        """Precision of the normal around zero that stands for the prior in a Newton step.

        By default that of the tangent quadratic, -d log p(c) / dc / c: it touches log p at c, and lies below it where
        p is a scale mixture of normals.

        Args:
            loadings: c [neuron, latent].
            values: the prior's own parameters, by name.

        Returns:
            [neuron, latent].
        """
        size = self.size(loadings)

        def log_density(at):
            return jnp.asarray(self.distribution(loadings.shape, values).log_prob(at)).sum()

        return -jax.grad(log_density)(size) / size

    def maximize(self, loadings, variance, values: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters in `closed_form`, given the posterior of the loadings.

        Args:
            loadings: their means [neuron, latent].
            variance: their variances [neuron, latent].
            values: of the prior's own parameters before the update.

        Returns:
            New values by name.
        """
        return {}

    def size(self, loadings) -> Any:
        """|c|, bounded below: at zero there is no tangent quadratic.

        Args:
            loadings: c, of any shape.

        Returns:
            max(|c|, LEAST_LOADING scale).
        """
        return jnp.maximum(jnp.abs(loadings), LEAST_LOADING * self.scale)

    def best_scale(self, second, count) -> Any:
        """The maximum of -count log s - second / (2 s^2) - log(1 + s^2 / scale^2) over s.

        It is the scale s ~ HalfCauchy(scale) of `count` loadings N(0, s^2) with the sum of squares `second`. With
        b = `scale` and u = s^2 the slope is zero where (count + 2) u^2 + (count b^2 - second) u - second b^2 = 0.

        Args:
            second: the sum of squares of the loadings.
            count: the number of loadings.

        Returns:
            s, no less than LEAST_SCALE scale.
        """
        unit = self.scale**2
        linear = count * unit - second
        root = jnp.sqrt(linear**2 + 4 * (count + 2) * second * unit)
        scale = jnp.sqrt((root - linear) / (2 * (count + 2)))
        return jnp.maximum(scale, LEAST_SCALE * self.scale)
