"""Trials from arrays and from spike times."""

import numpy as np
import pytest
import quantities as pq

from nlbprob.blocks.inputs import Covariate
from nlbprob.data import Trials
from nlbprob.errors import InputError

COUNTS = np.random.default_rng(0).poisson(1.0, size=(20, 5, 8))


def test_arrays_with_nothing_else_get_ids_and_drawn_splits():
    trials = Trials.from_arrays(COUNTS, 5)
    np.testing.assert_array_equal(trials.counts, COUNTS)
    assert trials.seen.all()
    assert (trials.splits, trials.heldout.sum()) == ({"train": 16, "val": 4}, 2)
    assert trials.source["seeds"] == {"heldout": 0, "split": 0}
    np.testing.assert_array_equal(trials.time_ms, [0, 5, 10, 15, 20])
    assert not Trials.from_arrays(COUNTS, 5, heldout="none").heldout.any()
    assert Trials.from_arrays(COUNTS, 5, split="none").splits == {"train": 20}


def test_columns_say_what_is_held_out_and_which_trials_validate():
    table = {"fold": ["a", "b"] * 10, "side": ["l", "r"] * 10}
    neurons = {"id": list("abcdefgh"), "silenced": [True] + [False] * 7}
    trials = Trials.from_arrays(
        COUNTS.astype(float), 5.0, neurons=neurons, table=table, heldout="silenced", split="fold", condition="side"
    )
    assert trials.splits == {"a": 10, "b": 10}
    np.testing.assert_array_equal(trials.heldout, neurons["silenced"])
    assert trials.condition_labels == ["l", "r"]
    assert trials.source["seeds"] == {}


def test_trials_of_different_lengths_are_padded_unseen():
    lengths = [3, 5, 1]
    counts = [COUNTS[trial, :length] for trial, length in enumerate(lengths)]
    behavior = [np.ones((length, 2)) for length in lengths]
    trials = Trials.from_arrays(counts, 5, behavior=behavior, behavior_name="hand_vel", forward_bins=1)
    np.testing.assert_array_equal(trials.lengths, lengths)
    np.testing.assert_array_equal(trials.counts[0, :3], counts[0])
    assert not trials.counts[2, 1:].any()
    np.testing.assert_array_equal(np.isnan(trials.behavior[:, :, 0]), ~trials.seen[:, :, 0])
    assert trials.forward_bins == 1


def test_inputs_and_missing_entries_are_kept():
    seen = np.random.default_rng(1).random(COUNTS.shape) > 0.3
    counts = np.where(seen, COUNTS, np.nan)
    trials = Trials.from_arrays(counts, 5, seen=seen, inputs={"go": np.ones((20, 5, 1))})
    np.testing.assert_array_equal(trials.counts, np.where(seen, COUNTS, 0))
    np.testing.assert_array_equal(trials.seen, seen)
    assert trials.inputs["go"].shape == (20, 5, 1)


@pytest.mark.parametrize(
    ("counts", "fields", "message"),
    [
        (-COUNTS, {}, "counts: .* is negative"),
        (COUNTS + 0.5, {}, "counts: .* is not whole"),
        (np.where(COUNTS > 2, np.nan, COUNTS), {}, "counts: nan .* is not finite"),
        (np.where(COUNTS > 2, np.inf, COUNTS), {}, "counts: inf .* is not finite"),
        (0 * COUNTS, {}, "counts: all units are silent"),
        (COUNTS[0], {}, "counts: expected three axes"),
        ([COUNTS[0], COUNTS[1, :, :3]], {}, "counts: the trials of a list must be arrays that differ in"),
        (COUNTS, {"seen": np.ones((20, 5, 7), dtype=bool)}, "seen: expected booleans of the shape"),
        (COUNTS, {"neurons": {"id": [1, 2]}}, "neurons.*expected one value for each of 8"),
        (COUNTS, {"heldout": "silenced"}, "heldout: the units have no column 'silenced'"),
        (COUNTS, {"split": "fold"}, "split: the trials have no column 'fold'"),
        (COUNTS, {"condition": "side"}, "condition: the trials have no column 'side'"),
        (COUNTS, {"neurons": {"heldout": [True] * 8}}, "heldout: 'heldout' holds out all 8 units"),
    ],
)
def test_wrong_arrays_are_named(counts, fields, message):
    with pytest.raises(InputError, match=message):
        Trials.from_arrays(counts, 5, **fields)


def test_no_inputs_may_be_said_by_none():
    assert Trials.from_arrays(COUNTS, 5, inputs=None, behavior=None).inputs == {}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"inputs": ["stim"]}, "from_arrays: inputs is of type list: give arrays by name, inputs={'stimulus': array}"),
        (
            {"inputs": np.ones((20, 5, 1))},
            r"from_arrays: inputs is an array of shape \(20, 5, 1\): give arrays by name",
        ),
        ({"inputs": 3}, r"from_arrays\(inputs=3\): give arrays by name"),
        ({"inputs": {"a": 3}}, r"inputs\['a'\]: is of type int; give an array with the axes trial and time first"),
        ({"inputs": {"a": "stim"}}, r"inputs\['a'\]: is of type str; give an array"),
        ({"inputs": {"a": np.float64(3)}}, r"inputs\['a'\]: is an array of shape \(\); give an array"),
        ({"inputs": {"a": [["x"]]}}, r"inputs\['a'\]: expected numbers, got <U1"),
        ({"inputs": {"a": [np.array(["2020"], "M8")]}}, r"inputs\['a'\]: expected numbers, got datetime64"),
        ({"counts": None}, "counts: is of type NoneType; give an array .*, or a list of arrays, one a trial"),
        ({"counts": "counts"}, "counts: is of type str; give"),
        ({"counts": {"a": COUNTS}}, "counts: is of type dict; give"),
        ({"counts": [[[1, 2], [3]]]}, "counts: trial 0: its entries differ in shape"),
        ({"behavior": 3}, "behavior: is of type int; give an array"),
        ({"behavior": {"x": np.ones((20, 5, 1))}}, "behavior: is of type dict; give an array"),
        ({"seen": True}, "seen: is of type bool; give an array"),
        ({"heldout": [[1], [1, 2]]}, "heldout: its entries differ in shape"),
        ({"table": {"side": [[1], [1, 2]] * 10}}, r"table\['side'\]: its entries differ in shape; give one number"),
        ({"time_ms": "a"}, "time_ms: expected 5 left bin edges"),
    ],
)
def test_other_kinds_than_arrays_are_told(fields, message):
    with pytest.raises(InputError, match=message):
        Trials.from_arrays(**{"counts": COUNTS, "bin_ms": 5} | fields)


def spikes():
    rng = np.random.default_rng(0)
    return [np.sort(rng.uniform(0, 12, size=200)) for _ in range(4)]


START = np.arange(10) * 1.2


def test_spike_times_are_binned_as_a_file_is():
    go = START + 0.3
    times = np.arange(0, 12, 0.01)
    trials = Trials.from_spike_times(
        spikes(),
        START,
        START + 1,
        bin_ms=20,
        table={"go_time": go, "side": ["l", "r"] * 5},
        neurons={"area": list("abab")},
        align="go_time",
        window_ms=(-100, 300),
        forward_ms=100,
        behavior=(times, np.stack([times, -times], axis=1)),
        behavior_name="hand_pos",
        behavior_channels=("x", "y"),
        lag_ms=100,
        condition="side",
    )
    for trial in range(10):
        for unit, of_unit in enumerate(spikes()):
            edges = go[trial] - 0.1 + 0.02 * np.arange(26)
            np.testing.assert_array_equal(trials.counts[trial, :, unit], np.histogram(of_unit, edges)[0])
    assert (trials.n_bins, trials.window_bins, trials.forward_bins) == (25, 20, 5)
    assert (trials.behavior_name, trials.lag_ms, trials.condition) == ("hand_pos", 100.0, ("side",))
    np.testing.assert_allclose(trials.behavior[:, 0, 0], go + 0.005)
    assert trials.source["options"]["align"] == "go_time"


def test_observation_intervals_and_silent_units():
    observed = [[[0.0, 6.0]]] * 3 + [[[0.0, 12.0]]]
    trials = Trials.from_spike_times([*spikes()[:3], []], START, START + 1, bin_ms=50, obs_intervals=observed)
    assert not trials.seen[5:, :, :3].any()
    assert trials.seen[5:, :, 3].all()
    assert not trials.counts[5:].any()
    assert "1 units without a spike: 3" in trials.source["notes"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"spike_times": [[], []]}, "units: all 2 units are silent"),
        ({"spike_times": [[1000.0, 2000.0]]}, "spike_times: every spike lies outside the windows .* both in s"),
        ({"window_ms": (0, 110)}, "window_ms: 110 ms is not a whole number of 50 ms bins"),
        ({"align": "go_time"}, "align: the trials have no column 'go_time'"),
        ({"obs_intervals": [[[0.0, 6.0]]]}, "obs_intervals: 1 entries for 4 units"),
        ({"stop_time": START[:3]}, "table.*stop_time.*expected one value for each of 10"),
        ({"chunk_ms": 100}, "chunk_ms: is for files"),
        ({"colour": 3}, "no data option 'colour'"),
    ],
)
def test_wrong_spike_times_are_named(changes, message):
    given = {"spike_times": spikes(), "start_time": START, "stop_time": START + 1, "bin_ms": 50} | changes
    with pytest.raises(InputError, match=message):
        Trials.from_spike_times(**given)


DATES = np.array(["2020-01-01T10:00:00"] * 10, dtype="datetime64[s]")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"spike_times": [0.1, 0.2]}, "spike_times of unit 0: expected a list of times in s, got a single number"),
        ({"spike_times": ["a"]}, "spike_times of unit 0: expected times in s, got text"),
        ({"spike_times": [["0.1"]]}, "spike_times of unit 0: expected times in s, got text"),
        (
            {"spike_times": [DATES]},
            "spike_times of unit 0: expected times in s, got dates; give seconds from the start",
        ),
        ({"spike_times": [[[0.1], [0.2, 0.3]]]}, "spike_times of unit 0: its entries differ in shape"),
        ({"spike_times": [[0.1, {}]]}, "spike_times of unit 0: expected times in s, and one is of type dict"),
        ({"spike_times": [None]}, "spike_times of unit 0: "),
        ({"spike_times": "a"}, "spike_times: is of type str; give a list"),
        ({"start_time": "a"}, "start_time: expected times in s, got text"),
        ({"start_time": DATES}, "start_time: expected times in s, got dates"),
        ({"start_time": np.ones((2, 2, 2))}, r"start_time: expected a list of times in s, got of shape \(2, 2, 2\)"),
        ({"stop_time": [str(time) for time in START]}, "stop_time: expected times in s, got text"),
        ({"stop_time": DATES}, "stop_time: expected times in s, got dates"),
        ({"behavior": (["a"], [1.0])}, "behavior: times: expected times in s, got text"),
        ({"behavior": ([0.0, 1.0], [[1.0], [1.0, 2.0]])}, "behavior: values: its entries differ in shape"),
        ({"behavior": ([0.0, 1.0], ["a", "b"])}, "behavior 'behavior': expected numbers"),
        ({"obs_intervals": ["a"] * 4}, "obs_intervals of unit 0: expected times in s, got text"),
        ({"obs_intervals": [[0.0, 6.0]] * 4}, r"obs_intervals of unit 0: expected a list of times in s, got of shape"),
        ({"table": 3}, "table: expected columns by name"),
    ],
)
def test_other_kinds_than_times_are_told(changes, message):
    given = {"spike_times": spikes(), "start_time": START, "stop_time": START + 1, "bin_ms": 50} | changes
    with pytest.raises(InputError, match=message):
        Trials.from_spike_times(**given)


def test_values_take_the_place_of_a_columns_name():
    heldout, split = np.arange(8) % 4 == 1, ["train"] * 15 + ["val"] * 5
    trials = Trials.from_arrays(COUNTS, 5, heldout=heldout, split=split)
    np.testing.assert_array_equal(trials.heldout, heldout)
    assert (trials.splits, trials.source["seeds"]) == ({"train": 15, "val": 5}, {})
    np.testing.assert_array_equal(Trials.from_arrays(COUNTS, 5, heldout=heldout.astype(int).tolist()).heldout, heldout)
    spikes = [np.arange(0.05, 10, 0.1 + 0.01 * unit) for unit in range(8)]
    trials = Trials.from_spike_times(
        spikes, np.arange(20) / 2, np.arange(20) / 2 + 0.5, bin_ms=10, heldout=heldout, split=np.array(split)
    )
    np.testing.assert_array_equal(trials.heldout, heldout)
    assert trials.splits == {"train": 15, "val": 5}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"heldout": [1, 5]},
            r"heldout: expected the name of a column, or a boolean for each of the 8 neurons, got list",
        ),
        ({"heldout": np.arange(8)}, r"heldout: .* expected booleans, got int64"),
        ({"heldout": None}, r"heldout: expected the name of a column.*, got NoneType"),
        ({"heldout": list("abcdefgh")}, r"heldout: expected the name of a column, or a boolean for each"),
        ({"split": [True] * 20}, r"split: expected the name of a column, or a name such as 'train' for each of the 20"),
        ({"split": ["train", "val"]}, r"split: expected the name of a column.* of shape \(2,\)"),
    ],
)
def test_values_of_another_kind_are_told_what_is_expected(fields, message):
    with pytest.raises(InputError, match=message):
        Trials.from_arrays(COUNTS, 5, **fields)


def test_rates_that_no_neuron_has_are_noted():
    (note,) = Trials.from_arrays(COUNTS, 0.02).source["notes"]
    assert "Hz on average; are bins 0.02 ms wide, and not s?" in note
    assert Trials.from_arrays(COUNTS, 5).source["notes"] == []


def test_times_with_units_are_those_in_seconds():
    rng = np.random.default_rng(2)
    spikes = [np.sort(rng.integers(0, 8000, 200)) / 1000 for _ in range(3)]
    start, stop = 0.6 * np.arange(10), 0.6 * np.arange(10) + 0.5
    options = {"bin_ms": 10, "heldout": "none", "split": "none"}
    intervals = [np.array([[0.0, 3.0]])] * 3
    wave = np.linspace(0, 8, 4001), np.sin(np.linspace(0, 8, 4001))
    expected = Trials.from_spike_times(spikes, start, stop, obs_intervals=intervals, behavior=wave, **options)

    def ms(values):
        return 1000 * np.asarray(values) * pq.ms

    def duration(values):
        return np.round(1e9 * np.asarray(values)).astype("timedelta64[ns]")

    for unit in (ms, duration):
        found = Trials.from_spike_times(
            list(map(unit, spikes)),
            unit(start),
            unit(stop),
            obs_intervals=list(map(unit, intervals)),
            behavior=(unit(wave[0]), wave[1]),
            **options,
        )
        np.testing.assert_array_equal(found.counts, expected.counts)
        np.testing.assert_array_equal(found.seen, expected.seen)
        np.testing.assert_allclose(found.behavior, expected.behavior, rtol=1e-6)
    with pytest.raises(InputError, match="spike_times of unit 0: is in .*V, not in a unit of time"):
        Trials.from_spike_times([spikes[0] * pq.V, *spikes[1:]], start, stop, **options)


def test_inputs_that_are_not_finite_are_missing():
    stimulus = np.zeros((4, 5, 1))
    stimulus[0, :2, 0] = np.inf, 1e300
    counts = np.ones((4, 5, 3), int)
    trials = Trials.from_arrays(counts, 10, inputs={"stimulus": stimulus}, heldout="none", split="none")
    assert np.isnan(trials.inputs["stimulus"]).sum() == 2
    assert any("inputs['stimulus']: 2 values are infinite" in note for note in trials.source["notes"])
    assert not Covariate("stimulus").design(trials).any()
