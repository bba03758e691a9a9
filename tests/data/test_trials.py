"""The container: what it accepts, what it selects, what it hides."""

import json

import numpy as np
import pytest

from nlbprob.data import Trials
from nlbprob.errors import InputError


def fields(**changes):
    values = {
        "counts": np.random.default_rng(0).poisson(1.0, size=(6, 5, 4)),
        "seen": np.ones((6, 5, 4), dtype=bool),
        "bin_ms": 5,
        "neurons": {"id": np.arange(4) + 10, "heldout": np.arange(4) % 2 == 1, "area": list("abcd")},
        "table": {"id": np.arange(6), "split": ["train", "train", "val"] * 2},
        "time_ms": -10 + 5.0 * np.arange(5),
    }
    return values | changes


def test_counts_take_the_smallest_unsigned_type():
    counts = fields()["counts"]
    assert Trials(**fields()).counts.dtype == np.uint8
    assert Trials(**fields(counts=counts + 300)).counts.dtype == np.uint16
    assert Trials(**fields(counts=counts.astype(float) + 70_000)).counts.dtype == np.uint32
    assert Trials(**fields(counts=counts.astype(np.uint16))).counts.dtype == np.uint16


def test_shape_and_names():
    trials = Trials(**fields(forward_bins=2))
    assert (trials.n_trials, trials.n_bins, trials.n_neurons, trials.window_bins) == (6, 5, 4, 3)
    assert trials.splits == {"train": 4, "val": 2}
    np.testing.assert_array_equal(trials.heldout, [False, True, False, True])
    np.testing.assert_array_equal(trials.heldin, ~trials.heldout)
    text = repr(trials)
    for part in ("4 train", "2 val", "5 bins of 5 ms", "2 forward", "4 neurons", "2 held out"):
        assert part in text


def test_lengths_end_at_the_last_bin_in_which_anything_is_seen():
    seen = np.zeros((6, 5, 4), dtype=bool)
    seen[1, 0, 2] = seen[2, 3, 0] = seen[3, 4] = seen[4, 1] = seen[4, 3] = True
    np.testing.assert_array_equal(Trials(**fields(seen=seen)).lengths, [0, 1, 4, 5, 4, 0])


def test_conditions_are_sorted_joint_values_and_missing_ones_have_none():
    table = fields()["table"] | {"side": list("babaaa"), "contrast": [1.0, 0.5, 1.0, 0.5, np.nan, 1.0]}
    trials = Trials(**fields(table=table, condition=("side", "contrast")))
    assert trials.condition_labels == ["a, 0.5", "a, 1", "b, 1"]
    np.testing.assert_array_equal(trials.condition_index, [2, 0, 2, 0, -1, 1])
    np.testing.assert_array_equal(Trials(**fields()).condition_index, -1)
    assert Trials(**fields()).condition_labels == []


def test_split_keeps_order_and_everything_that_rides_along():
    behavior = np.random.default_rng(1).normal(size=(6, 5, 2))
    inputs = {"go": behavior[:, :, :1]}
    trials = Trials(**fields(behavior=behavior, behavior_name="hand_vel", inputs=inputs, lag_ms=100))
    val = trials.split("val")
    np.testing.assert_array_equal(val.table["id"], [2, 5])
    np.testing.assert_array_equal(val.counts, trials.counts[[2, 5]])
    np.testing.assert_array_equal(val.behavior, behavior[[2, 5]])
    np.testing.assert_array_equal(val.inputs["go"], inputs["go"][[2, 5]])
    assert (val.behavior_channels, val.lag_ms) == (("x", "y"), 100.0)
    np.testing.assert_array_equal(trials.split("train", "val").table["id"], trials.table["id"])


def test_select_by_mask_and_by_index():
    trials = Trials(**fields())
    chosen = trials.select(trials=[3, 1], neurons=np.array([True, False, True, False]))
    np.testing.assert_array_equal(chosen.counts, trials.counts[[3, 1]][:, :, [0, 2]])
    np.testing.assert_array_equal(chosen.neurons["area"], ["a", "c"])
    np.testing.assert_array_equal(chosen.table["id"], [3, 1])


@pytest.mark.parametrize(
    "chosen",
    [
        slice(1, 5, 2),
        slice(None, None, -1),
        [4, 0, -3],
        np.array([3], np.uint8),
        np.array([True, False, False, True, True, False]),
        [False] * 5 + [True],
    ],
    ids=str,
)
def test_brackets_choose_trials_as_numpy_does(chosen):
    behavior = np.random.default_rng(1).normal(size=(6, 5, 2))
    trials = Trials(**fields(behavior=behavior, inputs={"go": behavior[:, :, :1]}))
    some = trials[chosen]
    assert len(some) == some.n_trials == len(trials.counts[chosen])
    for name in ("counts", "seen", "behavior"):
        np.testing.assert_array_equal(getattr(some, name), getattr(trials, name)[chosen])
    for columns, others in ((some.table, trials.table), (some.inputs, trials.inputs)):
        assert columns.keys() == others.keys()
        for name, values in columns.items():
            np.testing.assert_array_equal(values, others[name][chosen])
    np.testing.assert_array_equal(some.neurons["id"], trials.neurons["id"])


def test_a_position_gives_one_trial_and_a_loop_gives_each():
    trials = Trials(**fields())
    assert len(trials) == 6
    for position in (2, np.int64(2), np.uint8(2), -4):
        np.testing.assert_array_equal(trials[position].counts, trials.counts[2:3])
    assert [trial.table["id"].tolist() for trial in trials] == [[identity] for identity in range(6)]


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ("train", r"trials\['train'\]: give positions.*trials.split\('train'\)"),
        ((0, 1), r"trials\[\(0, 1\)\]: give positions.*select\(trials=..., neurons=...\)"),
        (None, r"trials\[None\]: give positions"),
        (6, "whole numbers below 6"),
        (-7, "whole numbers below 6"),
        (1.0, "whole numbers below 6"),
        (True, "a mask of shape"),
        ([True, False], "a mask of shape"),
        (slice(6, 9), "none of the 6 trials is selected"),
    ],
    ids=str,
)
def test_what_cannot_stand_in_brackets_is_named(chosen, message):
    with pytest.raises(InputError, match=message):
        Trials(**fields())[chosen]


def test_no_array_is_made_of_trials_by_accident():
    with pytest.raises(InputError, match="take trials.counts"):
        np.asarray(Trials(**fields()))


def test_hide_heldout_hides_their_entries_in_the_named_splits_and_the_forward_window_everywhere():
    trials = Trials(**fields(forward_bins=2))
    hidden = trials.hide_heldout("val")
    val = trials.table["split"] == "val"
    expected = np.ones(trials.counts.shape, dtype=bool)
    expected[np.ix_(val, np.arange(5), trials.heldout)] = False
    expected[:, 3:] = False
    np.testing.assert_array_equal(hidden.seen, expected)
    np.testing.assert_array_equal(hidden.counts, trials.counts)
    assert not trials.hide_heldout().seen[:, :, trials.heldout].any()
    np.testing.assert_array_equal(trials.hide_forward().seen[:, :3], True)
    assert not trials.hide_forward().seen[:, 3:].any()


def test_arrays_cannot_be_written_and_the_callers_stay_writable():
    given = fields()
    trials = Trials(**given)
    with pytest.raises(ValueError, match="read-only"):
        trials.seen[0] = False
    with pytest.raises(ValueError, match="read-only"):
        trials.table["id"][0] = 7
    given["seen"][0] = True


def test_missing_counts_may_be_nan_where_they_are_unseen():
    given = fields()
    seen = given["seen"].copy()
    seen[0, 2:] = False
    counts = np.where(seen, given["counts"], np.nan)
    np.testing.assert_array_equal(Trials(**given | {"counts": counts, "seen": seen}).counts[0, 2:], 0)


def test_source_is_json():
    assert json.loads(json.dumps(Trials(**fields(source={"notes": ["one"]})).source)) == {"notes": ["one"]}


def bad_count(value):
    counts = fields()["counts"].astype(float)
    counts[1, 2, 3] = value
    return {"counts": counts}


WRONG = {
    "negative": (bad_count(-1), r"counts: -1.0 at trial 1, bin 2, neuron 3 is negative; .*spikes per bin"),
    "negative integer": ({"counts": fields()["counts"] - 9}, "is negative"),
    "fractional": (bad_count(0.5), r"counts: 0.5 at trial 1, bin 2, neuron 3 is not whole; .*not rates"),
    "NaN": (bad_count(np.nan), r"counts: nan at .* is not finite; mark missing entries in `seen`"),
    "infinite": (bad_count(np.inf), "counts: inf at .* is not finite"),
    "too large": (bad_count(2.0**40), "more than 32 bits"),
    "not numbers": ({"counts": np.full((6, 5, 4), "one")}, "counts: expected numbers"),
    "two axes": ({"counts": np.zeros((6, 5)), "seen": np.ones((6, 5), dtype=bool)}, "counts: expected three axes"),
    "no trial": ({"counts": np.zeros((0, 5, 4)), "seen": np.ones((0, 5, 4), dtype=bool)}, "select at least one"),
    "seen of another shape": ({"seen": np.ones((6, 5, 3), dtype=bool)}, "seen: expected booleans of the shape"),
    "seen no booleans": ({"seen": np.ones((6, 5, 4))}, "seen: expected booleans"),
    "no heldout": ({"neurons": {"id": range(4)}}, "neurons: the column 'heldout' is missing"),
    "heldout no booleans": ({"neurons": {"id": range(4), "heldout": list("abcd")}}, "neurons.*expected booleans"),
    "neuron id twice": ({"neurons": {"id": [1, 2, 2, 3], "heldout": [0] * 4}}, r"neurons\['id'\]: 2 comes more than"),
    "trial id twice": ({"table": {"id": [0] * 6, "split": ["a"] * 6}}, r"table\['id'\]: 0 comes more than once"),
    "short column": (
        {"table": {"id": range(6), "split": ["a"] * 5}},
        r"table\['split'\]: expected one value for each of 6",
    ),
    "mixed column": (
        {"table": {"id": range(6), "split": ["a", 1, "b", object(), 2, 3]}},
        "make the column all one type",
    ),
    "split no names": ({"table": {"id": range(6), "split": range(6)}}, r"table\['split'\]: expected names"),
    "condition": ({"condition": ("splt",)}, "condition: no trials column 'splt'. Did you mean 'split'"),
    "time of another length": ({"time_ms": np.zeros(4)}, "time_ms: expected 5 left bin edges"),
    "time of another width": ({"time_ms": np.arange(5) * 6.0}, "5 ms apart"),
    "bin width": ({"bin_ms": 0}, "bin_ms: 0 is no bin width"),
    "forward": ({"forward_bins": 5}, "forward_bins: 5 leaves no scored bin"),
    "behavior": ({"behavior": np.zeros((6, 4, 2))}, r"behavior: expected numbers of shape \(6, 5, channels\)"),
    "channels": ({"behavior": np.zeros((6, 5, 2)), "behavior_channels": ("x",)}, "does not name 2 channels"),
    "inputs": ({"inputs": {"go": np.zeros((6, 5))}}, r"inputs\['go'\]: expected numbers of shape"),
}


@pytest.mark.parametrize(("changes", "message"), WRONG.values(), ids=WRONG)
def test_wrong_fields_are_named_with_a_remedy(changes, message):
    with pytest.raises(InputError, match=message):
        Trials(**fields(**changes))


def test_wrong_selections_are_named():
    trials = Trials(**fields())
    with pytest.raises(InputError, match="no trial is in 'vla'. Did you mean 'val'"):
        trials.split("vla")
    with pytest.raises(InputError, match="no trial is in split 'test'"):
        trials.hide_heldout("test")
    with pytest.raises(InputError, match="trials: none of the 6 trials is selected"):
        trials.select(trials=np.zeros(6, dtype=bool))
    with pytest.raises(InputError, match="a mask of shape"):
        trials.select(neurons=np.ones(5, dtype=bool))
    with pytest.raises(InputError, match="whole numbers below 4"):
        trials.select(neurons=[4])
