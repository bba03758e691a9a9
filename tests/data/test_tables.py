"""Columns from dicts, DataFrames, structured and masked arrays: what is missing is missing, whatever held it."""

import datetime
import itertools

import numpy as np
import pandas as pd
import pytest
import xarray

from nlbprob.data import Trials
from nlbprob.data.checks import whole
from nlbprob.data.tables import as_column
from nlbprob.errors import InputError

COUNTS = np.random.default_rng(0).poisson(0.5, (4, 6, 3))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2, 3], [1, 2, 3]),
        ([1, None, 3], [1.0, np.nan, 3.0]),
        ([1.5, np.nan, None], [1.5, np.nan, np.nan]),
        ([True, False, True], [True, False, True]),
        ([True, None, False], [1.0, np.nan, 0.0]),
        (["a", None, "b"], ["a", "", "b"]),
        (["a", np.nan, "b"], ["a", "", "b"]),
        (np.array([b"a", b"m\xfc", b""]), ["a", "m\\xfc", ""]),
        (np.array([b"a", "b", None], dtype=object), ["a", "b", ""]),
        (pd.array([1, None, 3], dtype="Int64"), [1.0, np.nan, 3.0]),
        (pd.array([1, 2, 3], dtype="Int64"), [1, 2, 3]),
        (pd.array([True, None, False], dtype="boolean"), [1.0, np.nan, 0.0]),
        (pd.array(["x", None, "y"], dtype="string"), ["x", "", "y"]),
        (pd.Series(["x", pd.NA, "y"]), ["x", "", "y"]),
        (pd.Series(["x", None, "y"], dtype="category"), ["x", "", "y"]),
        (pd.Series([1, 2, 1], dtype="category"), [1, 2, 1]),
        (pd.Series(pd.to_datetime(["2020-01-02", None, "2020-01-03"])), ["2020-01-02", "", "2020-01-03"]),
        (pd.Series([datetime.date(2020, 1, 2), pd.NaT, None]), ["2020-01-02", "", ""]),
        (np.array([1500, "NaT", 0], dtype="m8[ms]"), [1.5, np.nan, 0.0]),
        (np.ma.array([1, 2, 3], mask=[0, 1, 0]), [1.0, np.nan, 3.0]),
        (np.ma.array([1.0, 2.0, 3.0], mask=[0, 0, 1]), [1.0, 2.0, np.nan]),
        (np.ma.array(["a", "b", "c"], mask=[1, 0, 0]), ["", "b", "c"]),
        (np.ma.array([True, True, False], mask=[1, 0, 0]), [np.nan, 1.0, 0.0]),
        (np.ma.array(["a", "b", None], mask=[1, 0, 0], dtype=object), ["", "b", ""]),
        (np.array([[1], [2], [3]]), [1, 2, 3]),
        (np.array([[1, 2, 3]]), [1, 2, 3]),
        (["a\x1b[2J", "b\n", "\u202ec"], ["a\\x1b[2J", "b\\n", "\\u202ec"]),
    ],
)
def test_a_column_is_what_its_entries_say(values, expected):
    column = as_column(values, 3, "x")
    expected = np.array(expected)
    assert column.dtype.kind == expected.dtype.kind
    if expected.dtype.kind == "U" and column[0].startswith("2020"):
        column = np.array([text[:10] for text in column])
    np.testing.assert_array_equal(column, expected)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1, "a", 2.0], "x: expected numbers or strings, found 1; make the column all one type"),
        ([{}, {}, {}], "x: expected numbers or strings, found {}"),
        (np.zeros(3, complex), "x: expected numbers, booleans or strings, got complex128; leave the column out"),
        (np.zeros((3, 2)), r"x: expected one value for each of 3, got shape \(3, 2\)"),
        ([1, 2], r"x: expected one value for each of 3, got shape \(2,\)"),
    ],
)
def test_other_columns_are_refused(values, message):
    with pytest.raises(InputError, match=message):
        as_column(values, 3, "x")


def test_tables_come_as_data_frames():
    frame = pd.DataFrame(
        {"side": ["left", None] * 2, "split": ["train", "val"] * 2, "licks": [[0.1], [], [0.2], [0.3, 0.4]]},
        index=pd.Index([10, 11, 12, 13], name="id"),
    )
    units = pd.DataFrame({"heldout": [True, False, False], "depth": pd.array([1, None, 3], dtype="Int64")})
    trials = Trials.from_arrays(COUNTS, 20, table=frame, neurons=units, condition="side")
    assert trials.table["id"].tolist() == [10, 11, 12, 13]
    assert trials.condition_labels == ["left"]
    assert trials.splits == {"train": 2, "val": 2}
    assert "licks" not in trials.table
    assert trials.heldout.tolist() == [True, False, False]
    np.testing.assert_array_equal(trials.neurons["depth"], [1, np.nan, 3])
    assert trials.replace(table=frame).table["side"].tolist() == ["left", "", "left", ""]


def test_tables_come_as_structured_arrays():
    table = np.array([(1, "a"), (2, "b"), (3, "a"), (4, "b")], dtype=[("id", int), ("side", "U1")])
    trials = Trials.from_arrays(COUNTS, 20, table=table, condition="side")
    assert trials.condition_labels == ["a", "b"]
    assert trials.table["id"].tolist() == [1, 2, 3, 4]


def test_spike_times_take_data_frames():
    frame = pd.DataFrame({"start_time": [0.0, 1.0], "side": ["a", "b"]})
    trials = Trials.from_spike_times(
        [[0.05, 0.1, 1.2], [0.3]], frame["start_time"], [1.0, 2.0], bin_ms=100, table=frame, condition="side"
    )
    assert trials.counts[:, :, 0].sum(axis=1).tolist() == [2, 1]
    assert trials.condition_labels == ["a", "b"]


@pytest.mark.parametrize("table", [[1, 2], "side", 3])
def test_what_is_no_table_is_told(table):
    with pytest.raises(InputError, match="table: expected columns by name, as a dict or a DataFrame, got"):
        Trials.from_arrays(COUNTS, 20, table=table)


def test_an_id_that_is_missing_is_told():
    with pytest.raises(InputError, match="table\\['id'\\]: 1 are missing; give each row an id"):
        Trials.from_arrays(COUNTS, 20, table={"id": ["a", "b", None, "d"]})


def test_masked_counts_are_unseen():
    mask = np.random.default_rng(1).uniform(size=COUNTS.shape) < 0.2
    damaged = np.where(mask, -7, COUNTS)
    trials = Trials.from_arrays(np.ma.array(damaged, mask=mask), 20)
    np.testing.assert_array_equal(trials.seen, ~mask)
    np.testing.assert_array_equal(trials.counts, np.where(mask, 0, COUNTS))
    listed = Trials.from_arrays([np.ma.array(damaged[k, : 3 + k], mask=mask[k, : 3 + k]) for k in range(4)], 20)
    own = np.arange(6) < np.arange(3, 7)[:, None]
    np.testing.assert_array_equal(listed.seen, ~mask & own[:, :, None])
    replaced = trials.replace(counts=np.ma.array(COUNTS, mask=~mask))
    assert not replaced.seen.any()
    np.testing.assert_array_equal(Trials.from_arrays(np.ma.array(COUNTS), 20).counts, COUNTS)


def test_masked_behavior_is_missing_and_masked_seen_is_unseen():
    values = np.ma.array(np.ones((4, 6, 2)), mask=np.arange(2) == 1 + np.zeros((4, 6, 1)))
    seen = np.ma.array(np.ones(COUNTS.shape, dtype=bool), mask=COUNTS == 0)
    trials = Trials.from_arrays(COUNTS, 20, behavior=values, seen=seen, inputs={"go": values})
    assert np.isnan(trials.behavior[..., 1]).all()
    assert (trials.behavior[..., 0] == 1).all()
    np.testing.assert_array_equal(trials.seen, COUNTS > 0)


def test_masked_spikes_and_times_are_left_out():
    spikes = [np.ma.array([0.05, 0.15, 0.25], mask=[0, 1, 0]), np.array([0.3])]
    start = np.ma.array([0.0, 0.5, 1.0], mask=[0, 0, 1])
    signal = np.arange(0, 1, 0.1), np.ma.array(np.ones(10), mask=np.arange(10) == 2)
    trials = Trials.from_spike_times(spikes, start, [0.5, 1.0, 1.5], bin_ms=100, behavior=signal, heldout="none")
    assert trials.counts[0, :, 0].tolist() == [1, 0, 1, 0, 0]
    assert trials.table["id"].tolist() == [0, 1]
    assert np.isnan(trials.behavior[0, :, 0]).tolist() == [False, False, True, False, False]


def test_numpy_numbers_and_paths_in_what_is_kept_become_pythons(tmp_path):
    trials = Trials.from_arrays(
        COUNTS, np.float64(20), forward_bins=np.int64(2), seed=np.int64(5), lag_ms=np.float64(1)
    )
    again = Trials.from_xarray(trials.to_xarray())
    assert again.source == trials.source
    assert type(again.forward_bins) is int
    source = {"file": tmp_path, "numbers": np.arange(2), "one": np.float64(0.5), "notes": ["a\x1b[2J"]}
    kept = trials.replace(source=source).source
    assert kept == {"file": str(tmp_path), "numbers": [0, 1], "one": 0.5, "notes": ["a\\x1b[2J"]}
    with pytest.raises(InputError, match=r"forward_bins: 1.5 is not a whole number"):
        whole(1.5, "forward_bins")


def test_counts_that_became_nan_in_a_dataset_are_unseen():
    trials = Trials.from_arrays(COUNTS, 20, table={"side": list("abab")})
    dataset = trials.to_xarray()
    again = Trials.from_xarray(dataset.where(dataset["counts"] > 0))
    np.testing.assert_array_equal(again.seen, COUNTS > 0)
    np.testing.assert_array_equal(again.counts, COUNTS)


def test_names_of_channels_and_columns_hold_no_control_characters():
    trials = Trials.from_arrays(
        COUNTS,
        20,
        table={"si\x1bde": list("abab")},
        behavior=np.ones((4, 6, 1)),
        behavior_channels=["\x1b[2J"],
        behavior_name="hand\x07",
    )
    assert trials.behavior_channels == ("\\x1b[2J",)
    assert trials.behavior_name == "hand\\x07"
    assert "si\\x1bde" in trials.table


def test_columns_and_signals_of_another_byte_order_are_turned_into_this_machines():
    signal = np.random.default_rng(0).normal(size=(4, 6, 2))
    trials = Trials.from_arrays(
        COUNTS.astype(">i4"),
        5.0,
        table={"x": np.arange(4).astype(">i4"), "y": np.arange(4).astype(">f8"), "z": np.array(list("abcd"), ">U1")},
        behavior=signal.astype(">f8"),
        inputs={"go": signal.astype(">f4")},
    )
    arrays = [*trials.table.values(), trials.behavior, trials.inputs["go"], trials.counts]
    assert all(array.dtype.isnative for array in arrays)
    np.testing.assert_array_equal(trials.behavior, signal)
    assert trials.to_dataframe().query("x > 1 and y < 3")["z"].tolist() == ["c"]


def test_numbers_in_arrays_of_objects_are_numbers():
    signal = np.random.default_rng(0).normal(size=(4, 6, 2))
    held = signal.astype(object)
    held[0, 0, 0], held[1, 2, 1] = None, pd.NA
    trials = Trials.from_arrays(COUNTS.astype(object), 5.0, behavior=held, inputs={"go": signal.astype(object)})
    np.testing.assert_array_equal(trials.counts, COUNTS)
    np.testing.assert_array_equal(trials.inputs["go"], signal)
    signal[0, 0, 0] = signal[1, 2, 1] = np.nan
    np.testing.assert_array_equal(trials.behavior, signal)
    with pytest.raises(InputError, match="behavior: expected numbers"):
        Trials.from_arrays(COUNTS, 5.0, behavior=signal.astype(str).astype(object))


def test_named_axes_are_believed_and_not_their_order():
    axes = ("trial", "time", "neuron")
    counts = xarray.DataArray(np.random.default_rng(0).poisson(0.5, (4, 4, 4)), dims=axes)
    signal = xarray.DataArray(np.random.default_rng(1).normal(size=(4, 4, 4)), dims=("trial", "time", "channel"))
    seen = counts < 2
    wanted = Trials.from_arrays(counts.values, 5.0, seen=seen.values, behavior=signal.values)
    for order in itertools.permutations(axes):
        turned = signal.transpose(*order[:2], "channel") if "neuron" not in order[:2] else signal.T
        found = Trials.from_arrays(counts.transpose(*order), 5.0, seen=seen.transpose(*order), behavior=turned)
        for name in ("counts", "seen", "behavior"):
            np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))


def test_a_slice_counts_positions():
    trials = Trials.from_arrays(COUNTS, 5.0)
    assert len(trials[1:3]) == 2
    with pytest.raises(InputError, match="^trials: none of the 4 trials is selected; choose at least one.$"):
        trials[3:3]
    for chosen in (slice("a", "b"), slice(0.0, 2.0), slice(0, 2, 0)):
        with pytest.raises(InputError, match=r"trials\[slice\(.*\)\]: .*; a slice counts positions, from 0 to 4"):
            trials[chosen]
