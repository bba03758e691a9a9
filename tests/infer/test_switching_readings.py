"""How long regimes last, which follows which, and when they come: against counting by hand."""

from types import SimpleNamespace

import numpy as np
import pytest

import nlbprob as nlb
from nlbprob.posterior import switching

BIN_MS = 10.0


def trials_of(lengths, bins=12, table=None, **options):
    seen = np.arange(bins) < np.array(lengths)[:, None]
    made = nlb.Trials.from_arrays(np.ones((len(lengths), bins, 2), int), bin_ms=BIN_MS)
    return made.replace(seen=np.repeat(seen[:, :, None], 2, 2), table=made.table | (table or {}), **options)


@pytest.fixture
def paths():
    return np.random.default_rng(0).integers(3, size=(5, 4, 12)).astype(np.int16)


def test_bins_and_switches_are_those_inside_trials(paths):
    lengths = [12, 7, 1, 0]
    bins, switches = switching.counted(paths, np.arange(12) < np.array(lengths)[:, None], 3)
    for draw in range(5):
        expected, moves = np.zeros(3), np.zeros((3, 3))
        for path, length in zip(paths[draw], lengths, strict=True):
            for step in range(length):
                expected[path[step]] += 1
                if step and path[step] != path[step - 1]:
                    moves[path[step - 1], path[step]] += 1
        np.testing.assert_array_equal(bins[draw], expected)
        np.testing.assert_array_equal(switches[draw], moves)


def test_probabilities_and_entries_are_at_their_lag_from_the_event(paths):
    lengths, zero = [12, 7, 9, 12], np.array([4, 2, -1, 6])
    inside = np.arange(12) < np.array(lengths)[:, None]
    lags, *of_trials = switching.around(zero, inside)
    probability, entry = switching.timed(paths, inside, 3, *of_trials)
    for place, lag in enumerate(lags):
        there = [(trial, zero[trial] + lag) for trial in (0, 1, 3) if 0 <= zero[trial] + lag < lengths[trial]]
        assert len(there) >= 2
        later = [(trial, step) for trial, step in there if step > 0]
        for draw in range(5):
            for regime in range(3):
                now = [paths[draw, trial, step] == regime for trial, step in there]
                assert probability[draw, regime, place] == pytest.approx(np.mean(now))
                enters = [paths[draw, trial, step] == regime != paths[draw, trial, step - 1] for trial, step in later]
                assert entry[draw, regime, place] == pytest.approx(np.mean(enters) if later else 0)
    assert set(lags) == set(range(-4, 6))


def test_an_event_is_a_column_in_s_or_times_in_ms():
    columns = {"start_time": np.array([10.0, 20.0, 30.0]), "go": np.array([10.05, 20.03, np.nan])}
    trials = trials_of([12, 12, 12], table=columns, source={"options": {"align": "start_time"}})
    np.testing.assert_array_equal(switching.event_bins(trials, "go"), [5, 3, -1])
    np.testing.assert_array_equal(switching.event_bins(trials, [50.0, 39.9, 120.0]), [5, 3, -1])
    np.testing.assert_array_equal(switching.event_bins(trials, None), [0, 0, 0])


WRONG = {
    "another column": ("goo", "no trials column 'goo'. Did you mean 'go'"),
    "a column of words": ("split", "'split' does not hold times in s"),
    "times of other trials": ([1.0], "give a trials column with times in s, or the time of each of the 3 trials"),
    "no times": (nlb.Trials, "give a trials column with times in s"),
    "times in s": ([-50.0, 200.0, 300.0], "the event lies in no trial: bins go from 0 to 120 ms"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_event_is_told(case):
    event, message = WRONG[case]
    trials = trials_of([12, 12, 12], table={"go": np.arange(3.0), "start_time": np.arange(3.0)})
    with pytest.raises(nlb.InputError, match=message):
        switching.event_bins(trials, event)


def test_the_block_is_one_that_switches():
    def posterior(*blocks):
        return SimpleNamespace(model=SimpleNamespace(chains=[SimpleNamespace(name=n, n_regimes=r) for n, r in blocks]))

    assert switching.block_of(posterior(("lds", 0), ("slds", 2)), None) == 1
    assert switching.block_of(posterior(("one", 2), ("two", 3)), "two") == 1
    for blocks, block, message in (
        ((("lds", 0),), None, "no block of the model switches"),
        ((("one", 2), ("two", 2)), None, "several blocks switch; name one, block='one'"),
        ((("slds", 2),), "sdls", "no block 'sdls' switches. Did you mean 'slds'"),
    ):
        with pytest.raises(nlb.InputError, match=message):
            switching.block_of(posterior(*blocks), block)
