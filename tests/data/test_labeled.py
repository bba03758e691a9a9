"""To xarray and back, through memory and through a netCDF file."""

import itertools

import numpy as np
import pytest
import xarray
from hypothesis import given, settings
from hypothesis import strategies as st

from nlbprob.data import Trials
from nlbprob.errors import InputError


def full() -> Trials:
    """Every field filled, with columns whose names collide with each other and with variables."""
    rng = np.random.default_rng(0)
    seen = rng.random((6, 5, 4)) > 0.2
    behavior = rng.normal(size=(6, 5, 2))
    behavior[0, 0] = np.nan
    return Trials(
        counts=rng.poisson(2.0, size=(6, 5, 4)),
        seen=seen,
        bin_ms=5,
        neurons={
            "id": ["a", "b", "c", "d"],
            "heldout": [True, False, False, True],
            "area": list("MMVV"),
            "group": [1, 1, 2, 2],
        },
        table={
            "id": np.arange(6) + 100,
            "split": ["train", "val", "test"] * 2,
            "group": list("xyzxyz"),
            "time": np.arange(6.0),
            "success": [True, False] * 3,
            "left/right": [0.5, np.nan] * 3,
        },
        time_ms=-10 + 5.0 * np.arange(5),
        forward_bins=2,
        condition=("group",),
        behavior=behavior,
        behavior_name="hand_vel",
        lag_ms=100,
        inputs={"go": rng.normal(size=(6, 5, 1)), "target": rng.normal(size=(6, 5, 2))},
        source={"file": "maze.nwb", "notes": ["one", "two"]},
    )


def assert_same(one: Trials, other: Trials) -> None:
    for name in ("counts", "seen", "time_ms"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        assert getattr(one, name).dtype == getattr(other, name).dtype
    for name in ("neurons", "table", "inputs"):
        mine, theirs = getattr(one, name), getattr(other, name)
        assert set(mine) == set(theirs)
        for column, values in mine.items():
            np.testing.assert_array_equal(values, theirs[column])
            assert values.dtype.kind == theirs[column].dtype.kind
    np.testing.assert_array_equal(one.behavior, other.behavior)
    scalars = ("bin_ms", "forward_bins", "condition", "behavior_name", "behavior_channels", "lag_ms", "source")
    assert {name: getattr(one, name) for name in scalars} == {name: getattr(other, name) for name in scalars}


def test_dimensions_and_coordinates_are_named():
    dataset = full().to_xarray()
    assert dataset["counts"].dims == ("trial", "time", "neuron")
    assert dataset["behavior"].dims == ("trial", "time", "channel")
    np.testing.assert_array_equal(dataset["channel"], ["x", "y"])
    np.testing.assert_array_equal(dataset["time"], [-10, -5, 0, 5, 10])
    assert dataset["time"].attrs["units"] == "ms"
    assert dataset["counts"].sel(trial=103, neuron="b").sizes == {"time": 5}
    val = dataset.isel(trial=dataset["split"].values == "val")
    np.testing.assert_array_equal(val["trial"], [101, 104])


def test_round_trip():
    assert_same(full(), Trials.from_xarray(full().to_xarray()))


def test_round_trip_through_netcdf(tmp_path):
    full().to_xarray().to_netcdf(tmp_path / "trials.nc", engine="h5netcdf")
    with xarray.open_dataset(tmp_path / "trials.nc", engine="h5netcdf") as dataset:
        assert_same(full(), Trials.from_xarray(dataset.load()))


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    columns=st.lists(st.sampled_from(["heldout", "split", "counts", "neuron", "x"]), unique=True),
)
def test_round_trip_of_any_trials(seed, columns):
    rng = np.random.default_rng(seed)
    shape = rng.integers(1, 5, size=3)
    extra = {name: rng.integers(9, size=shape[0]) for name in columns if name != "split"}
    trials = Trials(
        counts=rng.integers(0, 10 ** rng.integers(1, 6), size=shape),
        seen=rng.random(shape) > 0.5,
        bin_ms=2.5,
        neurons={"id": np.arange(shape[2]), "heldout": rng.random(shape[2]) > 0.5},
        table={"id": np.arange(shape[0]), "split": ["train"] * shape[0]} | extra,
        time_ms=2.5 * np.arange(shape[1]),
    )
    assert_same(trials, Trials.from_xarray(trials.to_xarray()))


def square():
    """As many trials as bins, neurons and channels, so that no shape says which axis is which."""
    values = np.random.default_rng(0).normal(size=(4, 4, 4))
    counts = np.random.default_rng(1).poisson(1.0, size=(4, 4, 4))
    return Trials.from_arrays(counts, 5.0, behavior=values, inputs={"go": values + 1}, forward_bins=1)


@pytest.mark.parametrize("dims", list(itertools.permutations(("trial", "time", "neuron"))))
def test_dimensions_come_in_any_order(dims):
    for trials in (full(), square()):
        assert_same(Trials.from_xarray(trials.to_xarray().transpose(*dims, ...)), trials)


def test_a_part_of_the_bins_has_the_forward_bins_that_are_among_them():
    dataset = full().to_xarray()
    assert Trials.from_xarray(dataset.isel(time=slice(1, 4))).forward_bins == 1
    assert Trials.from_xarray(dataset.isel(time=slice(0, 3))).forward_bins == 0
    with pytest.raises(InputError, match="forward_bins: 2 leaves no scored bin of 2"):
        Trials.from_xarray(dataset.isel(time=slice(3, 5)))


DAMAGES = {
    "one trial": (lambda d: d.isel(trial=3), r"counts is of \(time, neuron\), not of .* isel\(trial=\[3\]\)"),
    "one channel": (lambda d: d.isel(channel=0), r"behavior is of \(trial, time\)"),
    "a signal of neurons": (lambda d: d.where(d.counts < 2), r"behavior is of \(trial, time, channel, neuron\)"),
    "attributes that are no JSON": (lambda d: d.assign_attrs(trials="{"), "attributes trials, bin_ms are damaged"),
    "attributes that are no table": (lambda d: d.assign_attrs(trials="[3]"), "attributes trials, bin_ms are damaged"),
    "a bin width in words": (lambda d: d.assign_attrs(bin_ms="wide"), "attributes trials, bin_ms are damaged"),
    "no times": (lambda d: d.drop_vars("time"), "dataset: time is missing"),
    "an array": (lambda d: d.counts, "dataset: is an array of shape"),
    "counts": (lambda d: d.counts.values, "dataset: is an array of shape"),
}


@pytest.mark.parametrize(("change", "message"), DAMAGES.values(), ids=DAMAGES)
def test_a_dataset_that_was_changed_is_refused(change, message):
    with pytest.raises(InputError, match=message):
        Trials.from_xarray(change(full().to_xarray()))


def test_another_dataset_is_refused():
    with pytest.raises(InputError, match="seen, trials, bin_ms is missing; hand over what Trials.to_xarray returned"):
        Trials.from_xarray(xarray.Dataset({"counts": ("trial", [1])}))


def test_tables_as_data_frames_are_copies_whose_index_selects():
    trials = full()
    for frame, columns in ((trials.to_dataframe(), trials.table), (trials.neurons_dataframe(), trials.neurons)):
        assert list(frame.columns) == list(columns)
        for name, values in columns.items():
            np.testing.assert_array_equal(frame[name].to_numpy(), values)
    frame = trials.to_dataframe()
    np.testing.assert_array_equal(trials[frame.query("group == 'z' and success").index].table["id"], [102])
    np.testing.assert_array_equal(trials[frame["group"] == "z"].table["id"], [102, 105])
    frame.loc[0, "time"] = 9.0
    assert trials.table["time"][0] == 0.0
    again = trials.replace(table=trials.to_dataframe(), neurons=trials.neurons_dataframe())
    assert_same(again, trials)
