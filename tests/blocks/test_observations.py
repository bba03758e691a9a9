"""Observations against integrals on a fine grid, and against their own derivatives."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy import special, stats

import nlbprob as nlb
from nlbprob.blocks.base import Context
from nlbprob.blocks.negative_binomial import log_rising
from nlbprob.blocks.observations import log_factorial
from nlbprob.data.trials import Trials

CONTEXT = Context(20.0, np.full(10, 0.1), 4)
MEAN = np.array([-2.0, -0.5, 0.3, 1.2])
VARIANCE = np.array([0.05, 0.4, 0.8, 0.2])
COUNTS = np.array([0, 3, 1, 4])
NOISE = np.array([0.5, 1.0, 2.0, 0.7])
DISPERSION = np.array([0.02, 0.3, 1.5, 5.0])
GATE = np.array([0.3, 0.05, 0.6, 0.2])
INVERSE_LINKS = {"exp": np.exp, "softplus": lambda eta: np.logaddexp(0, eta)}


def negative_binomial(link):
    def log_prob(eta, y):
        size = 1 / DISPERSION[:, None]
        return stats.nbinom.logpmf(y, size, size / (size + INVERSE_LINKS[link](eta)))

    return nlb.NegativeBinomial(link), {"dispersion": DISPERSION}, log_prob, INVERSE_LINKS[link]


def zero_inflated(link):
    gate = GATE[:, None]

    def log_prob(eta, y):
        poisson = stats.poisson.logpmf(y, INVERSE_LINKS[link](eta))
        return np.where(y == 0, np.log(gate + (1 - gate) * np.exp(poisson)), np.log1p(-gate) + poisson)

    return nlb.ZeroInflatedPoisson(link), {"gate": GATE}, log_prob, lambda eta: (1 - gate) * INVERSE_LINKS[link](eta)


CASES = {
    "negative binomial": negative_binomial("exp"),
    "negative binomial, softplus": negative_binomial("softplus"),
    "zero-inflated": zero_inflated("exp"),
    "zero-inflated, softplus": zero_inflated("softplus"),
    "bernoulli": (
        nlb.Bernoulli(),
        {},
        lambda eta, y: stats.bernoulli.logpmf(y, special.expit(eta)),
        special.expit,
    ),
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
    "gaussian roots": (
        nlb.SqrtGaussian(),
        {"noise_scale": NOISE},
        lambda eta, y: stats.norm.logpdf(np.sqrt(y), eta, NOISE[:, None]),
        lambda eta: eta**2 + NOISE[:, None] ** 2,
    ),
}


def counts_of(observation):
    return np.minimum(COUNTS, 1) if isinstance(observation, nlb.Bernoulli) else COUNTS


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
    counts = counts_of(observation)
    value, _, _ = observation.expected_log_prob(jnp.asarray(MEAN), jnp.asarray(VARIANCE), counts, parameters)
    np.testing.assert_allclose(value, expectation(lambda eta: log_prob(eta, counts[:, None])), rtol=1e-5)


def test_the_distribution_is_scipys(case):
    observation, parameters, log_prob, mean_of = case
    counts = counts_of(observation)
    found = observation.distribution(jnp.asarray(MEAN), parameters)
    np.testing.assert_allclose(found.log_prob(counts), log_prob(MEAN[:, None], counts[:, None])[:, 0], rtol=1e-9)
    np.testing.assert_allclose(found.mean, mean_of(MEAN[:, None])[:, 0], rtol=1e-9)


def test_slope_and_weight_are_its_derivatives(case):
    observation, parameters, _, _ = case

    counts = counts_of(observation)

    def total(mean, variance):
        return observation.expected_log_prob(mean, variance, counts, parameters)[0].sum()

    point = jnp.asarray(MEAN), jnp.asarray(VARIANCE)
    in_mean, in_variance = jax.grad(total, argnums=(0, 1))(*point)
    _, slope, weight = observation.expected_log_prob(*point, counts, parameters)
    np.testing.assert_allclose(slope, in_mean, rtol=1e-4)
    np.testing.assert_allclose(weight, -2 * in_variance, rtol=1e-3)


def test_expected_counts_are_the_integral_of_the_mean(case):
    observation, parameters, _, mean_of = case
    found = observation.expected_count(jnp.asarray(MEAN), jnp.asarray(VARIANCE), parameters)
    np.testing.assert_allclose(found, expectation(mean_of), rtol=1e-6)


def test_the_predictor_of_a_mean_is_the_inverse_of_the_link(case):
    observation, parameters, _, _ = case
    mean = jnp.asarray([0.01, 0.4, 0.7, 0.9])
    parameters = {name: 1e-15 if name in ("gate", "noise_scale") else value for name, value in parameters.items()}
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
    for kind in (nlb.Poisson, nlb.NegativeBinomial, nlb.ZeroInflatedPoisson):
        with pytest.raises(nlb.InputError, match=f"{kind.__name__}.*link='expo'.*Did you mean 'exp'"):
            kind(link="expo")


@pytest.mark.parametrize("dispersion", [1e-7, 1e-4, 0.01, 0.3, 1.0, 30.0])
def test_the_rising_factorial_keeps_its_digits_in_float32(dispersion):
    counts = np.array([0, 1, 2, 5, 40, 700, 5000])
    exact = [np.log1p(dispersion * np.arange(y)).sum() for y in counts]
    found = log_rising(jnp.asarray(counts, jnp.float32), jnp.float32(dispersion))
    np.testing.assert_allclose(found, exact, rtol=3e-6, atol=1e-6 * counts.max())
    with jax.enable_x64(True):
        found = log_rising(jnp.asarray(counts, jnp.float64), jnp.float64(dispersion))
    np.testing.assert_allclose(found, exact, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("link", INVERSE_LINKS)
@pytest.mark.parametrize("kind", [nlb.Poisson, nlb.NegativeBinomial, nlb.ZeroInflatedPoisson])
def test_extreme_counts_and_rates_are_finite_in_float32_and_those_of_float64(kind, link):
    observation = kind(link)
    counts, rate = np.meshgrid([0, 1, 30, 5000], [1e-12, 1e-3, 1.0, 300.0, 5000.0])
    own = {nlb.NegativeBinomial: {"dispersion": 1e-3}, nlb.ZeroInflatedPoisson: {"gate": 1e-4}}.get(kind, {})
    found = []
    for wide in (True, False):
        with jax.enable_x64(wide):
            dtype = jnp.result_type(float)
            predictor = np.log(rate) if link == "exp" else rate + np.log(-np.expm1(-rate))
            predictor = jnp.asarray(predictor, dtype)
            parameters = {name: jnp.asarray(value, dtype) for name, value in own.items()}
            log_prob = observation.distribution(predictor, parameters).log_prob(jnp.asarray(counts))
            variance = jnp.full_like(predictor, 0.3)
            terms = observation.expected_log_prob(predictor, variance, jnp.asarray(counts), parameters)
            found.append([np.asarray(part, float) for part in (log_prob, *terms)])
    for exact, single in zip(*found, strict=True):
        assert np.isfinite(single).all()
        np.testing.assert_allclose(single, exact, rtol=1e-3, atol=1e-3)


def test_negative_binomial_draws_have_its_mean_and_variance():
    distribution = nlb.NegativeBinomial().distribution(
        jnp.log(jnp.array([0.5, 4.0])), {"dispersion": jnp.array([0.8, 0.2])}
    )
    draws = np.asarray(distribution.sample(jax.random.key(0), (20_000,)))
    assert distribution.sample(jax.random.key(0)).shape == (2,)
    np.testing.assert_allclose(draws.mean(0), [0.5, 4.0], rtol=0.05)
    np.testing.assert_allclose(draws.var(0), [0.5 + 0.8 * 0.25, 4.0 + 0.2 * 16], rtol=0.08)


def test_draws_of_roots_are_counts():
    distribution = nlb.SqrtGaussian().distribution(jnp.array([0.3, 5.0]), {"noise_scale": jnp.array([0.4, 0.5])})
    draws = np.asarray(distribution.sample(jax.random.key(0), (20_000,)))
    assert np.all(draws == np.round(draws))
    assert draws.min() == 0
    np.testing.assert_allclose(draws[:, 1].mean(), 5.0**2 + 0.5**2, rtol=0.01)
    np.testing.assert_allclose(np.sqrt(draws[:, 1]).std(), 0.5, rtol=0.02)


def test_starts_are_the_moments_of_counts():
    mean = jnp.array([0.5, 2.0])
    dispersed = nlb.NegativeBinomial().start(mean, mean + 2 * 0.4 * mean**2)
    np.testing.assert_allclose(dispersed["dispersion"], 0.4, rtol=1e-5)
    rate, gate = jnp.array([1.0, 4.0]), 0.3
    variance = (1 - gate) * (rate + gate * rate**2)
    np.testing.assert_allclose(nlb.ZeroInflatedPoisson().start((1 - gate) * rate, variance)["gate"], gate, rtol=1e-5)


TRIALS = Trials.from_arrays(np.random.default_rng(0).poisson(0.5, (4, 10, 3)), 20.0)


def test_counts_above_one_are_not_bernoullis():
    model = nlb.Model(latents=[nlb.LDS(1)], observation=nlb.Bernoulli())
    with pytest.raises(
        nlb.InputError, match="Bernoulli: neuron .* spikes in one bin of 20 ms.*smaller bins, or Poisson"
    ):
        nlb.fit(model, TRIALS)
    # What is not seen does not count.
    model.check(TRIALS.replace(seen=TRIALS.counts < 2))


@dataclasses.dataclass(frozen=True)
class Geometric(nlb.Observation):
    """y with p(y) = (1 - p) p^y, log odds of p the predictor: written as a user would."""

    priors: dict = dataclasses.field(default_factory=dict)

    def distribution(self, predictor, parameters):
        return dist.GeometricLogits(-predictor)

    def predictor_of_mean(self, mean):
        return jnp.log(mean)


def test_an_observation_of_ones_own_is_fitted():
    model = nlb.Model(latents=[nlb.LDS(1)], observation=Geometric())
    found = nlb.fit(model, TRIALS, em_iterations=8, svi_steps=5, progress=False)
    # EM raises bound plus log prior: the bound alone may fall a little.
    assert np.all(np.diff(found.elbo[:8]) > -0.2)
    assert found.elbo[7] > found.elbo[0] + 1.0
    np.testing.assert_allclose(np.asarray(found.rates(TRIALS)).mean((0, 1)), TRIALS.counts.mean((0, 1)), rtol=0.2)


class Broken(Geometric):
    """Of which only counts up to one are possible."""

    def distribution(self, predictor, parameters):
        return dist.BinomialLogits(predictor, total_count=1)


class Gappy(Geometric):
    """Which forgets one of the counts."""

    def distribution(self, predictor, parameters):
        known = super().distribution(predictor, parameters)
        known.log_prob = lambda counts: jnp.where(
            counts == 3, jnp.nan, dist.GeometricLogits(-predictor).log_prob(counts)
        )
        return known


class Kinked(Geometric):
    """Of which the log likelihood is finite and its slope is not."""

    def distribution(self, predictor, parameters):
        known = super().distribution(predictor, parameters)
        slow = jnp.sqrt(jnp.maximum(predictor, 0.0))  # below zero its slope is infinity times nothing
        known.log_prob = lambda counts: slow + dist.GeometricLogits(-predictor).log_prob(counts)
        return known


class Unstarted(Geometric):
    """Which forgets to say where its parameter starts."""

    def parameters(self, context):
        return {"slope": self.sample("slope", dist.LogNormal(0.0, 1.0).expand([context.n_neurons]), ("neuron",))}


@pytest.mark.parametrize(
    ("observation", "message"),
    [
        (Broken(), "Broken: the log likelihood of 2 spikes in a bin is not finite at 5 Hz.*counts from 0 to 3"),
        (Gappy(), "Gappy: the log likelihood of 3 spikes in a bin is not finite at 5 Hz"),
        (Kinked(), "Kinked: the log likelihood of 0 spikes in a bin or a derivative of it is not finite near 5 Hz"),
        (Unstarted(), "Unstarted.start.*no value for its parameter 'slope'"),
    ],
)
def test_an_observation_that_cannot_be_fitted_is_named(observation, message):
    with pytest.raises(nlb.InputError, match=message):
        nlb.fit(nlb.Model(latents=[nlb.LDS(1)], observation=observation), TRIALS)
