"""An emission that varies in time against the same trajectories written as steps that vary in time."""

import dataclasses

import jax.numpy as jnp
import numpy as np

import nlbprob as nlb
from nlbprob.blocks.latent import Dynamics, Latent
from nlbprob.infer.parameters.sites import parameters_at
from nlbprob.infer.trajectories.filtering import filtered_marginals
from nlbprob.numerics.gaussian import Chain
from tests.infer.conftest import problem

BINS = 9
random = np.random.default_rng(3)
TURNS = np.eye(2) + 0.3 * random.standard_normal((BINS, 2, 2))
TRANSITION, NOISE = 0.9 * np.eye(2) + 0.1 * random.standard_normal((2, 2)), np.diag([0.3, 0.5])


@dataclasses.dataclass(frozen=True, eq=False)
class Given(Latent):
    """Known dynamics of two latents."""

    dynamics: Dynamics
    name: str = "given"
    priors: dict = dataclasses.field(default_factory=dict)

    dim = 2

    def prior(self, context):
        return self.dynamics

    def start(self, initial, context):
        return {}, jnp.eye(2)


def emitted():
    """x_t = H_t s_t."""
    zero = jnp.zeros(2)
    return Dynamics(Chain(zero, jnp.eye(2), jnp.asarray(TRANSITION), zero, jnp.asarray(NOISE)), jnp.asarray(TURNS))


def stepped():
    """x_{t+1} = H_{t+1} A H_t^-1 x_t + N(0, H_{t+1} Q H_{t+1}')."""
    later = TURNS[1:]
    steps = later @ TRANSITION @ np.linalg.inv(TURNS[:-1])
    zero, noise = jnp.zeros((BINS - 1, 2)), later @ NOISE @ later.mT
    return Dynamics(
        Chain(jnp.zeros(2), jnp.asarray(TURNS[0] @ TURNS[0].T), jnp.asarray(steps), zero, jnp.asarray(noise))
    )


def test_bound_and_latents_are_the_same(double):
    case = problem(nlb.Poisson())
    values = {name: case.values[name] for name in ("loadings", "baseline")}
    found = []
    for dynamics in (emitted(), stepped()):
        own = dataclasses.replace(case, model=nlb.Model(latents=[Given(dynamics)]), values=values)
        found.append(own.converged())
    np.testing.assert_allclose(found[0].elbo, found[1].elbo, rtol=1e-9)
    mean = np.einsum("tij,btj->bti", TURNS, found[0].smoothed.mean)
    np.testing.assert_allclose(mean, found[1].smoothed.mean, atol=1e-7)
    covariance = TURNS @ np.asarray(found[0].smoothed.covariance) @ TURNS.mT
    np.testing.assert_allclose(covariance, found[1].smoothed.covariance, atol=1e-7)


def test_filtered_latents_are_the_same(double):
    case = problem(nlb.Poisson())
    values = {name: jnp.asarray(case.values[name]) for name in ("loadings", "baseline")}
    found = []
    for dynamics in (emitted(), stepped()):
        model = nlb.Model(latents=[Given(dynamics)])
        found.append(filtered_marginals(model, parameters_at(model, case.context, values), case.batch()))
    np.testing.assert_allclose(found[0].mean, found[1].mean, atol=1e-7)
    np.testing.assert_allclose(found[0].covariance, found[1].covariance, atol=1e-7)
