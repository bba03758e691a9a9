"""Trial factors: a few numbers, one set for each trial, determine the whole trajectory."""

import dataclasses
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array, Float

from nlbprob.arguments import checked_keywords, instance_of, real_number, whole_number
from nlbprob.blocks import sizes
from nlbprob.blocks.base import Context
from nlbprob.blocks.cosines import cosines, on_basis
from nlbprob.blocks.latent import Dynamics, InitialLatents
from nlbprob.blocks.learned_emission import LearnedEmission
from nlbprob.errors import InputError
from nlbprob.numerics import statistics
from nlbprob.numerics.gaussian import constant_chain, until

if TYPE_CHECKING:
    from nlbprob.data.trials import Trials

#: Largest default number of factors, and trials of the training data for each.
MOST_FACTORS, TRIALS_PER_FACTOR = 20, 12
#: Where a fit starts, the mean trajectory is one factor of this mean: its amplitude differs by a fifth among trials.
MEAN_AMPLITUDE = 5.0
#: Standard deviation of the prior of the factors' means.
MEAN_SCALE = 5.0
#: Longest step of mu_j(t), in prior standard deviations.
LONGEST = 1.0


class FactorStatistics(NamedTuple):
    """Sums over trials: slope and curvature of the bound in the trajectories mu_j(t), E[z z'], E[z], and how many
    trials these are.
    """

    slope: Float[Array, "time latent factor"]
    curvature: Float[Array, "time latent latent factor factor"]
    second: Float[Array, "factor factor"]
    first: Float[Array, " factor"]
    trials: Float[Array, ""]


@checked_keywords
@dataclasses.dataclass(frozen=True, eq=False)
class TrialFactors(LearnedEmission):
    """x_t = sum_j z_j mu_j(t), z ~ N(m, I) once for each trial: a factor analysis of whole trajectories.

    mu_j(t) = sum_b a_jb phi_b(t), phi_b the cosines of the trial's window and a_jb ~ N(0, s_b^2) as in `Templates`. A
    trial is known by its few numbers z: between `Gain`, whose one number moves a neuron by the same in every bin, and
    `Templates`, which allows a few trajectories and nothing between them. Trajectories of Gaussian processes with a
    learned covariance of low rank are of this kind (Yu et al. 2009; Duncker and Sahani 2018). Stack it with an LDS,
    which then describes what else happens in single trials. After the window x stays where it ended.

    Args:
        factors: how many numbers a trial has; None takes one for every twelve trials of the training data, at most 20.
        dim: number of latents; None takes 0.8 sqrt(neurons), at most 10.
        smoothness_ms: lengthscale of mu_j(t), a Matern 5/2 process, in ms.
        highest_hz: highest frequency of the cosines in Hz.
        name: prefix of its sites.
        neurons: which neurons read it, by columns of `trials.neurons`, such as {"area": "M1"}; None: all.

    Raises:
        InputError: an argument is invalid.

    Sites:
        - coefficients [factor, basis, latent] ~ N(0, 1), in units of s_b / sqrt(factors)
        - mean [factor] ~ N(0, 5^2), m
    """

    factors: int | None = None
    dim: int | None = None
    smoothness_ms: float = 120.0
    highest_hz: float = 8.0
    name: str = "factors"
    neurons: Mapping[str, Any] | None = None

    rotatable = True
    has_modes = False
    closed_form = ("coefficients", "mean")
    priors = {}

    def __post_init__(self):
        self.check_dim()
        instance_of(self.name, str, "TrialFactors", "name", "text, such as name='factors'")
        if self.factors is not None:
            self.set_fields(factors=whole_number(self.factors, "TrialFactors", "factors", 1))
        for field in ("smoothness_ms", "highest_hz"):
            self.set_fields(**{field: real_number(getattr(self, field), "TrialFactors", field, above=0)})

    def resolve(self, trials: "Trials") -> "TrialFactors":
        factors = self.factors or min(MOST_FACTORS, max(1, trials.n_trials // TRIALS_PER_FACTOR))
        return dataclasses.replace(self, factors=factors, dim=self.dim or sizes.of_trajectories(trials))

    def check(self, trials: "Trials") -> None:
        if self.n_states >= trials.n_trials:
            raise InputError(
                f"TrialFactors({self.n_states}): {trials.n_trials} trials do not determine that many factors. "
                "Lower factors."
            )

    @property
    def n_states(self) -> int:
        if self.factors is None:
            raise InputError(
                "The number of factors depends on the recording. To know it before, use TrialFactors(factors)."
            )
        return self.factors

    def basis(self, context: Context) -> Float[np.ndarray, "time basis"]:
        """s_b phi_b(t) / sqrt(factors): a priori x has unit variance at z ~ N(0, I)."""
        return cosines(context, self.smoothness_ms, self.highest_hz) / math.sqrt(self.n_states)

    def prior(self, context: Context) -> Dynamics:
        """A constant state z, and the emission mu_j(t)."""
        count = self.n_states
        basis = jnp.asarray(self.basis(context), jnp.result_type(float))
        shape = [count, basis.shape[1], self.n_latents]
        labels = ("factor", "basis", f"{self.name}_latent")
        coefficients = self.sample("coefficients", dist.Normal(0.0, 1.0).expand(shape), labels)
        mean = self.sample("mean", dist.Normal(0.0, MEAN_SCALE).expand([count]), ("factor",))
        return Dynamics(constant_chain(mean), emission=jnp.einsum("tb,jbl->tlj", basis, coefficients))

    def start(self, initial: InitialLatents, context: Context):
        """The mean trajectory, and the principal components of the trials about it."""
        basis, count = self.basis(context), self.n_states
        trials = on_basis(basis, initial.latents)
        mean = trials.mean(0)
        rows = (trials - mean).reshape(len(trials), -1)
        _, sizes, directions = np.linalg.svd(rows, full_matrices=False)
        sizes = sizes / math.sqrt(max(len(trials), 1))
        coefficients = np.zeros((count, *mean.shape))
        coefficients[0] = mean / MEAN_AMPLITUDE
        kept = min(count - 1, len(sizes))
        coefficients[1 : 1 + kept] = (sizes[:kept, None] * directions[:kept]).reshape(kept, *mean.shape)
        means = np.zeros(count)
        means[0] = MEAN_AMPLITUDE
        dtype = jnp.result_type(float)
        values = {"coefficients": coefficients, "mean": means}
        sites = {self.site(name): jnp.asarray(value, dtype) for name, value in values.items()}
        return sites, jnp.eye(self.n_latents, dtype=dtype)

    def emission_statistics(
        self,
        slope: Float[Array, "row time latent"],
        precision: Float[Array, "row time latent latent"],
        pull: Float[Array, "row time latent factor"],
        mean: Float[Array, "row factor"],
        covariance: Float[Array, "row factor factor"],
        weight: Float[Array, " row"],
    ) -> FactorStatistics:
        second = covariance + mean[:, :, None] * mean[:, None, :]
        return FactorStatistics(
            jnp.einsum("r,rtl,rj->tlj", weight, slope, mean) - jnp.einsum("r,rtlj->tlj", weight, pull),
            jnp.einsum("rtlm,rij->tlmij", precision, weight[:, None, None] * second),
            jnp.einsum("r,rij->ij", weight, second),
            weight @ mean,
            weight.sum(),
        )

    def maximize_emission(self, stats: FactorStatistics, context: Context, values: dict) -> dict:
        """A Newton step on the coefficients at the posterior of z; the curvature is that of the sites."""
        basis = jnp.asarray(self.basis(context), stats.slope.dtype)
        bins, current = len(basis), values[self.site("coefficients")]
        slope = jnp.einsum("tb,tlj->jbl", basis, stats.slope[:bins]) - current
        curvature = jnp.einsum("tb,tc,tlmij->ibljcm", basis, basis, stats.curvature[:bins])
        curvature = curvature.reshape(slope.size, slope.size) + jnp.eye(slope.size, dtype=slope.dtype)
        change = jax.scipy.linalg.solve(curvature, slope.ravel(), assume_a="pos").reshape(slope.shape)
        largest = jnp.abs(jnp.einsum("tb,jbl->jtl", basis, change)).max() * math.sqrt(self.n_states)
        return {self.site("coefficients"): current + change * jnp.minimum(1.0, LONGEST / jnp.maximum(largest, 1e-6))}

    def maximize(self, stats: FactorStatistics, context: Context, values: dict):
        """Means of the factors, which are scaled and turned until their covariance over trials is the identity."""
        mean = stats.first / (stats.trials + 1 / MEAN_SCALE**2)
        around = stats.second - jnp.outer(stats.first, mean) - jnp.outer(mean, stats.first)
        around = around + stats.trials * jnp.outer(mean, mean)
        identity = jnp.eye(mean.shape[0], dtype=mean.dtype)
        weight = statistics.PRIOR_TRIALS
        root = jnp.linalg.cholesky((around + weight * identity) / (stats.trials + weight))
        coefficients = jnp.einsum("jbl,ji->ibl", values[self.site("coefficients")], root)
        means = jax.scipy.linalg.solve_triangular(root, mean, lower=True)
        sites = {self.site("coefficients"): coefficients, self.site("mean"): means}
        return sites, jnp.eye(self.n_latents, dtype=mean.dtype)

    def trajectories(self, dynamics: Dynamics, trials: "Trials"):
        """Sample z of all trials, one site of numbers: a constant trajectory has no density."""
        prior = dist.Normal(dynamics.chain.initial_mean, 1.0).to_event(1)
        with numpyro.plate("trial", trials.n_trials, dim=-1):
            factors = numpyro.sample(self.name, prior, infer={"event_dims": ["factor"]})
        emission = dynamics.emission
        assert emission is not None
        return jnp.einsum("tlj,rj->rtl", until(emission, trials.n_bins, axis=0), jnp.asarray(factors))
