"""Gaussian and Bernoulli observations; all others can be imported from here too."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist

from nlbprob.blocks.negative_binomial import NegativeBinomial
from nlbprob.blocks.observation import Observation, expected, log_factorial
from nlbprob.blocks.poisson import Poisson, ZeroInflatedPoisson
from nlbprob.errors import InputError

__all__ = [
    "Bernoulli",
    "Gaussian",
    "NegativeBinomial",
    "Observation",
    "Poisson",
    "ZeroInflatedPoisson",
    "log_factorial",
]


@dataclasses.dataclass(frozen=True)
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
