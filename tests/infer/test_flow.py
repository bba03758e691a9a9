"""Nonlinear dynamics against filtering on a grid, and against the linear model where the flow is linear."""

import dataclasses
import functools

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from scipy import stats

import nlbprob as nlb
from nlbprob.blocks.base import Context
from nlbprob.simulation import simulate
from tests.conftest import holes
from tests.infer.conftest import Case, problem

GRID = np.linspace(-5, 5, 601)


def double_well(x):
    rate = numpyro.sample("rate", dist.LogNormal(-1.0, 0.5))
    return rate * (x - x**3)


@functools.cache
def wells(rate=0.4, noise=0.08, trials=3, bins=9, neurons=8):
    """Counts of a state that hops between two wells, with holes and a trial that ends early."""
    model = nlb.Model(latents=[nlb.Flow(double_well, 1)])
    values = {
        "flow.rate": jnp.asarray(rate),
        "flow.noise": jnp.full((1, 1), noise),
        "flow.initial_mean": jnp.full(1, 0.1),
        "flow.initial_covariance": jnp.full((1, 1), 0.5),
        "baseline": jnp.full(neurons, 0.3),
        "loadings": jnp.linspace(0.5, 1.5, neurons)[:, None],
    }
    made = simulate(model, trials, neurons=neurons, bins=bins, bin_ms=20.0, values=values)
    values = {name: np.asarray(value, float) for name, value in made.parameters.items()}
    trials = holes(made.trials)
    return Case(model, trials, values, Context.of(trials))


def log_evidence(case, trial):
    """log p(y) of a trial by a filter on a grid."""
    values = {name.removeprefix("flow."): value for name, value in case.values.items()}
    rate, noise = float(values["rate"]), float(values["noise"][0, 0])
    step = stats.norm(GRID + rate * (GRID - GRID**3), np.sqrt(noise)).pdf(GRID[:, None]) * (GRID[1] - GRID[0])
    first = stats.norm(values["initial_mean"][0], np.sqrt(values["initial_covariance"][0, 0]))
    alpha = first.pdf(GRID) * (GRID[1] - GRID[0])
    rates = np.exp(GRID[:, None] * values["loadings"][:, 0] + values["baseline"])
    total = 0.0
    for bin_ in range(case.trials.n_bins):
        alpha = step @ alpha if bin_ else alpha
        seen = case.trials.seen[trial, bin_]
        logs = stats.poisson.logpmf(case.trials.counts[trial, bin_], rates)[:, seen].sum(1)
        alpha = alpha * np.exp(logs)
        total += np.log(alpha.sum())
        alpha /= alpha.sum()
    return total


@pytest.mark.parametrize("noise", [0.08, 0.02])
def test_the_bound_is_below_the_evidence_and_close(double, noise):
    case = wells(noise=noise)
    elbo = np.asarray(case.converged(200).elbo)
    gaps = np.array([log_evidence(case, trial) for trial in range(3)]) - elbo
    print("gaps in nats:", np.round(gaps, 4))
    assert gaps.min() > 0
    assert gaps.max() < 0.2


def test_the_bound_rises_at_every_step(double):
    bounds = wells().bounds(15)
    assert np.all(np.diff(bounds, axis=0) >= -1e-9)
    assert np.all(bounds[-1] > bounds[0])


def test_trials_of_which_nothing_is_seen_add_nothing(double):
    case = wells()
    blank = dataclasses.replace(case, trials=case.trials.replace(seen=np.zeros_like(case.trials.seen)))
    np.testing.assert_allclose(blank.converged(20).elbo, 0.0, atol=1e-9)


def test_a_linear_flow_has_the_numbers_of_the_linear_model(double):
    linear = problem(nlb.Poisson())
    given = linear.given()
    chain = given.chains[0]
    slope = np.asarray(chain.transition) - np.eye(2)
    values = {name: linear.values[name] for name in ("loadings", "baseline")} | {
        "flow.noise": np.asarray(chain.noise),
        "flow.initial_mean": np.asarray(chain.initial_mean),
        "flow.initial_covariance": np.asarray(chain.initial_covariance),
    }
    flow = dataclasses.replace(linear, model=nlb.Model(latents=[nlb.Flow(lambda x: slope @ x, 2)]), values=values)
    expected, found = linear.converged(), flow.converged()
    np.testing.assert_allclose(found.elbo, expected.elbo, rtol=1e-9)
    np.testing.assert_allclose(found.smoothed.mean, expected.smoothed.mean, atol=1e-7)
    np.testing.assert_allclose(found.smoothed.covariance, expected.smoothed.covariance, atol=1e-7)


@pytest.mark.parametrize("name", ["flow.rate", "flow.noise", "flow.initial_mean", "loadings"])
def test_gradient_of_the_bound_matches_finite_differences_of_the_optimised_bound(double, name):
    case = wells()
    value = np.asarray(case.values[name])
    direction = np.random.default_rng(0).standard_normal(value.shape) * np.maximum(np.abs(value), 0.1)
    slope = (case.slopes(case.converged(400))[name] * direction).sum()

    def optimised(step):
        moved = dataclasses.replace(case, values=case.values | {name: value + step * direction})
        return float(moved.converged(400).elbo.sum())

    ends = [optimised(step) for step in (1e-4, -1e-4)]
    assert float(slope) == pytest.approx((ends[0] - ends[1]) / 2e-4, rel=2e-3)
