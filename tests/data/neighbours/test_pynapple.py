"""TsGroup: metadata, time support, and what pynapple does to times that touch."""

import numpy as np
import pynapple as nap
import pytest

import nlbprob as nlb

SPIKES = {3: [0.3, 0.7, 2.2], 1: [0.4, 1.1, 2.9]}
TRIALS = ([0.0, 1.0, 2.0], [1.0, 2.0, 3.0])
OPTIONS = {"trials": TRIALS, "bin_ms": 250, "heldout": "none", "split": "none"}


def group(**changes):
    return nap.TsGroup({unit: nap.Ts(times) for unit, times in SPIKES.items()}, **changes)


def test_units_are_in_the_order_of_the_group_with_their_metadata():
    trials = nlb.load(group(metadata={"area": ["b", "a"], "good": [True, False]}), **OPTIONS)
    assert trials.neurons["id"].tolist() == [1, 3]
    named = dict(zip(trials.neurons["id"].tolist(), trials.neurons["area"].tolist(), strict=True))
    assert named == dict(group(metadata={"area": ["b", "a"]}).get_info("area"))
    assert trials.neurons["good"].dtype == bool
    assert "rate" not in trials.neurons
    np.testing.assert_array_equal(trials.counts[:, :, 0].sum(axis=1), [1, 1, 1])


def test_a_time_support_that_is_stated_says_where_bins_were_seen():
    support = nap.IntervalSet([0.0, 2.0], [1.5, 3.0])
    trials = nlb.load(group(time_support=support), **OPTIONS)
    np.testing.assert_array_equal(trials.seen[:, :, 0], [[True] * 4, [True, True, False, False], [True] * 4])


def test_a_time_support_from_the_first_spike_to_the_last_states_nothing():
    trials = nlb.load(group(), **OPTIONS)
    assert trials.seen.all()
    assert "no obs_intervals for some units: all their bins count as recorded" in trials.source["notes"]


@pytest.mark.filterwarnings("ignore:Some starts and ends are equal")
def test_a_support_whose_intervals_touch_has_no_gap():
    trials = nlb.load(group(time_support=nap.IntervalSet([0.0, 1.25], [1.25, 3.0])), **OPTIONS)
    assert trials.seen.all()
    assert trials.n_bins == 4
    trials = nlb.load(group(), **OPTIONS | {"trials": nap.IntervalSet(*TRIALS)})
    assert (trials.lengths == 4).all()


def test_a_silent_unit_is_kept_and_told():
    support = nap.IntervalSet(0, 3)
    units = {unit: nap.Ts(times, time_support=support) for unit, times in ((0, []), (1, [0.5]))}
    trials = nlb.load(nap.TsGroup(units, time_support=support), **OPTIONS)
    assert trials.n_neurons == 2
    assert "1 units without a spike: 0" in trials.source["notes"]


def test_units_are_chosen_by_metadata():
    assert nlb.load(group(metadata={"area": ["b", "a"]}), units="area == 'a'", **OPTIONS).n_neurons == 1
