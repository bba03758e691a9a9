"""Observations against integrals on a fine grid, and against their own derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import nlbprob as nlb
from nlbprob.blocks.base import Context
from nlbprob.blocks.observations import log_factorial

CONTEXT = Context(20.0, np.full(10, 0.1), 4)
MEAN = np.array([-2.0, -0.5, 0.3, 1.2])
VARIANCE = np.array([0.05, 0.4, 0.8, 0.2])
COUNTS = np.array([0, 3, 1, 4])
NOISE = np.array([0.5, 1.0, 2.0, 0.7])

CASES = {
    "exp": (nlb.Poisson(), {}, lambda eta, y: stats.poisson.logpmf(y, np.exp(eta)), np.exp),
    "softplus": (
        nlb.Poisson(link="softplus"),
        {},
        lambda eta, y: stats.poisson.logpmf(y, np.log1p(np.exp(eta))),
        lambda eta: np.log1p(np.exp(eta)),
    ),
    "gaussian": (
        nlb.Gaussian(),
        {"noise_scale": NOISE},
        lambda eta, y: stats.norm.logpdf(y, eta, NOISE[:, None]),
        lambda eta: eta,
    ),
}


def expectation(function):
    """E[function(eta)] of each neuron by the trapezoid rule over eight standard deviations either way."""
    z = np.linspace(-8, 8, 4001)
    eta = MEAN[:, None] + np.sqrt(VARIANCE)[:, None] * z
    return np.trapezoid(function(eta) * stats.norm.pdf(z), z, axis=1)


@pytest.fixture(params=CASES)
def case(request):
    with jax.enable_x64(True):
        yield CASES[request.param]


def test_expected_log_probability_is_the_integral(case):
    observation, parameters, log_prob, _ = case
    value, _, _ = observation.expected_log_prob(jnp.asarray(MEAN), jnp.asarray(VARIANCE), COUNTS, parameters)
    np.testing.assert_allclose(value, expectation(lambda eta: log_prob(eta, COUNTS[:, None])), rtol=1e-5)


def test_slope_and_weight_are_its_derivatives(case):
    observation, parameters, _, _ = case

    def total(mean, variance):
        return observation.expected_log_prob(mean, variance, COUNTS, parameters)[0].sum()

    point = jnp.asarray(MEAN), jnp.asarray(VARIANCE)
    in_mean, in_variance = jax.grad(total, argnums=(0, 1))(*point)
    _, slope, weight = observation.expected_log_prob(*point, COUNTS, parameters)
    np.testing.assert_allclose(slope, in_mean, rtol=1e-4)
    np.testing.assert_allclose(weight, -2 * in_variance, rtol=1e-3)


def test_expected_counts_are_the_integral_of_the_mean(case):
    observation, parameters, _, mean_of = case
    found = observation.expected_count(jnp.asarray(MEAN), jnp.asarray(VARIANCE), parameters)
    np.testing.assert_allclose(found, expectation(mean_of), rtol=1e-6)


def test_the_predictor_of_a_mean_is_the_inverse_of_the_link(case):
    observation, parameters, _, _ = case
    mean = jnp.asarray([0.01, 0.4, 3.0, 40.0])
    back = observation.distribution(observation.predictor_of_mean(mean), parameters).mean
    np.testing.assert_allclose(back, mean, rtol=1e-9)
    typical = observation.distribution(observation.baseline_location(CONTEXT), parameters).mean
    np.testing.assert_allclose(typical, 5.0 * 0.02, rtol=1e-6)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.uint32, np.float32])
def test_factorials_of_counts_of_any_type(kind):
    counts = np.array([0, 1, 2, 12, 255]).astype(kind)
    expected = [float(np.log(np.arange(1, n + 1)).sum()) for n in (0, 1, 2, 12, 255)]
    np.testing.assert_allclose(log_factorial(jnp.asarray(counts), jnp.float32), expected, rtol=1e-5, atol=1e-6)


def test_a_link_that_does_not_exist_is_named():
    with pytest.raises(nlb.InputError, match="link='expo'.*Did you mean 'exp'"):
        nlb.Poisson(link="expo")
