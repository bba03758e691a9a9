"""Poisson counts, and zero-inflated ones."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist

from nlbprob.arguments import checked_keywords
from nlbprob.blocks.observation_base import Linked, expected, log_factorial


@checked_keywords
@dataclasses.dataclass(frozen=True, eq=False)
class Poisson(Linked):
    """y ~ Poisson(link(eta)), in spikes per bin.

    With "exp", E[log p] = y mean - exp(mean + variance/2) - log y! in closed form.

    Args:
        link: "exp" (log-linear: effects multiply) or "softplus" (log(1 + e^eta): effects add where the rate is high).
    """

    link: str = "exp"
    priors: dict[str, dist.Distribution] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        self.check_link()
        self.check_priors(())

    def check(self, trials):
        """Every count has a finite log likelihood."""

    def distribution(self, predictor, parameters):
        return dist.Poisson(self.rate(predictor))

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
        y = counts.astype(mean.dtype)
        value, *slopes = expected(lambda eta: y * self.log_rate(eta) - self.rate(eta), mean, variance)
        return (value - log_factorial(counts, mean.dtype), *slopes)


@checked_keywords
@dataclasses.dataclass(frozen=True, eq=False)
class ZeroInflatedPoisson(Linked):
    """y = 0 with probability g, else y ~ Poisson(link(eta)): bins in which a neuron is silent whatever drives it.

    log p(0) = log(g + (1 - g) e^-rate), log p(y) = log(1 - g) + y log rate - rate - log y! for y > 0; the mean count is
    (1 - g) rate. g and the rate can be estimated separately only in neurons that fire more than once in some
    bins. Not log-concave: a posterior need not be unique.

    Args:
        link: "exp" or "softplus", as in `Poisson`.
        priors: another prior for "gate".

    Sites:
        - gate [neuron], g ~ Beta(1, 4)
    """

    link: str = "exp"
    priors: dict[str, dist.Distribution] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        self.check_link()
        self.check_priors(("gate",))

    @property
    def ungated(self) -> Poisson:
        """The observation in bins that are not gated."""
        return Poisson(self.link)

    def check(self, trials):
        """Every count has a finite log likelihood."""

    def parameters(self, context):
        prior = dist.Beta(1.0, 4.0).expand([context.n_neurons])
        return {"gate": self.sample("gate", prior, ("neuron",))}

    def start(self, mean, variance):
        # By moments: variance / mean = 1 + g rate.
        rate = mean + jnp.maximum(variance / mean - 1, 0.0)
        return {"gate": jnp.clip(1 - mean / rate, 0.02, 0.5)}

    def distribution(self, predictor, parameters):
        return dist.ZeroInflatedPoisson(parameters["gate"], self.rate(predictor))

    def expected_count(self, mean, variance, parameters):
        return (1 - parameters["gate"]) * self.ungated.expected_count(mean, variance, {})

    def expected_log_prob(self, mean, variance, counts, parameters):
        log_gate, log_ungated = jnp.log(parameters["gate"]), jnp.log1p(-parameters["gate"])
        zero = expected(lambda eta: jnp.logaddexp(log_gate, log_ungated - self.rate(eta)), mean, variance)
        value, *slopes = self.ungated.expected_log_prob(mean, variance, counts, {})
        return tuple(jnp.where(counts == 0, a, b) for a, b in zip(zero, (value + log_ungated, *slopes), strict=True))
