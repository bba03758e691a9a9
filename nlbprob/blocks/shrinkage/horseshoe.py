"""The horseshoe: a prior that shrinks small values to zero and large ones hardly."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpyro.distributions as dist

from nlbprob.arguments import checked_keywords
from nlbprob.blocks.shrinkage.shrinkage import Shrinkage
from nlbprob.numerics.special import scaled_exponential_integral

#: Least value of (c / scale)^2 / 2: the density has a pole at zero.
LEAST = 1e-12


class HorseshoeDistribution(dist.Distribution):
    """c ~ N(0, (scale lambda)^2), lambda ~ HalfCauchy(1), lambda integrated out (Carvalho, Polson and Scott 2010).

    With u = c^2 / (2 scale^2), p(c) = e^u E_1(u) / sqrt(2 pi^3 scale^2): an infinite, narrow peak at zero and tails
    like 1 / c^2.
    """

    arg_constraints = {"scale": dist.constraints.positive}
    support = dist.constraints.real  # pyright: ignore[reportAssignmentType]
    reparametrized_params = ["scale"]

    def __init__(self, scale, *, validate_args=None):
        self.scale = jnp.asarray(scale)
        super().__init__(batch_shape=self.scale.shape, validate_args=validate_args)

    def sample(self, key: Any, sample_shape=()):
        first, second = jax.random.split(key)
        local = dist.HalfCauchy(1.0).sample(first, (*sample_shape, *self.batch_shape))
        return self.scale * local * jax.random.normal(second, local.shape, local.dtype)

    def log_prob(self, value):
        u = jnp.maximum(0.5 * (value / self.scale) ** 2, LEAST)
        return jnp.log(scaled_exponential_integral(u)) - jnp.log(self.scale) - 0.5 * math.log(2 * math.pi**3)


def local_precision(value, scale):
    """E[lambda^-2 | c] = 1 / (u e^u E_1(u)) - 1: the normal that touches the horseshoe at c has scale^-2 times this.

    It is infinite at zero and 2 scale^2 / c^2 for large c, whose pull, a precision times c, fades like 2 / c.
    """
    u = jnp.maximum(0.5 * (value / scale) ** 2, LEAST)
    # For large u the difference of almost equal numbers loses its digits; the asymptotic series does not.
    small, inverse = jnp.minimum(u, 100.0), 1 / u
    series = inverse * (1 - inverse * (1 - inverse * (3 - 13 * inverse)))
    return jnp.where(u < 100.0, 1 / (small * scaled_exponential_integral(small)) - 1, series)


@checked_keywords
@dataclasses.dataclass(frozen=True, eq=False)
class Horseshoe(Shrinkage):
    """c_nk ~ N(0, (tau lambda_nk)^2), lambda_nk ~ HalfCauchy(1) integrated out, tau ~ HalfCauchy(scale).

    For a few large loadings among many that are zero (Carvalho, Polson and Scott 2010): it shrinks small ones more
    than `Laplace` does, and large ones hardly. Site: "global_scale" [], tau.

    Args:
        scale: the median of tau under its prior.
    """

    scale: float = 0.5
    names = closed_form = ("global_scale",)

    def parameters(self, readout, dim):
        return {"global_scale": readout.sample("global_scale", dist.HalfCauchy(self.scale), ())}

    def start(self, dim):
        return {"global_scale": jnp.full((), self.scale)}

    def distribution(self, shape, values):
        return HorseshoeDistribution(jnp.broadcast_to(values["global_scale"], shape))

    def precision(self, loadings, values):
        scale = values["global_scale"]
        return local_precision(self.size(loadings), scale) / scale**2

    def maximize(self, loadings, variance, values):
        """tau maximises E_q[log p(c | tau, lambda)] + log p(tau), each square weighted by E[lambda^-2 | c]."""
        size = self.size(jnp.sqrt(loadings**2 + variance))
        weight = local_precision(size, values["global_scale"])
        return {"global_scale": self.best_scale((weight * size**2).sum(), loadings.size)}
