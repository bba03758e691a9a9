"""Data: domains, units, trials by name and signals by their place."""

import numpy as np
import pytest
import temporaldata as td

import nlbprob as nlb
from nlbprob.data.neighbours import temporaldata
from tests.data.neighbours import sessions

RECORDED = sessions.draw(seed=4)


def domain(data):
    return temporaldata.session(data).observed[0]


def test_the_domain_of_the_spikes_says_where_they_were_recorded():
    made = sessions.data(RECORDED)
    np.testing.assert_array_equal(domain(made), [RECORDED.extent])
    spikes = td.IrregularTimeSeries(
        timestamps=made.spikes.timestamps, unit_index=made.spikes.unit_index, domain=td.Interval(0.0, 8.0)
    )
    np.testing.assert_array_equal(domain(sessions.data(RECORDED, spikes=spikes)), [[0.0, 8.0]])


def test_domains_worked_out_from_the_spikes_state_nothing():
    spikes = td.IrregularTimeSeries(timestamps=np.array([0.2, 1.3]), unit_index=np.array([0, 1]), domain="auto")
    made = td.Data(spikes=spikes, domain="auto")
    assert domain(made) is None
    trials = nlb.load(made, trials=([0.0, 1.0], [1.0, 2.0]), bin_ms=500, heldout="none")
    assert trials.seen.all()
    np.testing.assert_array_equal(trials.counts, [[[1, 0], [0, 0]], [[0, 1], [0, 0]]])
    assert trials.neurons["id"].tolist() == [0, 1]


def test_intervals_names_other_trials():
    made = sessions.data(RECORDED, movements=td.Interval(start=np.array([1.0, 3.0]), end=np.array([1.5, 3.5])))
    found = nlb.load(made, bin_ms=50, intervals="movements", split="none")
    assert found.table["start_time"].tolist() == [1.0, 3.0]
    with pytest.raises(nlb.InputError, match="intervals: no table of trials 'movement'. .*movements"):
        nlb.load(made, bin_ms=50, intervals="movement")


def test_signals_are_named_by_their_place():
    made = sessions.data(RECORDED)
    for name in ("cursor.velocity", "cursor"):
        found = nlb.load(made, bin_ms=50, behavior=name)
        assert found.behavior_name == name
    two = td.RegularTimeSeries(pos=RECORDED.velocity, vel=RECORDED.velocity, sampling_rate=100.0)
    made = sessions.data(RECORDED, cursor=two)
    assert nlb.load(made, bin_ms=50, behavior="cursor.vel").behavior.shape[2] == 2
    with pytest.raises(nlb.InputError, match=r"'cursor' has 2 fields \(pos, vel\)"):
        nlb.load(made, bin_ms=50, behavior="cursor")
    with pytest.raises(nlb.InputError, match="behavior: no signal 'cursor.speed'; name it by its place"):
        nlb.load(made, bin_ms=50, behavior="cursor.speed")
    with pytest.raises(nlb.InputError, match="behavior: no signal 'curser'; .*cursor"):
        nlb.load(made, bin_ms=50, behavior="curser")


def test_a_spike_of_no_unit_is_told():
    made = sessions.data(RECORDED, units=td.ArrayDict(id=np.array([1, 2])))
    with pytest.raises(nlb.InputError, match="unit_index: from 0 to 3, for 2 units"):
        nlb.load(made, bin_ms=50)
