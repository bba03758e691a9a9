"""Counts more variable than Poisson counts of the same mean."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jax import random
from jaxtyping import Array, Float
from numpyro.distributions import constraints

from nlbprob.arguments import checked_keywords
from nlbprob.blocks.observation_base import Linked, expected, log_factorial


def log_rising(counts, dispersion):
    """sum over j < y of log(1 + dispersion j) = log[Gamma(r + y) / (Gamma(r) r^y)], r = 1 / dispersion.

    The difference of two log gamma functions of r would lose all digits for the small dispersions of neurons that are
    nearly Poisson. With s = r + 1, n = y - 1 it is n log(1 + dispersion) + (s + n - 1/2) log(1 + n / s) - n + R(s + n)
    - R(s), R the remainder of Stirling's formula.
    """
    n = jnp.maximum(counts - 1, 0)
    s = 1 + 1 / dispersion
    total = n * jnp.log1p(dispersion) + (s + n - 0.5) * jnp.log1p(n / s) - n
    return jnp.where(counts > 1, total + stirling_remainder(s + n) - stirling_remainder(s), 0.0)


def stirling_remainder(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """log Gamma(x) - [(x - 1/2) log x - x + log(2 pi) / 2] for x >= 1: shifted by 4, then its series.

    R(x) = R(x + 1) + (x + 1/2) log(1 + 1 / x) - 1, and R(x) ~ 1/12x - 1/360x^3 + 1/1260x^5 - 1/1680x^7 + 1/1188x^9.
    """
    shifts = jnp.zeros_like(x)
    for _ in range(4):
        shifts, x = shifts + (x + 0.5) * jnp.log1p(1 / x) - 1, x + 1
    square = x**-2
    series = 1 / 12 - square * (1 / 360 - square * (1 / 1260 - square * (1 / 1680 - square / 1188)))
    return shifts + series / x


class NegativeBinomialLogMean(dist.Distribution):
    """y with log mean m and variance mean + dispersion mean^2: a Poisson count whose rate is the mean times a Gamma
    variable of mean 1 and variance `dispersion`.

    log p(y) = sum over j < y of log(1 + dispersion j) + y m - (y + 1 / dispersion) log(1 + dispersion e^m) - log y!,
    finite in float32 for every count that a recording holds, for means of 1e-30 and dispersions of 1e-7.
    """

    arg_constraints = {"log_mean": constraints.real, "dispersion": constraints.positive}
    support = constraints.nonnegative_integer  # pyright: ignore[reportAssignmentType]
    pytree_data_fields = ("log_mean", "dispersion")

    def __init__(self, log_mean, dispersion, *, validate_args=None):
        shape = jnp.broadcast_shapes(jnp.shape(log_mean), jnp.shape(dispersion))
        self.log_mean, self.dispersion = jnp.broadcast_to(log_mean, shape), jnp.broadcast_to(dispersion, shape)
        super().__init__(batch_shape=shape, validate_args=validate_args)

    @property
    def mean(self):
        return jnp.exp(self.log_mean)

    @property
    def variance(self):
        return self.mean + self.dispersion * self.mean**2

    def sample(self, key: Any, sample_shape=()):
        first, second = random.split(key)
        shape = (*sample_shape, *self.batch_shape)
        gain = random.gamma(first, 1 / self.dispersion, shape) * self.dispersion
        return random.poisson(second, self.mean * gain)

    def log_prob(self, value):
        count = jnp.asarray(value, self.log_mean.dtype)
        constant = log_rising(count, self.dispersion) - log_factorial(count, count.dtype)
        return constant + kernel(count, self.log_mean, self.dispersion)


def kernel(count, log_mean, dispersion):
    """The part of log p(y) that depends on the mean: y m - (y + 1 / dispersion) log(1 + dispersion e^m)."""
    return count * log_mean - (count + 1 / dispersion) * jax.nn.softplus(log_mean + jnp.log(dispersion))


@checked_keywords
@dataclasses.dataclass(frozen=True, eq=False)
class NegativeBinomial(Linked):
    """y of mean m = link(eta) spikes per bin and variance m + dispersion m^2 (the "NB2" form).

    log p(y) = log[Gamma(y + r) / (Gamma(r) y!)] + r log(r / (r + m)) + y log(m / (r + m)), r = 1 / dispersion.
    Dispersion 0 is Poisson; 0.3 means that an unseen gain multiplies the rate of each bin by 1 +- 0.55.

    Args:
        link: "exp" or "softplus".
        priors: another prior for "dispersion".

    Sites:
        - dispersion [neuron] ~ LogNormal(log 0.2, 1)
    """

    link: str = "exp"
    priors: dict[str, dist.Distribution] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        self.check_link()
        self.check_priors(("dispersion",))

    def check(self, trials):
        """Every count has a finite log likelihood."""

    def parameters(self, context):
        prior = dist.LogNormal(math.log(0.2), 1.0).expand([context.n_neurons])
        return {"dispersion": self.sample("dispersion", prior, ("neuron",))}

    def start(self, mean, variance):
        # Half of the excess of the variance: the latents account for the other half.
        return {"dispersion": jnp.clip(0.5 * (variance - mean) / mean**2, 0.02, 2.0)}

    def distribution(self, predictor, parameters):
        return NegativeBinomialLogMean(self.log_rate(predictor), parameters["dispersion"])

    def expected_count(self, mean, variance, parameters):
        if self.link == "exp":
            return jnp.exp(mean + 0.5 * variance)
        return super().expected_count(mean, variance, parameters)

    def expected_log_prob(self, mean, variance, counts, parameters):
        dispersion, y = jnp.asarray(parameters["dispersion"]), counts.astype(mean.dtype)
        # Terms that do not depend on the predictor stay outside of the quadrature.
        constant = log_rising(y, dispersion) - log_factorial(counts, mean.dtype)
        value, *slopes = expected(lambda eta: kernel(y, self.log_rate(eta), dispersion), mean, variance)
        return (value + constant, *slopes)
