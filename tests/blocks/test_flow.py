"""A flow as a NumPyro model: its sites, its density, what it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from scipy import stats

import nlbprob as nlb
from nlbprob.blocks.base import Context
from nlbprob.blocks.nonlinear_markov import NonlinearMarkov
from nlbprob.numerics.gaussian import Chain


def turn(x):
    """A rotation whose speed has a scale of its own for each latent."""
    with numpyro.plate("axis", 2):
        speed = numpyro.sample("speed", dist.LogNormal(0.0, 1.0))
    numpyro.deterministic("length", jnp.sqrt(x @ x))
    return 0.1 * speed * jnp.tanh(jnp.stack([-x[1], x[0]]))


def test_sites_are_named_after_the_block_and_have_no_plates():
    block = nlb.Flow(turn, 2, name="swirl")
    context = Context(20.0, np.full(5, 0.2), 10)
    sites = numpyro.handlers.trace(numpyro.handlers.seed(block.prior, 0)).get_trace(context)
    assert set(sites) == {"swirl.speed", "swirl.noise", "swirl.initial_mean", "swirl.initial_covariance"}
    assert sites["swirl.speed"]["fn"].event_shape == (2,)
    drift = numpyro.handlers.substitute(block.prior, data={n: s["value"] for n, s in sites.items()})(context).drift
    expected = 0.1 * np.asarray(sites["swirl.speed"]["value"]) * np.tanh([-2.0, 1.0])
    with numpyro.handlers.trace() as seen:
        np.testing.assert_allclose(jax.jit(lambda x: drift(x))(jnp.array([1.0, 2.0])), expected, rtol=1e-5)
    assert not seen  # where it is evaluated nobody else sees its sites


def test_the_density_is_the_product_of_the_steps():
    chain = Chain(jnp.zeros(1), jnp.eye(1), 0.9 * jnp.eye(1), jnp.full(1, 0.1), 0.2 * jnp.eye(1))
    prior = NonlinearMarkov(chain, jax.tree_util.Partial(jnp.sin), 6)
    x = np.asarray(prior.sample(jax.random.key(0), (3,)))
    assert x.shape == (3, 6, 1)
    ahead = 0.9 * x[:, :-1, 0] + 0.1 + np.sin(x[:, :-1, 0])
    steps = stats.norm(ahead, np.sqrt(0.2)).logpdf(x[:, 1:, 0]).sum(1)
    expected = stats.norm().logpdf(x[:, 0, 0]) + steps
    np.testing.assert_allclose(prior.log_prob(jnp.asarray(x)), expected, rtol=1e-4)


def test_what_is_no_flow_is_refused():
    with pytest.raises(nlb.InputError, match="at a state of shape .2,. the function has a value of shape .3,."):
        nlb.simulate(nlb.Model(latents=[nlb.Flow(lambda x: jnp.zeros(3), 2)]), 4, neurons=5, bins=3)
    with pytest.raises(nlb.InputError, match="no parameter 'speed'"):
        nlb.Flow(turn, 2, priors={"speed": dist.Normal(0.0, 1.0)})
