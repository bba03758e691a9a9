"""Intervals of scores, against the textbook's bootstrap-t and against many trials of known rates."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from nlbprob.scoring import bootstrap
from nlbprob.scoring.bootstrap import interval, pseudo_values, resamples, scores_without
from nlbprob.scoring.comparison import Paired
from nlbprob.scoring.metrics.base import RatioOfSums
from nlbprob.scoring.metrics.likelihood import Likelihood, bits_per_spike, trial_sums
from tests.studies import load


def mean_of(values):
    return RatioOfSums(np.asarray(values, dtype=float), np.ones(len(values)))


def found(statistic, n_trials, draws):
    bounds = interval(statistic, n_trials, draws, seed=0)
    assert bounds is not None
    return bounds


def by_deviation(values):
    """In the order in which they are resampled."""
    return values[np.argsort(np.abs(values - values.mean()))]


@dataclasses.dataclass(frozen=True, eq=False)
class Explained(RatioOfSums):
    """1 - sum of the numerator / sum of the denominator."""

    highest = 1.0

    def draws(self, weights):
        return 1 - super().draws(weights)


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
    values = by_deviation(np.random.default_rng(0).exponential(size=12))
    error = values.std(ddof=1) / np.sqrt(12)
    ratios = []
    for row in resamples(12, 300, seed=4):
        drawn = np.repeat(values, row.astype(int))
        ratios.append(abs(drawn.mean() - values.mean()) / (drawn.std(ddof=1) / np.sqrt(12)))
    half = error * sorted(ratios)[270]
    assert interval(mean_of(values), 12, 300, seed=4) == pytest.approx((values.mean() - half, values.mean() + half))
    assert half > 1.8 * error  # Student's t has 1.80 at 11 degrees of freedom, for values that are normal


def test_of_a_mean_of_normal_values_it_is_nearly_students():
    values = np.random.default_rng(3).normal(0.2, 0.1, size=40)
    low, high = found(mean_of(values), 40, 4000)
    assert (low + high) / 2 == pytest.approx(values.mean())
    half = stats.t.ppf(0.95, 39) * values.std(ddof=1) / np.sqrt(40)
    assert (high - low) / 2 == pytest.approx(half, rel=0.05)


def test_the_interval_of_a_bounded_score_is_made_of_the_logarithm_of_what_is_unexplained():
    random = np.random.default_rng(2)
    residual, total = random.exponential(0.02, size=9), random.gamma(20.0, 0.05, size=9)

    def score(kept):
        return -np.log(residual[kept].sum() / total[kept].sum())

    value = score(np.arange(9))
    pseudo = by_deviation(np.array([9 * value - 8 * score(np.delete(np.arange(9), i)) for i in range(9)]))
    ratios = []
    for row in resamples(9, 300, seed=1):
        drawn = np.repeat(pseudo, row.astype(int))
        error = drawn.std(ddof=1) / 3
        ratios.append(np.inf if error == 0 else abs(drawn.mean() - pseudo.mean()) / error)
    half = sorted(ratios)[270] * pseudo.std(ddof=1) / 3
    expected = 1 - np.exp(-value + half), 1 - np.exp(-value - half)
    assert interval(Explained(residual, total), 9, 300, seed=1) == pytest.approx(expected)
    assert expected[1] < 1


def test_it_depends_on_the_seed_and_on_no_order_of_trials():
    rates, counts = likelihood(14)
    first, backwards = Likelihood.of(rates, counts), Likelihood.of(rates[::-1], counts[::-1])
    assert found(first, 14, 300) == found(first, 14, 300)
    assert found(first, 14, 300) != interval(first, 14, 300, seed=1)
    assert found(first, 14, 300) == pytest.approx(found(backwards, 14, 300), abs=1e-9)


def test_what_is_common_to_both_cancels_in_a_difference():
    rates, counts = likelihood(14)
    sums = trial_sums(rates, counts)
    assert interval(Paired(Likelihood(sums), Likelihood(sums)), 14, 300, seed=0) == (0, 0)
    wider = trial_sums(rates * 1.2, counts)  # k ln 1.2 - 0.2 r more in each bin, whatever the null
    gained = RatioOfSums((wider.log_likelihood - sums.log_likelihood).sum(axis=1), sums.spikes.sum(axis=1))
    expected = np.array(found(gained, 14, 300)) / np.log(2)
    assert found(Paired(Likelihood(wider), Likelihood(sums)), 14, 300) == pytest.approx(tuple(expected), abs=1e-9)


def test_pseudo_values_are_those_of_the_score_without_each_trial():
    rates, counts = likelihood(7)
    value = bits_per_spike(rates, counts)
    expected = [7 * value - 6 * bits_per_spike(np.delete(rates, i, 0), np.delete(counts, i, 0)) for i in range(7)]
    pseudo = pseudo_values(value, scores_without(Likelihood.of(rates, counts), 7))
    np.testing.assert_allclose(pseudo, expected, atol=1e-12)


def test_many_trials_are_left_out_in_groups(monkeypatch):
    values = np.random.default_rng(1).normal(size=(40, 50)).T.ravel()  # trial t is of group t % 40
    monkeypatch.setattr(bootstrap, "MOST_GROUPS", 40)
    groups = values.reshape(50, 40).mean(axis=0)
    assert interval(mean_of(values), 2000, 200, 0) == pytest.approx(interval(mean_of(groups), 40, 200, 0), abs=1e-12)


def test_what_says_nothing_of_the_spread_has_no_interval():
    assert interval(mean_of([1.0, 2.0, 4.0, 5.0]), 4, 0, seed=0) is None
    assert interval(mean_of([1.0]), 1, 100, seed=0) is None
    assert interval(mean_of([1.0, 2.0]), 2, 100, seed=0) is None
    assert interval(mean_of([1.0, 2.0, 4.0]), 3, 100, seed=0) is None
    assert interval(mean_of([1.0, 2.0, 4.0, 5.0]), 4, 100, seed=0) is not None
    assert interval(mean_of([1.0, np.nan, 3.0, 4.0, 5.0]), 5, 100, seed=0) is None
    alone = RatioOfSums(np.arange(6.0), np.eye(6)[2])  # only one trial has anything to divide by
    assert interval(alone, 6, 100, seed=0) is None
    assert interval(mean_of([3.0] * 6), 6, 100, seed=0) == (3, 3)
    assert interval(Explained(np.zeros(6), np.ones(6)), 6, 100, seed=0) == (1, 1)
    assert interval(Explained(np.eye(6)[2], np.ones(6)), 6, 100, seed=0) is None  # without that trial, all is explained


def test_a_score_that_depends_on_trials_by_rounding_alone_is_its_interval():
    """Rates that are the same in every trial: whether a trial is left out changes the last digit, or nothing."""
    values = np.full(12, -0.14)
    assert found(mean_of(values), 12, 300) == (mean_of(values).value,) * 2
    values[:2] += 1e-15
    assert found(mean_of(values), 12, 300) == (mean_of(values).value,) * 2
    values += 1e-6 * np.arange(12)
    assert np.ptp(found(mean_of(values), 12, 300)) > 0


def test_the_bias_of_the_null_is_taken_out():
    """Rates that are the true mean score 0 over many trials; over few, the null fits these trials better."""
    random = np.random.default_rng(0)
    rates = np.full((12, 10, 30), 0.05)
    statistics = [Likelihood(trial_sums(rates, random.poisson(rates).astype(float))) for _ in range(100)]
    values = np.array([statistic.value for statistic in statistics])
    centers = [
        pseudo_values(value, scores_without(each, 12)).mean() for each, value in zip(statistics, values, strict=True)
    ]
    expected = -1 / (2 * np.log(2) * 12 * 10 * 0.05)  # 1 / (2 ln 2) over a neuron's spikes
    assert values.mean() == pytest.approx(expected, rel=0.1)
    assert abs(np.mean(centers)) < 0.1 * abs(expected)


@pytest.mark.parametrize("name", ["co-bps", "difference", "vel R2"])
def test_intervals_cover(name, monkeypatch):
    """Short form of the study in experiments/validation: 300 intervals, the share of which has a sd of 2%."""
    module = load("score_intervals")
    monkeypatch.setattr(module, "SCORES", (name,))
    monkeypatch.setattr(module, "NUMBERS", (16,))
    pools = [module.score_intervals(seed) for seed in range(6)]
    held, quantiles = (np.mean([pool[f"{name} 16{form}"] for pool in pools]) for form in ("", " quantiles"))
    assert 0.84 <= held <= 0.95
    assert held > quantiles
