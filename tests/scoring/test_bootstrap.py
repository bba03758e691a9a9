"""Intervals of scores, against the textbook's bootstrap-t and against many trials of known rates."""

import numpy as np
import pytest

from nlbprob.scoring import bootstrap
from nlbprob.scoring.bootstrap import interval, pseudo_values, resamples
from nlbprob.scoring.metrics.base import RatioOfSums
from nlbprob.scoring.metrics.likelihood import Likelihood, bits_per_spike, trial_sums
from tests.studies import load


def mean_of(values):
    return RatioOfSums(np.asarray(values, dtype=float), np.ones(len(values)))


def likelihood(n_trials, seed=0):
    random = np.random.default_rng(seed)
    rates = random.gamma(2.0, 0.1, size=(n_trials, 6, 4))
    return rates, random.poisson(rates).astype(float)


def test_resamples_draw_with_replacement():
    weights = resamples(7, 500, seed=0)
    assert (weights.sum(axis=1) == 7).all()
    np.testing.assert_allclose(weights.mean(axis=0), 1, atol=0.2)
    np.testing.assert_array_equal(weights, resamples(7, 500, seed=0))


def test_of_a_mean_it_is_the_bootstrap_t():
    """By the textbook: resample the values themselves, and divide what each mean is off by its own standard error."""
    values = np.random.default_rng(0).exponential(size=12)
    error = values.std(ddof=1) / np.sqrt(12)
    ratios = []
    for row in resamples(12, 300, seed=4):
        drawn = np.repeat(values, row.astype(int))
        ratios.append(abs(drawn.mean() - values.mean()) / (drawn.std(ddof=1) / np.sqrt(12)))
    half = error * sorted(ratios)[270]
    assert interval(mean_of(values), 12, 300, seed=4) == pytest.approx((values.mean() - half, values.mean() + half))
    assert half > 1.8 * error  # Student's t has 1.80 at 11 degrees of freedom, for values that are normal


def test_pseudo_values_are_those_of_the_score_without_each_trial():
    rates, counts = likelihood(7)
    value = bits_per_spike(rates, counts)
    expected = [7 * value - 6 * bits_per_spike(np.delete(rates, i, 0), np.delete(counts, i, 0)) for i in range(7)]
    found = pseudo_values(Likelihood.of(rates, counts), value, 7)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_many_trials_are_left_out_in_groups(monkeypatch):
    values = np.random.default_rng(1).normal(size=(40, 50)).T.ravel()  # trial t is of group t % 40
    monkeypatch.setattr(bootstrap, "MOST_GROUPS", 40)
    groups = values.reshape(50, 40).mean(axis=0)
    assert interval(mean_of(values), 2000, 200, 0) == pytest.approx(interval(mean_of(groups), 40, 200, 0), abs=1e-12)


def test_what_says_nothing_of_the_spread_has_no_interval():
    assert interval(mean_of([1.0, 2.0, 4.0, 5.0]), 4, 0, seed=0) is None
    assert interval(mean_of([1.0]), 1, 100, seed=0) is None
    assert interval(mean_of([1.0, 2.0]), 2, 100, seed=0) is None
    assert interval(mean_of([1.0, np.nan, 3.0, 4.0, 5.0]), 5, 100, seed=0) is None
    alone = RatioOfSums(np.arange(6.0), np.eye(6)[2])  # only one trial has anything to divide by
    assert interval(alone, 6, 100, seed=0) is None
    assert interval(mean_of([3.0] * 6), 6, 100, seed=0) == (3, 3)


def test_the_bias_of_the_null_is_taken_out():
    """Rates that are the true mean score 0 over many trials; over few, the null fits these trials better."""
    random = np.random.default_rng(0)
    rates = np.full((12, 10, 30), 0.05)
    statistics = [Likelihood(trial_sums(rates, random.poisson(rates).astype(float))) for _ in range(100)]
    values = np.array([statistic.value for statistic in statistics])
    centers = [pseudo_values(each, value, 12).mean() for each, value in zip(statistics, values, strict=True)]
    expected = -1 / (2 * np.log(2) * 12 * 10 * 0.05)  # 1 / (2 ln 2) over a neuron's spikes
    assert values.mean() == pytest.approx(expected, rel=0.1)
    assert abs(np.mean(centers)) < 0.1 * abs(expected)


@pytest.mark.parametrize("number", [16, 64])
def test_intervals_cover(number):
    """Short form of the study in experiments/validation: 300 intervals, the share of which has a sd of 2%."""
    module = load("score_intervals")
    found = module.study(module.Pool.draw(seed=1), "co-bps", number, repeats=300)
    assert 0.87 <= found["held"] <= 0.93
    assert found["held"] > found["held_before"]
    assert found["bias"] < 0
