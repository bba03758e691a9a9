import numpy as np
import pytest

from nlbprob.errors import InputError
from nlbprob.scoring.comparison import compare
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
