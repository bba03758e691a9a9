"""Sortings and analyzers of SpikeInterface: clocks, segments and properties."""

import numpy as np
import pytest
import spikeinterface as si

import nlbprob as nlb
from nlbprob.data.neighbours import spikeinterface
from tests.data.neighbours import sessions

RATE = 1000.0
FRAMES = {"p": np.array([200, 700, 1300]), "q": np.array([600, 1999])}
TRIALS = ([0.0, 1.0], [1.0, 2.0])
OPTIONS = {"trials": TRIALS, "bin_ms": 500, "heldout": "none", "split": "none"}
EXPECTED = [[[1, 0], [1, 1]], [[1, 0], [0, 1]]]


def sorting(*segments):
    return si.NumpySorting.from_unit_dict(list(segments or [FRAMES]), RATE)


def traces(*lengths, start_s=()):
    made = si.NumpyRecording(
        [np.zeros((length, 1), "int16") for length in lengths or [2000]], RATE, t_starts=start_s or None
    )
    made.set_dummy_probe_from_locations(np.zeros((1, 2)))
    return made


def test_frames_become_seconds_of_the_sampling_rate():
    trials = nlb.load(sorting(), **OPTIONS)
    np.testing.assert_array_equal(trials.counts, EXPECTED)
    assert trials.neurons["id"].tolist() == ["p", "q"]
    assert trials.seen.all()


def test_properties_are_columns_of_neurons():
    made = sorting()
    made.set_property("quality", ["good", "mua"])
    made.set_property("location", np.ones((2, 3)))
    trials = nlb.load(made, units="quality == 'good'", **OPTIONS)
    assert trials.neurons["id"].tolist() == ["p"]
    assert "location" not in trials.neurons


def test_a_registered_recording_gives_the_clock_and_what_was_recorded():
    made = sorting()
    made.register_recording(traces(start_s=[10.0]))
    trials = nlb.load(made, **OPTIONS | {"trials": ([10.0, 11.0], [11.0, 12.0])})
    np.testing.assert_array_equal(trials.counts, EXPECTED)
    assert trials.seen.all()
    trials = nlb.load(made, **OPTIONS | {"trials": ([10.0, 11.5], [11.0, 12.5])})
    np.testing.assert_array_equal(trials.seen[:, :, 0], [[True, True], [True, False]])


def test_a_gap_in_the_time_vector_was_not_recorded():
    recording, times = traces(), np.arange(2000) / RATE
    recording.set_times(np.where(times < 1, times, times + 5), with_warning=False)
    np.testing.assert_allclose(spikeinterface.recorded(recording, 0), [[0.0, 1.0], [6.0, 7.0]], rtol=0, atol=1e-9)
    made = sorting()
    made.register_recording(recording)
    trials = nlb.load(made, **OPTIONS | {"trials": ([0.0, 5.5], [1.0, 6.5])})
    np.testing.assert_array_equal(trials.counts[:, :, 0], [[1, 1], [0, 1]])
    np.testing.assert_array_equal(trials.seen[:, :, 0], [[True, True], [False, True]])


def test_segments_have_clocks_of_their_own():
    made = sorting(FRAMES, {"p": np.array([50]), "q": np.array([900])})
    trials = {"start_time": [0.0, 1.0, 0.0], "stop_time": [1.0, 2.0, 1.0], "segment": [0, 0, 1]}
    found = nlb.load(made, **OPTIONS | {"trials": trials})
    np.testing.assert_array_equal(found.counts, [*EXPECTED, [[1, 0], [0, 1]]])
    made.register_recording(traces(2000, 1000))
    again = nlb.load(made, **OPTIONS | {"trials": trials})
    np.testing.assert_array_equal(again.counts, found.counts)
    assert again.seen.all()
    with pytest.raises(nlb.InputError, match="^SpikeInterface NumpySorting: trials: the recording has 2 segments"):
        nlb.load(made, **OPTIONS)


def analyzer(recorded, folder):
    """What this version of SpikeInterface keeps a sorting and its recording in."""
    recording, made = sessions.traces(recorded), sessions.sorting(recorded)
    recording.set_dummy_probe_from_locations(np.zeros((1, 2)))
    if hasattr(si, "create_sorting_analyzer"):
        return si.create_sorting_analyzer(made, recording, sparse=False)
    return si.WaveformExtractor.create(recording, made, folder, mode="memory", allow_unfiltered=True)


def test_an_analyzer_is_its_sorting_on_the_clock_of_its_recording(tmp_path):
    recorded = sessions.draw(seed=6)
    found = nlb.load(analyzer(recorded, tmp_path), trials=recorded.trials, bin_ms=20)
    made = sessions.sorting(recorded)
    made.register_recording(sessions.traces(recorded))
    expected = nlb.load(made, trials=recorded.trials, bin_ms=20)
    np.testing.assert_array_equal(found.counts, expected.counts)
    np.testing.assert_array_equal(found.seen, expected.seen)
    assert found.neurons["area"].tolist() == recorded.neurons["area"]
