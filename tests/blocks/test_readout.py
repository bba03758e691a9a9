"""Priors of loadings: the horseshoe against its integrals, and what each prior does to small and large loadings."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy import integrate, special, stats

import nlbprob as nlb
from nlbprob.blocks import spec
from nlbprob.blocks.shrinkage.horseshoe import HorseshoeDistribution, local_precision
from nlbprob.blocks.shrinkage.shrinkage import Shrinkage
from nlbprob.numerics.special import scaled_exponential_integral

SCALE = 0.3


@pytest.mark.parametrize(("wide", "tolerance"), [(True, 1e-9), (False, 2e-6)])
def test_the_scaled_exponential_integral_and_its_derivatives(wide, tolerance):
    with jax.enable_x64(wide):
        x = jnp.asarray(np.concatenate([np.geomspace(1e-12, 50, 60), [0.999, 1.0, 1.001]]), jnp.result_type(float))
        exact = np.asarray(x, float)
        expected = special.exp1(exact) * np.exp(exact)
        np.testing.assert_allclose(scaled_exponential_integral(x), expected, rtol=tolerance)
        slope = jax.vmap(jax.grad(scaled_exponential_integral))(x)
        np.testing.assert_allclose(slope, expected - 1 / exact, rtol=50 * tolerance)
        assert float(scaled_exponential_integral(jnp.asarray(1e6))) == pytest.approx(1e-6, rel=2e-6)


@pytest.mark.parametrize("loading", [0.01, 0.2, 1.0, 5.0])
def test_the_horseshoe_is_its_mixture_of_normals(loading):
    def joint(angle, power):  # lambda = tan(angle) has the half-Cauchy's weight where the angle is uniform
        width = np.tan(angle)
        return 2 / np.pi * stats.norm.pdf(loading, scale=SCALE * width) * width**-power

    density, moment = (integrate.quad(joint, 0, np.pi / 2, (power,), limit=200)[0] for power in (0, 2))
    with jax.enable_x64(True):
        assert float(HorseshoeDistribution(SCALE).log_prob(loading)) == pytest.approx(np.log(density), rel=1e-7)
        assert float(local_precision(loading, SCALE)) == pytest.approx(moment / density, rel=1e-6)
    draws = np.abs(np.asarray(HorseshoeDistribution(SCALE).sample(jax.random.key(0), (20_000,))))
    grid = np.geomspace(1e-9, loading, 4001)
    inside = 2 * np.trapezoid(np.exp(np.asarray(HorseshoeDistribution(SCALE).log_prob(jnp.asarray(grid)))), grid)
    assert (draws < loading).mean() == pytest.approx(inside, abs=0.015)


@pytest.mark.parametrize("shrinkage", ["laplace", "horseshoe"])
def test_the_quadratic_touches_the_log_prior_and_lies_below_it(shrinkage):
    readout = nlb.LinearReadout(shrinkage, loading_scale=0.5)
    prior = {"horseshoe": HorseshoeDistribution(SCALE), "laplace": dist.Laplace(0.0, 0.5 / np.sqrt(2))}[shrinkage]
    grid = jnp.linspace(-3, 3, 401)
    for loading in (0.1, 0.6, 2.0):
        found = readout.penalty(jnp.full((1, 1), loading), {"global_scale": jnp.asarray(SCALE)}, 0.0)[1][0, 1]
        assert float(found * loading) == pytest.approx(-float(jax.grad(prior.log_prob)(loading)), rel=1e-4)
        quadratic = prior.log_prob(loading) - 0.5 * found * (grid**2 - loading**2)
        assert np.all(quadratic <= prior.log_prob(grid) + 1e-5)


def shrunk(shrinkage, estimate, precision):
    """The posterior mode of a loading whose likelihood is N(estimate, 1 / precision), by repeated quadratics."""
    readout, loading = nlb.LinearReadout(shrinkage), jnp.full((1, 1), estimate)
    for _ in range(60):
        own = readout.penalty(loading, {"global_scale": jnp.asarray(0.1)}, 0.0)[1][0, 1]
        loading = jnp.full((1, 1), estimate * precision / (precision + own))
    return float(loading[0, 0])


def test_the_horseshoe_leaves_large_loadings_and_takes_small_ones_to_zero():
    large = {name: shrunk(name, 2.0, 20.0) for name in ("ridge", "laplace", "horseshoe")}
    assert 1.9 < large["horseshoe"] < 2.0
    assert large["horseshoe"] > large["laplace"] > large["ridge"]
    small = {name: shrunk(name, 0.2, 20.0) for name in ("ridge", "laplace", "horseshoe")}
    assert small["horseshoe"] < 0.05
    assert small["horseshoe"] < small["laplace"] < small["ridge"]


def test_the_global_scale_follows_the_loadings():
    """Each update raises E_q[log p(c | tau)] + log p(tau), whose maximum a grid finds."""
    readout = nlb.LinearReadout("horseshoe")
    random = np.random.default_rng(0)
    loadings = jnp.asarray(np.where(random.uniform(size=(40, 3)) < 0.2, 1.0, 0.03) * random.standard_normal((40, 3)))
    curvature = jnp.broadcast_to(1e8 * jnp.eye(4), (40, 4, 4))
    scale = jnp.asarray(0.5)
    for _ in range(80):
        scale = readout.maximize(loadings, curvature, {"global_scale": scale})["global_scale"]
    grid = np.geomspace(1e-3, 1.0, 400)
    size = readout.prior.size(loadings)
    density = HorseshoeDistribution(jnp.asarray(grid)[:, None, None]).log_prob(size).sum((1, 2))
    density = density - np.log1p((grid / 0.5) ** 2)
    assert float(scale) == pytest.approx(grid[np.argmax(density)], rel=0.05)


PRIORS = {"ridge": nlb.Ridge(0.3), "ard": nlb.ARD(0.3), "laplace": nlb.Laplace(0.3), "horseshoe": nlb.Horseshoe(0.3)}


@pytest.mark.parametrize("name", PRIORS)
def test_a_name_stands_for_the_prior_of_that_scale(name):
    named = nlb.LinearReadout(name, loading_scale=0.3)
    assert named.prior == PRIORS[name]
    given = nlb.LinearReadout(PRIORS[name])
    assert given.prior is PRIORS[name]
    assert dataclasses.replace(given, name="out").prior is PRIORS[name]
    assert nlb.LinearReadout(name).prior.scale == 0.5
    assert spec.from_json(json.loads(json.dumps(spec.to_json(given)))) == given


@pytest.mark.parametrize("name", PRIORS)
def test_closed_forms_are_the_tangent_of_the_density(name):
    prior, values = PRIORS[name], {"latent_scale": jnp.array([0.2, 0.7]), "global_scale": jnp.asarray(0.4)}
    loadings = jnp.array([[0.1, -0.4], [1.5, 3.0]])
    tangent = Shrinkage.precision(prior, loadings, values)
    np.testing.assert_allclose(prior.precision(loadings, values), tangent, rtol=1e-4)
