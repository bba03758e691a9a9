"""One call for whatever holds a recording: what it says of objects that it cannot take, and of what is missing."""

import pathlib

import h5py
import neo
import numpy as np
import pandas as pd
import pynapple as nap
import pytest
import spikeinterface as si

import nlbprob as nlb
from tests.data import conftest as files

RNG = np.random.default_rng(0)
SPIKES = {unit: np.sort(RNG.uniform(0, 12, 200)) for unit in ("a", "b", "c", "d")}
START = np.arange(10) * 1.2
TRIALS = (START, START + 1)
SUPPORT = nap.IntervalSet(0, 12)
BLOCK = neo.Block()
BLOCK.segments.append(neo.Segment())


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (None, "a recording is a path, .*, not a NoneType"),
        (3, "not a int"),
        (["a.nwb", "b.nwb"], "not a list of str. Load each file, and join the recordings with nlb.stitch"),
        ([neo.Segment()], "not a list of Segment. Hand over the neo Block that holds the segments, or one segment"),
        (BLOCK.segments, "not a ObjectList. Hand over the neo Block that holds the segments"),
        ([BLOCK], "not a list of Block. Load each file, and join the recordings with nlb.stitch"),
        ([pathlib.Path("a.nwb")], "Load each file, and join the recordings"),
        ({0: neo.Segment()}, "spike times of unit 0: expected one list of times in s, got something of type Segment"),
        (np.zeros((3, 4, 5)), "not a ndarray. Counts that are in bins already are taken by Trials.from_arrays"),
        (nap.Ts([0.5, 1.0], time_support=SUPPORT), "not a Ts. Put the spikes of each unit into a TsGroup"),
        (nap.Tsd(t=np.arange(3.0), d=np.arange(3.0)), "not a Tsd. Put the spikes"),
        (nap.IntervalSet(0, 1), "not a IntervalSet"),
        (si.NumpyRecording([np.zeros((10, 1))], 10.0), "Traces must be spike sorted first"),
        (nlb.Trials.from_arrays(np.ones((5, 2, 3)), 5), "These are Trials already"),
        ({}, "no units; give the spike times"),
        ([], "no units; give the spike times"),
        ({"a": ["x"]}, "spike times of unit a: expected one list of times in s, got <U1"),
        ({0: [1.0, 2.0], 1: [[1.0, 2.0], [3.0]]}, "unit 1: holds lists that differ in length"),
        ({0: np.array(["2020-01-01"], dtype="M8[s]")}, "unit 0: holds dates; hand over seconds"),
        ({0: [1.0, np.nan]}, "unit 0 has a spike at a time that is not finite"),
        ({0: np.ones(3, dtype=complex)}, "unit 0: expected one list of times in s, got complex128"),
        ({(0, 1): [1.0], (0, 2): [2.0]}, r"ids of units: expected whole numbers or strings, got \(0, 1\)"),
        (pd.DataFrame({"time": [0.1]}), r"a data frame needs a column spike_times, .* it has \['time'\]"),
        ({"a": [], "b": []}, "all 2 units are silent"),
    ],
)
def test_what_cannot_be_taken_is_told(source, message):
    with pytest.raises(nlb.InputError, match=message):
        nlb.load(source, trials=TRIALS, bin_ms=20)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trials": None}, r"no trials; hand them over \(trials=.* or cut the recording into pieces \(chunk_ms"),
        ({"trials": "trials"}, "trials: takes a table; a table 'trials' inside the recording is named by intervals"),
        ({"trials": 3}, "trials: takes a table with columns start_time and stop_time in s.*; got int"),
        ({"trials": {"start_time": START}}, "trials: no column 'stop_time'"),
        ({"trials": {"onset_time": START, "stop_time": START}}, "trials: no column 'start_time'"),
        ({"trials": [START, START + 1]}, r"\(starts, stops\), as a tuple; got float64 of shape \(2, 10\)"),
        ({"trials": (START, START[:3])}, "trials: 10 starts and 3 ends"),
        ({"trials": ([], [])}, "trials: 0 starts and 0 ends"),
        ({"trials": (1000 * START + 1000, 1000 * START + 2000)}, "both in s"),
        ({"chunk_ms": 100}, "chunk_ms: trials are given"),
        ({"neurons": {"area": ["x"] * 3}}, "neurons: 'area' has 3 values for 4 units"),
        ({"neurons": {"area": "x"}}, "neurons: 'area' has 0 values for 4 units"),
        ({"neurons": {"id": ["a", "b", "c"], "area": ["x"] * 3}}, "neurons: no row for unit d"),
        ({"neurons": pd.DataFrame({"area": list("wxyz")}, index=list("abce"))}, "neurons: no row for unit d"),
        ({"neurons": 3}, "neurons: takes a table, one row a unit; got int"),
        ({"behavior": "velocity"}, "behavior: there is no signal 'velocity' beside the spikes"),
        ({"behavior": 3}, r"behavior: takes \(times in s, .*; got int"),
        ({"behavior": (START, START[:3])}, "behavior 'behavior': expected numbers .* one time a sample"),
        ({"behavior": pd.DataFrame({"x": START})}, "behavior: the frame's index counts its rows"),
        ({"dataset": "mc_maze"}, "dataset: mc_maze is read from a folder, not from a dict"),
        (
            {
                "trials": {"start_time": START, "stop_time": START + 1, "licks": [[1.0]] * 9 + [[]]},
                "condition": "licks",
            },
            "condition: the trials column 'licks': holds lists that differ in length",
        ),
        ({"align": "go"}, "align: the trials have no column 'go'"),
    ],
)
def test_what_is_missing_or_wrong_beside_the_spikes_is_told(changes, message):
    with pytest.raises(nlb.InputError, match=message):
        nlb.load(SPIKES, **({"trials": TRIALS, "bin_ms": 20} | changes))


@pytest.mark.parametrize("missing", [np.ma.masked, None, np.nan, pd.NA], ids=str)
def test_a_trial_without_a_time_is_left_out_and_the_others_keep_theirs(missing):
    start, stop = START.tolist(), (START + 1).tolist()
    first, last = [missing, *start[1:]], [*stop[:-1], missing]
    if missing is np.ma.masked:
        first, last = np.ma.array(start, mask=start[0] == START), np.ma.array(stop, mask=start[-1] == START)
    whole = nlb.load(SPIKES, trials=TRIALS, bin_ms=20, split="none", heldout="none")
    for trials in ((first, last), pd.DataFrame({"start": first, "stop": last}), {"start_time": first, "end": last}):
        found = nlb.load(SPIKES, trials=trials, bin_ms=20, split="none", heldout="none")
        np.testing.assert_array_equal(found.table["id"], np.arange(1, 9))
        np.testing.assert_array_equal(found.counts, whole.counts[1:-1])
        assert any("2 trials left out, without a time" in note for note in found.source["notes"])


def test_a_sample_without_a_time_is_left_out_and_the_others_keep_theirs():
    times = np.arange(0, 12, 0.01)
    masked = np.ma.array(times, mask=np.arange(1200) % 10 == 3)
    found = nlb.load(SPIKES, trials=TRIALS, bin_ms=20, behavior=(masked, 5 * times))
    whole = nlb.load(SPIKES, trials=TRIALS, bin_ms=20, behavior=(times, 5 * times))
    np.testing.assert_allclose(found.behavior, whole.behavior, atol=0.06)
    assert any("120 of 1200 samples of 'behavior' have no time" in note for note in found.source["notes"])


def test_a_part_of_a_file_is_told_from_the_file(example_nwb):
    with h5py.File(example_nwb) as file:
        for part in (file["units"], file["units/spike_times"]):
            with pytest.raises(
                nlb.InputError, match=r"is a part of a file.*; hand over the whole file, group.file, or"
            ):
                nlb.load(part, bin_ms=20)


def test_messages_say_which_object_they_are_about():
    group = nap.TsGroup({0: nap.Ts(SPIKES["a"])}, time_support=SUPPORT)
    with pytest.raises(nlb.InputError, match="^pynapple TsGroup: no trials"):
        nlb.load(group, bin_ms=20)


def test_trials_neurons_and_behavior_may_come_beside_a_file(example_nwb):
    recipe = files.example()
    neurons = pd.DataFrame({"layer": np.arange(8)}, index=np.arange(18, 10, -1))
    signal = (np.arange(0, 7.2, 0.01), np.arange(720.0))
    trials = {"start": [0.6, 3.0, 4.8], "end": [1.0, 3.4, 5.2], "kind": ["p", "q", "p"]}
    found = nlb.load(
        example_nwb, trials=trials, neurons=neurons, behavior={"ramp": signal}, bin_ms=50, condition="kind"
    )
    np.testing.assert_array_equal(found.neurons["layer"], np.arange(8)[::-1])
    np.testing.assert_array_equal(found.neurons["area"], recipe.units["area"])
    assert (found.behavior_name, found.condition_labels, found.n_bins) == ("ramp", ["p", "q"], 8)
    np.testing.assert_allclose(found.behavior[:, 0, 0], [62, 302, 482])
    for trial, start in enumerate(trials["start"]):
        edges = start + 0.05 * np.arange(9)
        for unit, times in enumerate(recipe.spikes):
            np.testing.assert_array_equal(found.counts[trial, :, unit], np.histogram(times, edges)[0])
    assert found.source["file"] == str(example_nwb)


def test_a_file_that_pynapple_opened_is_read_as_the_file(example_nwb):
    opened = nap.load_file(str(example_nwb))
    found, expected = nlb.load(opened, bin_ms=50, behavior="hand_vel"), nlb.load(example_nwb, bin_ms=50)
    np.testing.assert_array_equal(found.counts, expected.counts)
    assert found.neurons["area"].tolist() == expected.neurons["area"].tolist()
    opened.close()


def test_the_benchmark_leaves_nothing_to_hand_over(tmp_path):
    for beside in ({"trials": TRIALS}, {"neurons": {"area": ["x"]}}):
        with pytest.raises(nlb.InputError, match="trials, neurons: the benchmark fixes them for mc_maze"):
            nlb.load(tmp_path, dataset="mc_maze", bin_ms=5, **beside)
    with pytest.raises(nlb.InputError, match="behavior: the benchmark fixes it"):
        nlb.load(tmp_path, dataset="mc_maze", bin_ms=5, behavior=(START, START))


def test_options_of_a_recording_in_memory_are_kept_as_text():
    import json

    found = nlb.load(SPIKES, trials=TRIALS, bin_ms=20, behavior=(np.arange(0, 12, 0.01), np.arange(1200)))
    assert json.loads(json.dumps(found.source))["options"]["behavior"] == "behavior"
    assert found.source["file"] is None
