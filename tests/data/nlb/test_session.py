"""Two files on one clock of whole milliseconds."""

import numpy as np
import pandas
import pytest

from nlbprob.data.nlb import read, resample
from nlbprob.data.nlb.part import first_recorded, milliseconds, nanoseconds
from nlbprob.errors import InputError


def test_times_are_those_of_pandas():
    rng = np.random.default_rng(0)
    seconds = np.r_[
        np.arange(20000) / 1000, rng.uniform(0, 7000, 2000), np.round(rng.uniform(0, 7000, 2000), 4), np.nan
    ]
    np.testing.assert_array_equal(nanoseconds(seconds), pandas.to_timedelta(seconds, unit="s").to_numpy())


def test_a_spike_belongs_to_the_millisecond_that_it_opens():
    times = np.array([-0.002, 0.0, 0.0009999, 0.001, 0.0029999999999, 0.0499])
    np.testing.assert_array_equal(milliseconds(times, 40), [0, 0, 1, 3])


def test_edges_of_intervals_are_rounded_inwards():
    intervals = [np.array([[0.0, 9.0]]), np.array([[0.0014, 0.0046], [0.006, 0.008]])]
    recorded = first_recorded(intervals, np.array([False, True]), 10)
    np.testing.assert_array_equal(np.flatnonzero(recorded), [2, 3, 6, 7])
    assert not first_recorded(intervals, np.zeros(2, dtype=bool), 10).any()


def test_the_test_file_comes_first_and_units_are_in_order(write_pair, maze_pair):
    train, test = maze_pair
    session = read(write_pair("mc_maze_small", train, test), "mc_maze_small")
    # The test file has 3100 ms; 50 ms after its last, rounded up to a tenth of a second, is 3200 ms.
    assert session.length_ms == 3200 + round(1000 * train.observed[0][-1, 1])
    np.testing.assert_array_equal(session.neurons["id"], np.sort(train.ids))
    np.testing.assert_array_equal(session.heldout, train.heldout[np.argsort(train.ids)])
    np.testing.assert_array_equal(session.table["id"], np.arange(28))
    np.testing.assert_array_equal(session.table["split"], test.trials["split"] + train.trials["split"])
    np.testing.assert_array_equal(session.table["trial_type"], np.r_[[np.nan] * 4, train.trials["trial_type"]])
    start = session.times["start_time"] / np.timedelta64(1, "s")
    np.testing.assert_allclose(start, np.r_[test.trials["start_time"], 3.2 + train.trials["start_time"]], atol=1e-9)
    for row, unit in enumerate(np.argsort(train.ids)):
        expected = [3200 + np.floor(np.round(1000 * train.spikes[unit], 6))]
        if not train.heldout[unit]:
            spikes = test.spikes[int(np.flatnonzero(test.ids == train.ids[unit])[0])]
            expected.insert(0, np.floor(np.round(1000 * spikes, 6)))
        np.testing.assert_array_equal(session.spikes[row], np.concatenate(expected))
    assert not session.recorded[1, :3200].any()


def test_behavior_is_raw_and_its_channels_are_sorted(write_pair, maze_pair):
    train, test = maze_pair
    session = read(write_pair("mc_maze_small", train, test), "mc_maze_small")
    assert session.channels == ("x", "y")
    at = 3200 + np.rint(1000 * train.series["hand_vel"]["timestamps"]).astype(int)
    np.testing.assert_array_equal(session.behavior[at], train.series["hand_vel"]["data"][:, ::-1])
    assert np.isnan(np.delete(session.behavior, at, axis=0)).all()


def test_missing_columns_and_series_are_named(write_pair, maze_pair, tmp_path):
    train, test = maze_pair
    onset = train.trials.pop("move_onset_time")
    folder = write_pair("mc_maze_small", train, test, tmp_path / "onset")
    with pytest.raises(InputError, match="desc-train.*: trials: no column 'move_onset_time', which mc_maze_small has"):
        read(folder, "mc_maze_small")
    train.trials["move_onset_time"] = onset
    del test.trials["move_onset_time"]
    folder = write_pair("mc_maze_small", train, test, tmp_path / "test")
    with pytest.raises(InputError, match="desc-test.*: trials: no column 'move_onset_time'"):
        read(folder, "mc_maze_small")
    test.trials["move_onset_time"] = test.trials["start_time"] + 0.25
    train.series["hand_pos"] = train.series.pop("hand_vel")
    folder = write_pair("mc_maze_small", train, test, tmp_path / "series")
    with pytest.raises(InputError, match="behavior: no series 'hand_vel', which .* Did you mean 'hand_pos'"):
        read(folder, "mc_maze_small")


def test_a_file_that_is_cut_short_is_named(write_pair, maze_pair):
    folder = write_pair("mc_maze_small", *maze_pair)
    (path,) = folder.rglob("*desc-train*.nwb")
    path.write_bytes(path.read_bytes()[:50000])
    with pytest.raises(InputError, match="desc-train.*: cannot be read .*truncated.*; it is cut short"):
        read(folder, "mc_maze_small")


def test_samples_off_the_clock_are_refused(write_pair, maze_pair):
    train, test = maze_pair
    train.series["hand_vel"]["timestamps"] = train.series["hand_vel"]["timestamps"] + 0.0004
    with pytest.raises(InputError, match="a sample of 'hand_vel' does not lie on a whole millisecond"):
        read(write_pair("mc_maze_small", train, test), "mc_maze_small")


def test_units_of_another_session_are_refused(write_pair, maze_pair, tmp_path):
    train, test = maze_pair
    folder = write_pair("mc_maze_small", train, test.keep_units(np.arange(len(test.ids)) > 0), tmp_path / "fewer")
    with pytest.raises(InputError, match=f"desc-test.*: unit {test.ids[0]}, held in in .*desc-train.*, is missing"):
        read(folder, "mc_maze_small")
    test.ids = test.ids + 1
    test.ids[0] = 7
    folder = write_pair("mc_maze_small", train, test, tmp_path / "other")
    with pytest.raises(InputError, match="is missing; is it another session"):
        read(folder, "mc_maze_small")


def test_bins_must_divide_the_windows(write_pair, timing_pair):
    session = read(write_pair("dmfc_rsg", *timing_pair), "dmfc_rsg")
    assert resample(session, 10.0).window_bins == 150
    for bin_ms in (7, 2.5, 0, -5):
        with pytest.raises(InputError, match=f"bin_ms: {bin_ms:g} ms does not divide the window of 1500 ms"):
            resample(session, bin_ms)


def test_splits_without_trials_are_named(write_pair, timing_pair):
    train, test = timing_pair
    train.trials["split"] = ["train"] * 30
    session = read(write_pair("dmfc_rsg", train, test), "dmfc_rsg")
    with pytest.raises(InputError, match="desc-train.*: no trial is in split val; there are: test, train"):
        session.mask("val")
