import numpy as np
import pytest

from nlbprob.errors import InputError
from nlbprob.scoring.comparison import compare
from nlbprob.scoring.metrics.base import Metric, RatioOfSums
from nlbprob.scoring.scores import score


def test_the_difference_is_that_of_the_scores_and_pairing_narrows_it(make_trials):
    trials, rates = make_trials(n_trials=60)
    worse = rates * np.exp(0.3 * np.random.default_rng(0).normal(size=rates.shape))
    difference = compare(rates, worse, trials)
    scores = [score(array, trials) for array in (rates, worse)]
    assert difference.value == pytest.approx(scores[0].values["co-bps"] - scores[1].values["co-bps"], abs=1e-12)
    low, high = difference.interval
    assert 0 < low < difference.value < high
    widths = [np.ptp(each.intervals["co-bps"]) for each in scores]
    assert high - low < min(widths)
    assert str(difference).endswith("bits/spike, val, 20 ms bins")
    swapped = compare(worse, rates, trials)
    assert swapped.interval == pytest.approx((-high, -low))
    assert compare(rates, rates, trials).interval == (0, 0)
    assert "[" not in str(compare(rates, worse, trials, bootstrap=0))


def test_what_cannot_be_compared_is_refused(make_trials):
    trials, rates = make_trials()
    with pytest.raises(InputError, match="rates_b: .* exactly zero"):
        compare(rates, 0 * rates, trials)
    with pytest.raises(InputError, match="there is no co-bps to compare"):
        compare(rates, rates, trials.hide_heldout("val"))


def test_any_score_is_compared(make_trials):
    trials, rates = make_trials()

    def total(scored):
        return RatioOfSums(scored.rates.sum((1, 2)).astype(float), np.ones(scored.n_trials))

    metric = Metric("total", "spikes", "expected spikes of a trial", total)
    difference = compare(rates, rates / 2, trials, metric=metric)
    values = [score(array, trials, metrics=[metric]).values["total"] for array in (rates, rates / 2)]
    assert difference.value == pytest.approx(values[0] - values[1])
    assert (difference.metric, difference.unit) == ("total", "spikes")
    assert str(difference).startswith("total difference +")
    with pytest.raises(InputError, match="Did you mean 'vel R2'"):
        compare(rates, rates, trials, metric="vel_R2")
    with pytest.raises(InputError, match="compare: .*; there is no vel R2 to compare"):
        compare(rates, rates, trials.replace(behavior=None), metric="vel R2")
