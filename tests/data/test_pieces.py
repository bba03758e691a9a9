"""Cutting a recording into pieces and joining them again."""

import h5py
import numpy as np
import pytest

from nlbprob.data.nwb import load
from nlbprob.data.pieces import cut, join
from nlbprob.data.units import Units
from nlbprob.errors import InputError
from tests.data.conftest import Recipe, write


def table(spans, split, **columns):
    start, stop = np.array(spans, dtype=float).T
    return {"id": np.arange(len(start)) + 5, "start_time": start, "stop_time": stop, "split": np.array(split)} | columns


def test_pieces_of_one_split_become_one_trial():
    joined, windows, own = join(table([(0, 4), (4, 8), (8, 12)], ["train"] * 3), 50)
    np.testing.assert_array_equal(joined["id"], [5])
    np.testing.assert_array_equal(joined["pieces"], [3])
    np.testing.assert_array_equal(joined["stop_time"], [12.0])
    assert windows.bins.tolist() == [240]
    assert own.all()


def test_each_split_of_a_run_reaches_from_its_first_to_its_last_piece_without_the_bins_of_others():
    spans = [(0, 1), (1, 2), (2, 3), (3, 4), (10, 11)]
    joined, windows, own = join(table(spans, ["train", "val", "train", "val", "train"]), 100)
    np.testing.assert_array_equal(joined["split"], ["train", "val", "train"])
    np.testing.assert_array_equal(joined["id"], [5, 6, 9])
    np.testing.assert_array_equal(windows.start, [0, 1, 10])
    np.testing.assert_array_equal(windows.bins, [30, 30, 10])
    for trial, bins in enumerate([[*range(10), *range(20, 30)], [*range(10), *range(20, 30)], [*range(10)]]):
        np.testing.assert_array_equal(np.flatnonzero(own[trial]), bins)


def test_a_bin_that_two_splits_share_belongs_to_neither():
    _, windows, own = join(table([(0, 1.04), (1.04, 2), (2, 3)], ["train", "val", "train"]), 100)
    np.testing.assert_array_equal(windows.start, [0, 1.04])
    np.testing.assert_array_equal(np.flatnonzero(~own[0]), range(10, 20))
    np.testing.assert_array_equal(np.flatnonzero(own[1]), range(9))


def test_a_gap_up_to_half_a_bin_is_none():
    assert len(join(table([(0, 1), (1.04, 2)], ["train"] * 2), 100)[0]["id"]) == 1
    assert len(join(table([(0, 1), (1.06, 2)], ["train"] * 2), 100)[0]["id"]) == 2
    assert join(table([(0, 1), (1.04, 2)], ["train"] * 2), 100)[2].all()


def test_columns_that_are_constant_within_every_trial_stay():
    columns = {"drug": np.array(["a", "a", "b"]), "level": np.array([1, 2, 3])}
    joined, _, _ = join(table([(0, 1), (1, 2), (5, 6)], ["train"] * 3, **columns), 100)
    np.testing.assert_array_equal(joined["drug"], ["a", "b"])
    assert "level" not in joined


def recorded(spikes, observed=None):
    return Units.from_lists({"id": np.arange(1)}, [spikes], [observed])


def test_a_recording_is_cut_from_its_first_moment_to_its_last():
    pieces = cut(recorded([2.0, 3.0], [[1.0, 6.5]]), 2000, 50)
    np.testing.assert_allclose(pieces["start_time"], [1, 3, 5])
    np.testing.assert_allclose(pieces["stop_time"], [3, 5, 6.5])
    np.testing.assert_allclose(cut(recorded([2.0, 3.0]), 500, 50)["stop_time"], [2.5, 3])


def test_what_cannot_be_cut_is_refused():
    with pytest.raises(InputError, match="chunk_ms: 2010 ms is not a whole number of 50 ms bins"):
        cut(recorded([2.0, 3.0]), 2010, 50)
    with pytest.raises(InputError, match="no recording to cut"):
        cut(recorded([]), 2000, 50)


@pytest.mark.parametrize("kind", ["u1", "i1", "i2", "u2", ">i2", "u8", ">f8"])
def test_whole_seconds_of_few_bits_are_joined_as_floats_are(tmp_path, kind):
    rng = np.random.default_rng(0)
    start = np.arange(2.0, 82.0, 4.0)
    recipe = Recipe(
        [np.sort(rng.uniform(0, 90, 900)) for _ in range(4)], trials={"start_time": start, "stop_time": start + 4}
    )
    path = write(tmp_path / "a.nwb", recipe)
    options = {"bin_ms": 10, "join": True, "split": "none", "heldout": "none"}
    wanted = load(path, **options)
    with h5py.File(path, "r+") as file:
        trials = file["intervals/trials"]
        for name in ("start_time", "stop_time"):
            attributes, values = dict(trials[name].attrs), trials[name][:].astype(kind)
            del trials[name]
            trials.create_dataset(name, data=values).attrs.update(attributes)
    found = load(path, **options)
    np.testing.assert_array_equal(found.counts, wanted.counts)
    np.testing.assert_array_equal(found.table["stop_time"], wanted.table["stop_time"])
