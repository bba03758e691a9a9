"""The distribution of a trajectory against the dense normal that it is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from nlbprob.blocks.markov import LinearGaussianMarkov
from nlbprob.numerics import kalman
from nlbprob.numerics.gaussian import Chain, Sites
from tests.numerics import oracles

CHAIN = Chain(
    np.array([0.5, -1.0]),
    np.array([[1.0, 0.3], [0.3, 0.6]]),
    np.array([[0.9, -0.2], [0.1, 0.8]]),
    np.array([0.1, 0.0]),
    np.array([[0.4, 0.1], [0.1, 0.3]]),
)


def test_the_density_is_that_of_the_joint_normal():
    x = np.random.default_rng(0).standard_normal((3, 5, 2))
    dense = stats.multivariate_normal(*oracles.joint(CHAIN, 5))
    with jax.enable_x64(True):
        found = LinearGaussianMarkov.from_chain(jax.tree.map(jnp.asarray, CHAIN), 5).log_prob(jnp.asarray(x))
    np.testing.assert_allclose(found, dense.logpdf(x.reshape(3, 10)), rtol=1e-10)


def test_draws_have_the_moments_of_the_joint_normal():
    mean, covariance = oracles.joint(CHAIN, 4)
    distribution = LinearGaussianMarkov.from_chain(jax.tree.map(jnp.asarray, CHAIN), 4)
    draws = np.asarray(distribution.sample(jax.random.key(0), (40_000,))).reshape(-1, 8)
    np.testing.assert_allclose(draws.mean(0), mean, atol=0.03)
    np.testing.assert_allclose(np.cov(draws.T), covariance, atol=0.06)


@pytest.mark.parametrize("variance", [0.6, 0.0])
def test_the_posterior_run_forward_is_the_dense_posterior(variance):
    noise, start = (
        np.diag([0.4, variance / 2]),
        np.diag([1.0, variance]),
    )  # without variance a state moves by its offset
    chain = CHAIN._replace(initial_covariance=start, noise=noise, transition=np.array([[0.9, -0.2], [0.0, 0.8]]))
    random = np.random.default_rng(0)
    sites = Sites(random.standard_normal((4, 2)), np.broadcast_to(np.eye(2) + 0.5, (4, 2, 2)))

    @jax.jit
    def forward(chain, sites):
        """The moments of the first state, and the steps, of the posterior."""
        smoothed = kalman.smooth(chain, sites, kalman.filter(chain, sites, False), False)
        found = LinearGaussianMarkov.from_smoothed(smoothed)
        return Chain(found.initial_mean, found.initial_covariance, found.transition, found.offset, found.noise)

    with jax.enable_x64(True):
        found = oracles.joint(forward(*jax.tree.map(jnp.asarray, (chain, sites))), 4)
    for own, expected in zip(found, oracles.posterior(chain, *sites), strict=False):
        np.testing.assert_allclose(own, expected, atol=1e-9)


@pytest.mark.parametrize("batch", [(), (3,), (2, 3)])
def test_shapes_are_those_of_any_numpyro_distribution(batch):
    lead = ((), (), (5,), (5,), (5,))  # five steps lead to six bins
    chain = Chain(*(jnp.broadcast_to(a, (*batch, *own, *a.shape)) for a, own in zip(CHAIN, lead, strict=True)))
    distribution = LinearGaussianMarkov.from_chain(chain, 6)
    assert distribution.batch_shape == batch
    assert distribution.event_shape == (6, 2)
    draws = distribution.sample(jax.random.key(0), (4,))
    assert draws.shape == (4, *batch, 6, 2)
    assert distribution.log_prob(draws).shape == (4, *batch)
    wider = distribution.expand((5, *batch))
    assert wider.sample(jax.random.key(0)).shape == (5, *batch, 6, 2)
