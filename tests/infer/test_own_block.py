"""Blocks of one's own: a state whose noise is singular, its modes, and latents that are not of unit variance."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

import nlbprob as nlb
from nlbprob.blocks.latent import Dynamics, Latent
from nlbprob.numerics.gaussian import Chain

TRUE = {"ar.frequency_hz": np.array([1.0, 3.0]), "ar.decay_ms": np.array([400.0, 250.0])}


@dataclasses.dataclass(frozen=True)
class Oscillators(Latent):
    """x_t = 2 r cos(w) x_{t-1} - r^2 x_{t-2} + noise: the state is (x_t, x_{t-1}), and only x_t is driven."""

    dim: int | None = 2
    name: str = "ar"
    scale: float = 1.0
    priors: dict = dataclasses.field(default_factory=dict)

    @property
    def n_states(self):
        return 2 * self.n_latents

    def prior(self, context):
        number = self.n_latents
        frequency = self.sample("frequency_hz", dist.LogNormal(math.log(2.0), 1.0).expand([number]), ("latent",))
        decay = self.sample("decay_ms", dist.LogNormal(math.log(200.0), 1.0).expand([number]), ("latent",))
        kept, angle = jnp.exp(-context.bin_ms / decay), 2 * jnp.pi * frequency * context.bin_ms / 1000
        first, second = 2 * kept * jnp.cos(angle), -(kept**2)
        correlation = first / (1 - second)
        driven = 1 - first * correlation - second * (first * correlation + second)
        eye, none, zero = jnp.eye(number), jnp.zeros((number, number)), jnp.zeros(2 * number)
        transition = jnp.block([[jnp.diag(first), jnp.diag(second)], [eye, none]])
        covariance = jnp.block([[eye, jnp.diag(correlation)], [jnp.diag(correlation), eye]])
        noise = jax.scipy.linalg.block_diag(jnp.diag(driven), none)
        emission = self.scale * jnp.concatenate([eye, none], 1)
        return Dynamics(Chain(zero, covariance, transition, zero, noise), emission=emission)

    def start(self, initial, context):
        number = self.n_latents
        values = {"frequency_hz": jnp.linspace(1.5, 2.5, number), "decay_ms": jnp.full(number, 200.0)}
        return {self.site(name): value for name, value in values.items()}, jnp.eye(number)


@pytest.fixture(scope="module")
def made():
    values = TRUE | {"loadings": 0.5 * np.random.default_rng(0).normal(size=(40, 2)), "baseline": np.full(40, -1.5)}
    return nlb.simulate(nlb.Model(latents=[Oscillators()]), 32, neurons=40, bins=40, bin_ms=20.0, seed=0, values=values)


@pytest.fixture(scope="module")
def posterior(made):
    return nlb.fit(nlb.Model(latents=[Oscillators()]), made.trials, seed=0, progress=False)


def test_oscillations_with_singular_noise_are_recovered(posterior):
    for name, true in TRUE.items():
        low, high = np.quantile(posterior.draws[name], [0.01, 0.99], axis=0)
        assert np.all((low < true) & (true < high)), name
    np.testing.assert_allclose(posterior.values["ar.frequency_hz"], TRUE["ar.frequency_hz"], rtol=0.2)
    np.testing.assert_allclose(posterior.values["ar.decay_ms"], TRUE["ar.decay_ms"], rtol=0.5)


def test_the_modes_of_a_state_are_those_of_its_parameters(posterior):
    modes = posterior.dynamics(draws=20)
    order = np.argsort(modes["mean_frequency_hz"].values)
    for quantity in ("frequency_hz", "decay_ms"):
        found = modes[f"mean_{quantity}"].values[order]
        np.testing.assert_allclose(found, posterior.values[f"ar.{quantity}"], rtol=1e-3)
    np.testing.assert_array_equal(modes["multiplicity"], 2)


def test_latents_that_are_not_of_unit_variance_are_told_by_how_much(posterior):
    assert "mean square" not in posterior.verdict
    for scale, words in ((3.0, "mean square of 9 over a trial"), (0.1, "divide them by 0.1 in its method prior")):
        model = dataclasses.replace(posterior.model, latents=(Oscillators(scale=scale),))
        assert words in dataclasses.replace(posterior, model=model).verdict
