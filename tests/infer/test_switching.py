"""Switching dynamics against enumeration of all paths, and quadrature where transitions depend on the state."""

import dataclasses
import functools
import itertools

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import nlbprob as nlb
from nlbprob.blocks.base import Context
from nlbprob.numerics.gaussian import Chain
from nlbprob.simulation import simulate
from tests.infer.conftest import Case
from tests.infer.test_local import seen_design
from tests.numerics import oracles


@functools.cache
def case(recurrent=False, dim=2, bins=5, neurons=4, trials=3, seed=0, states=2):
    """A small problem whose counts are seen as normal, and the values that a draw from the prior has."""
    block = nlb.SwitchingLDS(states, dim, recurrent=recurrent)
    values = {"baseline": jnp.full(neurons, 0.5)}
    made = simulate(
        nlb.Model(latents=[block]), trials, neurons=neurons, bins=bins, bin_ms=50.0, seed=seed, values=values
    )
    values = {name: np.asarray(value, float) for name, value in made.parameters.items()}
    values["noise_scale"] = np.linspace(0.6, 1.0, neurons)
    model = nlb.Model(latents=[block], observation=nlb.Gaussian())
    return Case(model, made.trials, values, Context.of(made.trials))


def given_path(given, path):
    """The chain of one path of regimes."""
    chain, later = given.chains[0], list(path[1:])
    steps = (np.asarray(a, float)[later] for a in (chain.transition, chain.offset, chain.noise))
    return Chain(chain.initial_mean, chain.initial_covariance, *steps)


def log_evidence(one, trial):
    """log p(y) of a trial: every path of regimes in turn."""
    given = one.given()
    regimes, bins = given.priors[0].regimes, one.trials.n_bins
    initial, transition = np.asarray(regimes.initial, float), np.asarray(regimes.transition, float)
    design, offset, counts, neurons = seen_design(given, one.trials, trial)
    noise = np.diag(one.values["noise_scale"][neurons] ** 2)
    logs = []
    for path in itertools.product(range(len(initial)), repeat=bins):
        mean, covariance = oracles.joint(given_path(given, path), bins)
        normal = stats.multivariate_normal(design @ mean + offset, design @ covariance @ design.T + noise)
        prior = initial[path[0]] + sum(transition[a, b] for a, b in itertools.pairwise(path))
        logs.append(prior + normal.logpdf(counts))
    return np.logaddexp.reduce(logs)


@pytest.mark.parametrize("seed", range(8))
def test_the_bound_is_below_the_evidence_of_all_paths_and_close(double, seed):
    one = case(seed=seed)
    elbo = np.asarray(one.converged(200).elbo)
    gaps = [log_evidence(one, trial) - elbo[trial] for trial in range(3)]
    print("gaps in nats:", np.round(gaps, 3))
    assert min(gaps) > -1e-9
    assert max(gaps) < 2.5  # the best of all starts has 1.3


def test_with_one_regime_the_bound_is_the_evidence(double):
    one = case(states=1)
    elbo = np.asarray(one.converged(50).elbo)
    for trial in range(3):
        assert elbo[trial] == pytest.approx(log_evidence(one, trial), rel=1e-9)


@pytest.mark.parametrize("recurrent", [False, True])
def test_the_bound_rises_at_every_step(double, recurrent):
    bounds = case(recurrent=recurrent).bounds(10)
    assert np.all(np.diff(bounds, axis=0) >= -1e-8)
    assert np.all(bounds[-1] > bounds[0])


def test_the_recurrent_bound_is_below_quadrature(double):
    one = case(recurrent=True, dim=1, bins=2)
    one = dataclasses.replace(one, values=one.values | {"slds.recurrence": np.array([[-1.5], [1.5]])})
    given, elbo = one.given(), np.asarray(one.converged(300).elbo)
    chain, regimes = given.chains[0], given.priors[0].regimes
    grid = np.linspace(-7, 7, 561)
    first, second = np.meshgrid(grid, grid, indexing="ij")
    initial = stats.norm(chain.initial_mean[0], np.sqrt(chain.initial_covariance[0, 0])).logpdf(first)
    score = (
        np.asarray(regimes.transition)[:, :, None, None] + np.asarray(regimes.recurrence)[:, 0][:, None, None] * first
    )
    score = score - np.logaddexp.reduce(score, axis=1, keepdims=True)
    prior = []
    for a, b in itertools.product(range(2), repeat=2):
        centre = chain.transition[b, 0, 0] * first + chain.offset[b, 0]
        step = stats.norm(centre, np.sqrt(chain.noise[b, 0, 0])).logpdf(second)
        prior.append(initial + step + float(regimes.initial[a]) + score[a, b])
    prior = np.logaddexp.reduce(prior, axis=0)
    for trial in range(3):
        design, offset, counts, neurons = seen_design(given, one.trials, trial)
        predictor = first[..., None] * design[:, 0] + second[..., None] * design[:, 1] + offset
        seen = stats.norm(predictor, one.values["noise_scale"][neurons]).logpdf(counts).sum(-1)
        evidence = np.logaddexp.reduce((prior + seen).ravel()) + 2 * np.log(grid[1] - grid[0])
        assert elbo[trial] < evidence
        assert elbo[trial] == pytest.approx(evidence, abs=1.5)


@pytest.mark.parametrize("name", ["slds.matrix", "slds.transition", "slds.offset", "loadings"])
def test_gradient_of_the_bound_matches_finite_differences_of_the_optimised_bound(double, name):
    one = case(recurrent=False)
    value = np.asarray(one.values[name])
    direction = np.random.default_rng(0).standard_normal(value.shape) * np.maximum(np.abs(value), 0.1)
    if name == "slds.transition":
        direction = direction - direction.mean(-1, keepdims=True)
    slope = (one.slopes(one.converged(400))[name] * direction).sum()

    def optimised(step):
        moved = dataclasses.replace(one, values=one.values | {name: value + step * direction})
        return float(moved.converged(400).elbo.sum())

    ends = [optimised(step) for step in (1e-4, -1e-4)]
    assert float(slope) == pytest.approx((ends[0] - ends[1]) / 2e-4, rel=2e-3)
