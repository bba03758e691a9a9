"""Spike trains, segments and blocks of neo."""

import neo
import numpy as np
import pytest
import quantities as pq

import nlbprob as nlb
from tests.data.neighbours import sessions

RECORDED = sessions.draw(seed=5)
TRIALS = ([0.0, 1.0], [1.0, 2.0])
OPTIONS = {"trials": TRIALS, "bin_ms": 500, "heldout": "none", "split": "none"}


def train(times, stop=2.0, start=0.0, **annotations):
    return neo.SpikeTrain(times, units="s", t_start=start, t_stop=stop, **annotations)


def block(*parts, **annotations):
    made = neo.Block()
    for at, trains in enumerate(parts):
        segment = neo.Segment(**{name: values[at] for name, values in annotations.items()})
        segment.spiketrains.extend(trains)
        made.segments.append(segment)
    return made


def test_one_train_several_and_a_segment():
    trains = [train([0.2, 1.3]), train([0.6])]
    expected = [[[1, 0], [0, 1]], [[1, 0], [0, 0]]]
    for source in (
        trains,
        tuple(trains),
        block(trains).segments[0],
        block(trains),
        block(trains).segments[0].spiketrains,
    ):
        np.testing.assert_array_equal(nlb.load(source, **OPTIONS).counts, expected)
    assert nlb.load(trains[0], **OPTIONS).n_neurons == 1


def test_each_unit_is_seen_while_its_train_was_recorded():
    trials = nlb.load([train([0.2, 1.3]), train([0.6], stop=1.5, start=0.5)], **OPTIONS)
    np.testing.assert_array_equal(trials.seen[:, :, 1], [[False, True], [True, False]])
    assert trials.seen[:, :, 0].all()


@pytest.mark.parametrize(
    ("annotations", "ids"),
    [
        ([{}, {}], [0, 1]),
        ([{"name": "u7"}, {"name": "u3"}], ["u7", "u3"]),
        ([{"unit_id": 7, "name": "u"}, {"unit_id": 3, "name": "u"}], [7, 3]),
        ([{"id": 7}, {"id": 3}], [7, 3]),
        ([{"id": 7}, {"id": 7}], [0, 1]),
        ([{"id": 7}, {}], [0, 1]),
    ],
)
def test_ids_are_annotations_or_names(annotations, ids):
    trains = [train([0.2], **given) for given in annotations]
    assert nlb.load(trains, **OPTIONS).neurons["id"].tolist() == ids


def test_segments_of_a_block_are_its_trials():
    parts = [[train([0.2, 0.7]), train([0.6])], [train([0.1]), train([1.6])], [train([1.9]), train([])]]
    trials = nlb.load(block(*parts, side=["l", "r", "l"]), bin_ms=500, condition="side", heldout="none", split="none")
    np.testing.assert_array_equal(trials.counts[:, :, 0], [[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]])
    np.testing.assert_array_equal(trials.counts[:, :, 1], [[0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]])
    assert trials.table["side"].tolist() == ["l", "r", "l"]
    assert trials.table["segment"].tolist() == [0, 1, 2]
    assert (trials.lengths == 4).all()


def test_trials_within_segments_lie_on_the_clock_of_theirs():
    parts = [[train([0.2, 0.7])], [train([0.1, 1.6])]]
    trials = {"start_time": [0.0, 0.0, 1.0], "stop_time": [1.0, 1.0, 2.0], "segment": [0, 1, 1]}
    options = OPTIONS | {"trials": trials}
    times = np.arange(0, 2, 0.1)
    signal = [(times, times), (times, 10 + times)]
    found = nlb.load(block(*parts), behavior={"x": signal}, **options)
    np.testing.assert_array_equal(found.counts[:, :, 0], [[1, 1], [1, 0], [0, 1]])
    np.testing.assert_allclose(found.behavior[:, :, 0], [[0.2, 0.7], [10.2, 10.7], [11.2, 11.7]])
    with pytest.raises(nlb.InputError, match="has 2 segments, .* give the trials a column 'segment' \\(0 to 1\\)"):
        nlb.load(block(*parts), **OPTIONS)
    with pytest.raises(nlb.InputError, match="column 'segment' must hold numbers from 0 to 1"):
        nlb.load(block(*parts), **OPTIONS | {"trials": trials | {"segment": [0, 1, 2]}})
    with pytest.raises(nlb.InputError, match="behavior: give a list with one signal for each of the 2 segments"):
        nlb.load(block(*parts), behavior=(times, times), **options)
    with pytest.raises(nlb.InputError, match="chunk_ms: the recording has several segments"):
        nlb.load(block(*parts), bin_ms=500, chunk_ms=1000)


def test_epochs_of_several_segments_are_one_table():
    made = neo.Block()
    made.segments.extend([sessions.segment(RECORDED), sessions.segment(RECORDED)])
    found = nlb.load(made, bin_ms=50, align="go_time", window_ms=(-100, 300), behavior="velocity")
    one = nlb.load(sessions.segment(RECORDED), bin_ms=50, align="go_time", window_ms=(-100, 300), behavior="velocity")
    np.testing.assert_array_equal(found.counts, np.concatenate([one.counts, one.counts]))
    np.testing.assert_allclose(found.behavior, np.concatenate([one.behavior, one.behavior]), rtol=0, atol=1e-6)


def test_epochs_are_named_by_intervals():
    made = sessions.segment(RECORDED)
    made.epochs.append(neo.Epoch([1.0, 3.0] * pq.s, [0.5, 0.5] * pq.s, name="runs"))
    assert nlb.load(made, bin_ms=50, intervals="runs").n_trials == 2
    assert nlb.load(made, bin_ms=50).n_trials == 10
    with pytest.raises(nlb.InputError, match="intervals: no table of trials 'run'"):
        nlb.load(made, bin_ms=50, intervals="run")
    with pytest.raises(nlb.InputError, match="behavior: no signal 'speed' .*'velocity'"):
        nlb.load(made, bin_ms=50, behavior="speed")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (neo.Segment(), "no spike trains; sort the spikes first"),
        (neo.Block(), "no spike trains"),
        (block([train([0.2])], [train([0.2]), train([0.3])]), r"spike trains of the segments: \[1, 2\]"),
        (block([train([0.2], id=1)], [train([0.2], id=2)]), "segment 1 holds other units than the first"),
    ],
)
def test_what_holds_no_units_or_others_is_told(source, message):
    with pytest.raises(nlb.InputError, match=message):
        nlb.load(source, bin_ms=500)
