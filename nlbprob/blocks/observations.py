"""Observations: how a neuron's count in a bin depends on its predictor eta = c'x + d."""

import abc
import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.scipy.special import gammaln

from nlbprob.blocks.base import Block, Context
from nlbprob.errors import InputError, suggestion
from nlbprob.numerics import quadrature

#: The rate, in Hz, around which the prior of a neuron's baseline is centred.
TYPICAL_RATE_HZ = 5.0


class Observation(Block, abc.ABC):
    """An elementwise likelihood p(y | eta).

    A subclass states `distribution(predictor, parameters)` and, if it has parameters of its own,
    `parameters(context)`. All that inference needs then follows by quadrature; a subclass may replace
    `expected_log_prob` by a closed form.
    """

    name = ""

    def parameters(self, context: Context) -> dict[str, Any]:
        """Sample the observation's own parameters, one value a neuron each; none by default."""
        return {}

    @abc.abstractmethod
    def distribution(self, predictor, parameters: dict[str, Any]) -> dist.Distribution:
        """The distribution of a count given its predictor [..., neuron]."""

    @abc.abstractmethod
    def baseline_location(self, context: Context):
        """The predictor at which a neuron fires at a typical rate: the prior mean of the baseline."""

    @abc.abstractmethod
    def predictor_of_mean(self, mean):
        """The predictor at which the expected count is `mean`: the inverse of the link."""

    def start(self, mean, variance) -> dict[str, Any]:
        """Values of its own parameters to start a fit from, given the mean and variance of every neuron's counts."""
        return {}

    def expected_count(self, mean, variance, parameters: dict[str, Any]):
        """E[y] in spikes per bin for a predictor eta ~ N(mean, variance)."""
        return quadrature.expectation(lambda eta: self.distribution(eta, parameters).mean, mean, variance)

    def draw(self, random: np.random.Generator, mean: np.ndarray) -> np.ndarray | None:
        """Counts with the given means, drawn by NumPy; None where NumPyro's distribution has to draw them."""
        return None

    def expected_log_prob(self, mean, variance, counts, parameters: dict[str, Any]):
        """For eta ~ N(mean, variance), elementwise: f = E[log p(y | eta)], g = df/dmean and w = -2 df/dvariance.

        counts: y, of any number type. By Bonnet's and Price's theorems g = E[d log p / d eta] and
        w = -E[d2 log p / d eta2].
        """

        counts = counts.astype(mean.dtype)

        def log_prob(eta):
            return self.distribution(eta, parameters).log_prob(counts)

        def first(eta):
            return jax.jvp(log_prob, (eta,), (jnp.ones_like(eta),))

        def both(eta):
            (value, slope), (_, curvature) = jax.jvp(first, (eta,), (jnp.ones_like(eta),))
            return value, slope, -curvature

        return quadrature.expectation(both, mean, variance)


def log_factorial(counts, dtype):
    """log y!, looked up for counts in small integer types, where the gamma function would cost more than all else."""
    if counts.dtype not in (jnp.uint8, jnp.uint16):
        return gammaln(counts.astype(dtype) + 1)
    table = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, 1 + np.iinfo(counts.dtype).max)))])
    return jnp.asarray(table, dtype)[counts]


@dataclasses.dataclass(frozen=True)
class Poisson(Observation):
    """y ~ Poisson(link(eta)), in spikes per bin.

    link: "exp" (log-linear: effects multiply) or "softplus" (log(1 + e^eta): effects add where the rate is high).
    With "exp", E[log p] = y mean - exp(mean + variance/2) - log y! in closed form.
    """

    link: str = "exp"
    priors: dict[str, dist.Distribution] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        if self.link not in ("exp", "softplus"):
            raise InputError(f"Poisson(link={self.link!r}): no such link. {suggestion(self.link, ('exp', 'softplus'))}")
        self.check_priors(())

    def distribution(self, predictor, parameters):
        return dist.Poisson(jnp.exp(predictor) if self.link == "exp" else jax.nn.softplus(predictor))

    def baseline_location(self, context):
        return self.predictor_of_mean(TYPICAL_RATE_HZ * context.bin_ms / 1000)

    def predictor_of_mean(self, mean):
        if self.link == "exp":
            return jnp.log(mean)
        return mean + jnp.log(-jnp.expm1(-mean))

    def draw(self, random, mean):
        # On a CPU JAX's own sampler of Poisson counts takes fifteen times as long.
        return random.poisson(np.minimum(mean, 1e9))

    def expected_count(self, mean, variance, parameters):
        if self.link == "exp":
            return jnp.exp(mean + 0.5 * variance)
        return super().expected_count(mean, variance, parameters)

    def expected_log_prob(self, mean, variance, counts, parameters):
        if self.link == "exp":
            rate = jnp.exp(mean + 0.5 * variance)
            return counts * mean - rate - log_factorial(counts, mean.dtype), counts - rate, rate
        return super().expected_log_prob(mean, variance, counts, parameters)


@dataclasses.dataclass(frozen=True)
class Gaussian(Observation):
    """y ~ N(eta, sigma_n^2), with a standard deviation `noise_scale` a neuron, in spikes per bin."""

    priors: dict[str, dist.Distribution] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        self.check_priors(("noise_scale",))

    def parameters(self, context):
        prior = dist.LogNormal(0.0, 1.0).expand([context.n_neurons])
        return {"noise_scale": self.sample("noise_scale", prior, ("neuron",))}

    def start(self, mean, variance):
        return {"noise_scale": jnp.sqrt(jnp.maximum(variance, 1e-4))}

    def distribution(self, predictor, parameters):
        return dist.Normal(predictor, parameters["noise_scale"])

    def baseline_location(self, context):
        return TYPICAL_RATE_HZ * context.bin_ms / 1000

    def predictor_of_mean(self, mean):
        return mean

    def expected_count(self, mean, variance, parameters):
        return mean

    def expected_log_prob(self, mean, variance, counts, parameters):
        precision = parameters["noise_scale"] ** -2
        residual = counts - mean
        value = 0.5 * (jnp.log(precision) - math.log(2 * math.pi) - precision * (residual**2 + variance))
        return value, precision * residual, jnp.broadcast_to(precision, mean.shape)
