"""Gaussian observations, of counts and of their square roots, and Bernoulli ones; all others can be imported from here
too.
"""

import dataclasses
import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist

from nlbprob.arguments import checked_keywords
from nlbprob.blocks.negative_binomial import NegativeBinomial
from nlbprob.blocks.observation_base import Observation, expected, log_factorial
from nlbprob.blocks.poisson import Poisson, ZeroInflatedPoisson
from nlbprob.errors import InputError

__all__ = [
    "Bernoulli",
    "Gaussian",
    "NegativeBinomial",
    "Observation",
    "Poisson",
    "SqrtGaussian",
    "ZeroInflatedPoisson",
    "log_factorial",
]


@checked_keywords
@dataclasses.dataclass(frozen=True, eq=False)
class Bernoulli(Observation):
    """y = 1 with probability p = 1 / (1 + e^-eta), else 0: spikes in bins too short for two.

    log p(y) = y eta - log(1 + e^eta).
    """

    priors: dict[str, dist.Distribution] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        self.check_priors(())

    def check(self, trials):
        largest = np.max(trials.counts, axis=(0, 1), where=trials.seen, initial=0)
        if np.any(largest > 1):
            worst = int(np.argmax(largest))
            raise InputError(
                f"Bernoulli: neuron {trials.neurons['id'][worst]} has {largest[worst]} spikes in one bin of "
                f"{trials.bin_ms:g} ms, and {np.sum(largest > 1)} neurons have more than one somewhere. "
                "Use smaller bins, or Poisson()."
            )

    def distribution(self, predictor, parameters):
        return dist.BernoulliLogits(predictor)

    def predictor_of_mean(self, mean):
        # A neuron may fire in every bin of a recording.
        chance = jnp.minimum(mean, 0.999)
        return jnp.log(chance) - jnp.log1p(-chance)

    def expected_log_prob(self, mean, variance, counts, parameters):
        value, slope, weight = expected(lambda eta: -jax.nn.softplus(eta), mean, variance)
        return value + counts * mean, slope + counts, weight


@checked_keywords
@dataclasses.dataclass(frozen=True, eq=False)
class Gaussian(Observation):
    """y ~ N(eta, sigma_n^2), with a standard deviation `noise_scale` a neuron, in spikes per bin.

    Args:
        priors: another prior for "noise_scale".

    Sites:
        - noise_scale [neuron], sigma_n ~ LogNormal(0, 1), in spikes per bin
    """

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

    def check(self, trials):
        """Every count has a finite log likelihood."""

    def predictor_of_mean(self, mean):
        return mean

    def expected_count(self, mean, variance, parameters):
        return mean

    def expected_log_prob(self, mean, variance, counts, parameters):
        precision = parameters["noise_scale"] ** -2
        residual = counts - mean
        value = 0.5 * (jnp.log(precision) - math.log(2 * math.pi) - precision * (residual**2 + variance))
        return value, precision * residual, jnp.broadcast_to(precision, mean.shape)


class SqrtNormal(dist.Distribution):
    """y with sqrt y ~ N(loc, scale^2): densities are of the square root, draws are squares rounded to whole numbers."""

    arg_constraints = {"loc": dist.constraints.real, "scale": dist.constraints.positive}
    support = dist.constraints.nonnegative  # pyright: ignore[reportAssignmentType]
    reparametrized_params = ["loc", "scale"]

    def __init__(self, loc, scale, *, validate_args=None):
        self.loc, self.scale = jnp.broadcast_arrays(loc, scale)
        super().__init__(batch_shape=self.loc.shape, validate_args=validate_args)

    @property
    def root(self) -> dist.Normal:
        """The distribution of the square root."""
        return dist.Normal(self.loc, self.scale)

    @property
    def mean(self):
        return self.loc**2 + self.scale**2

    def sample(self, key: Any, sample_shape=()):
        return jnp.round(self.root.sample(key, sample_shape) ** 2)

    def log_prob(self, value):
        return self.root.log_prob(jnp.sqrt(jnp.asarray(value, self.loc.dtype)))


@checked_keywords
@dataclasses.dataclass(frozen=True, eq=False)
class SqrtGaussian(Gaussian):
    """sqrt y ~ N(eta, sigma_n^2): square roots of counts, whose variance depends on the rate less than that of counts.

    The observation of Gaussian-process factor analysis (Yu et al. 2009, J Neurophysiol 102:614). It infers the latents.
    Their posterior q(x) predicts counts by a Poisson regression that a fit makes at its end, see
    `nlbprob.posterior.count_readout`: E[y] = E_q[log(1 + exp(a_n'x + b_n))]. The link is softplus, since roots that are
    linear in x have rates that grow far slower than exp(x). The expected square, E[eta]^2 + Var[eta] + sigma_n^2, is a
    poor rate where counts are mostly 0 or 1; it is used while a fit runs, and in a model with effects. Log likelihoods
    are densities of sqrt y, not to be compared with those of counts.

    Args:
        priors: another prior for "noise_scale".

    Sites:
        - noise_scale [neuron], sigma_n ~ LogNormal(0, 1), in roots of spikes
    """

    count_observation: ClassVar[Observation | None] = Poisson("softplus")

    def start(self, mean, variance):
        # Of many spikes the root has a quarter of the variance over the mean, of none or one spike it is the count.
        return {"noise_scale": jnp.sqrt(jnp.maximum(jnp.minimum(0.25 * variance / mean, mean), 1e-4))}

    def distribution(self, predictor, parameters):
        return SqrtNormal(predictor, parameters["noise_scale"])

    def predictor_of_mean(self, mean):
        """The root of the mean: at that predictor the noise alone adds to it."""
        return jnp.sqrt(mean)

    def expected_count(self, mean, variance, parameters):
        return mean**2 + variance + parameters["noise_scale"] ** 2

    def expected_log_prob(self, mean, variance, counts, parameters):
        return super().expected_log_prob(mean, variance, jnp.sqrt(counts.astype(mean.dtype)), parameters)
