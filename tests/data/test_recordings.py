"""The real recordings beside the project: every spike arrives, every sample comes through, every split is there."""

import h5py
import numpy as np
import pytest

from nlbprob.data import load

FILES = {
    "maze_large_subset": (5, {"train": 113, "val": 27}, 162, 40, "hand_vel"),
    "bci_baseline": (45, {"train": 209, "val": 51}, 93, 23, "cursor_vel"),
    "steinmetz_s13": (10, {"train": 241, "val": 59}, 684, 171, None),
    "aplysia_jan1312": (50, {"train": 16, "val": 4}, 102, 26, None),
    "aplysia_jan1912": (50, {"train": 18, "val": 4}, 102, 26, None),
}


@pytest.mark.parametrize(("name", "facts"), FILES.items(), ids=FILES)
def test_recordings_arrive_whole(shared, name, facts):
    bin_ms, splits, units, heldout, behavior = facts
    path = shared / "data" / f"{name}.nwb"
    trials = load(path, bin_ms=bin_ms, behavior=behavior)
    assert (trials.splits, trials.n_neurons, trials.heldout.sum()) == (splits, units, heldout)
    with h5py.File(path) as file:
        ends = file["units/spike_times_index"][:].astype(int)
        np.testing.assert_array_equal(trials.counts.sum(axis=(0, 1)), np.diff(ends, prepend=0))
        duration_ms = 1000 * (file["intervals/trials/stop_time"][:] - file["intervals/trials/start_time"][:])
        np.testing.assert_array_equal(trials.lengths, np.round(duration_ms / bin_ms))
        if behavior is not None:
            own = np.arange(trials.n_bins) < trials.lengths[:, None]
            np.testing.assert_array_equal(trials.behavior[own], file[f"processing/behavior/{behavior}/data"][:])
    assert trials.source["notes"] == []


def test_a_wider_bin_sums_the_narrow_ones(shared):
    path = shared / "data" / "maze_large_subset.nwb"
    narrow, wide = load(path, bin_ms=5), load(path, bin_ms=20)
    np.testing.assert_array_equal(wide.counts, narrow.counts.reshape(140, 25, 4, 162).sum(axis=2))


def test_areas_select_units_and_become_coordinates(shared):
    trials = load(shared / "data" / "steinmetz_s13.nwb", bin_ms=10, units='area == "MOs" and rate > 0.5')
    assert set(trials.to_xarray()["area"].values) == {"MOs"}
    assert (trials.counts.sum(axis=(0, 1)) / (300 * 0.4) > 0.5).all()


def test_the_pieces_of_a_recording_join(shared):
    path = shared / "data" / "aplysia_jan1312.nwb"
    pieces, joined = load(path, bin_ms=50), load(path, bin_ms=50, join=True)
    assert joined.splits == {"train": 1, "val": 1}
    for split in ("train", "val"):
        seen = joined.split(split).seen[0, :, 0]
        np.testing.assert_array_equal(
            joined.split(split).counts[0, seen], pieces.split(split).counts.reshape(-1, pieces.n_neurons)
        )


@pytest.mark.parametrize("bin_ms", [5, 20])
def test_spikes_agree_with_the_benchmarks_tools_where_their_grid_is_ours(shared, bin_ms):
    (path,) = (shared / "golden" / "nwb" / "000129").glob("*/*train*.nwb")
    train = load(path, bin_ms=bin_ms, window_ms=(0, 600), forward_ms=200).split("train")
    with h5py.File(shared / "golden" / "expected" / f"mc_rtt-{bin_ms}ms" / "train_input.h5") as file:
        for bins, suffix in ((slice(train.window_bins), ""), (slice(train.window_bins, None), "_forward")):
            for name, neurons in (("heldin", train.heldin), ("heldout", train.heldout)):
                expected = file[f"train_spikes_{name}{suffix}"][:]
                np.testing.assert_array_equal(train.counts[:, bins][:, :, neurons], expected)
