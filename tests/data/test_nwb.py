"""From files to Trials: against the textbook, option by option, and every bad input."""

import dataclasses
import json
import shutil
import subprocess
import sys

import h5py
import numpy as np
import pytest

from nlbprob.data import load
from nlbprob.errors import InputError


def histogram(spikes, start, bins, bin_s):
    """Counts [trial, time, neuron] of bins of one width from each start, by np.histogram."""
    edges = [first + bin_s * np.arange(bins + 1) for first in start]
    return np.stack([[np.histogram(times, edge)[0] for times in spikes] for edge in edges]).transpose(0, 2, 1)


def test_counts_columns_and_source(example_nwb, recipe):
    trials = load(example_nwb, bin_ms=10, condition=["side", "contrast"])
    np.testing.assert_array_equal(trials.counts, histogram(recipe.spikes, recipe.trials["start_time"], 50, 0.01))
    assert trials.seen.all()
    for name, values in recipe.units.items():
        np.testing.assert_array_equal(trials.neurons[name], values)
    for name, values in recipe.trials.items():
        np.testing.assert_array_equal(trials.table[name], values)
    assert trials.splits == {"train": 8, "val": 4}
    assert len(trials.condition_labels) == 6
    assert trials.behavior is None
    assert trials.source["file"] == str(example_nwb)
    assert trials.source["options"]["condition"] == ["side", "contrast"]
    assert trials.source["seeds"] == {}
    assert trials.source["notes"] == ["1 units without a spike: 14"]
    assert json.loads(json.dumps(trials.source)) == trials.source


def test_what_a_file_says_of_its_recording(example_nwb, tmp_path):
    assert load(example_nwb, bin_ms=10).source["session"] == {"description": "a session"}
    told = tmp_path / "told.nwb"
    shutil.copy(example_nwb, told)
    with h5py.File(told, "r+") as file:
        del file["session_description"]
        file["session_description"] = "reaches\n\x1b[2J" + 400 * "a"
        file["general/lab"] = "a lab"
    session = load(told, bin_ms=10).source["session"]
    assert session["description"].startswith(r"reaches \x1b[2Jaaa")
    assert len(session["description"]) == 300
    assert session["lab"] == "a lab"


def test_align_window_forward_and_lag(write_nwb, recipe):
    recipe.observed = None
    trials = load(
        write_nwb(recipe),
        bin_ms=20,
        align="go_time",
        window_ms=(-100, 200),
        forward_ms=100,
        behavior="hand_vel",
        lag_ms=40,
    )
    start = recipe.trials["go_time"] - 0.1
    np.testing.assert_array_equal(trials.counts, histogram(recipe.spikes, start, 20, 0.02))
    np.testing.assert_allclose(trials.time_ms, -100 + 20 * np.arange(20))
    assert (trials.window_bins, trials.forward_bins, trials.behavior_channels) == (15, 5, ("x", "y"))
    samples = recipe.series["hand_vel"]["data"]
    first = np.round(100 * (start + 0.04)).astype(int)
    # Two samples a bin, and the file ends after 720 of them.
    for trial in range(11):
        expected = samples[first[trial] : first[trial] + 40].reshape(20, 2, 2).mean(axis=1)
        np.testing.assert_allclose(trials.behavior[trial], expected)


def test_trials_of_different_lengths_are_padded_and_tails_reported(write_nwb, recipe):
    recipe.trials["stop_time"] = recipe.trials["start_time"] + np.where(np.arange(12) == 5, 0.237, 0.5)
    trials = load(write_nwb(recipe), bin_ms=10, behavior="hand_vel")
    np.testing.assert_array_equal(trials.lengths, np.where(np.arange(12) == 5, 23, 50))
    assert not trials.counts[5, 23:].any()
    assert np.isnan(trials.behavior[5, 23:]).all()
    np.testing.assert_array_equal(trials.behavior[5, :23], recipe.series["hand_vel"]["data"][300:323])
    assert any("1 trials end in less than a bin of 10 ms (up to 7 ms)" in note for note in trials.source["notes"])


def test_bins_outside_obs_intervals_are_unseen_by_unit(write_nwb, recipe):
    recipe.observed = [np.array([[0.0, 1.0], [1.8, 7.0]])] * 4 + [np.array([[0.0, 3.005]])] * 4
    trials = load(write_nwb(recipe), bin_ms=10)
    np.testing.assert_array_equal(trials.seen[1, :, 0], np.arange(50) < 40)
    np.testing.assert_array_equal(trials.seen[:, :, 0].all(axis=1), ~np.isin(np.arange(12), [1, 2, 11]))
    assert trials.seen[:5, :, 4].all()
    assert not trials.seen[5:, :, 4].any()
    assert not trials.counts[~trials.seen].any()


def test_trials_that_were_never_observed_are_left_out(write_nwb, recipe):
    recipe.observed = [np.array([[0.0, 3.0]])] * 8
    trials = load(write_nwb(recipe), bin_ms=10)
    np.testing.assert_array_equal(trials.table["id"], np.arange(100, 105))
    assert any(
        "7 trials left out, without a bin inside obs_intervals: 105, " in note for note in trials.source["notes"]
    )


def test_rows_without_a_split_or_a_time_are_left_out(write_nwb, recipe):
    recipe.trials["split"] = ["train", "none", "test"] * 4
    recipe.trials["go_time"][2] = np.nan
    trials = load(write_nwb(recipe), bin_ms=10, align="go_time", window_ms=[0, 100])
    assert trials.splits == {"test": 3, "train": 4}
    assert "1 trials left out, without a time of go_time: 102" in trials.source["notes"]


def test_windows_that_overlap_another_split_are_noted(example_nwb):
    trials = load(example_nwb, bin_ms=10, window_ms=(0, 700))
    assert any(
        "windows of 11 trials overlap those of another split, by up to 200 ms" in note
        for note in trials.source["notes"]
    )


@pytest.mark.parametrize("module", ["behavior", "ecephys", None])
def test_behavior_is_found_in_any_module_and_in_acquisition(write_nwb, recipe, module):
    trials = load(write_nwb(dataclasses.replace(recipe, module=module)), bin_ms=10, behavior="hand_vel")
    expected = np.stack([recipe.series["hand_vel"]["data"][60 * trial : 60 * trial + 50] for trial in range(12)])
    np.testing.assert_array_equal(trials.behavior, expected)


def test_behavior_with_timestamps_gaps_conversion_and_one_column(write_nwb, recipe):
    times = np.round(np.concatenate([start + 0.01 * np.arange(50) for start in recipe.trials["start_time"]]), 6)
    values = np.sin(times)
    values[100:110] = np.nan
    recipe.series = {"speed": {"data": values, "timestamps": times, "conversion": 10.0}}
    trials = load(write_nwb(recipe), bin_ms=10, behavior="speed")
    np.testing.assert_array_equal(trials.behavior[:, :, 0].ravel(), values * 10.0)
    assert trials.behavior_channels == ("ch0",)


def test_behavior_inside_a_container_is_found(write_nwb, recipe, tmp_path):
    from pynwb import NWBHDF5IO
    from pynwb.behavior import Position, SpatialSeries

    path = write_nwb(recipe)
    hand = SpatialSeries(name="hand_pos", data=np.ones((720, 3)), rate=100.0, reference_frame="the table")
    with NWBHDF5IO(path, "a") as io:
        file = io.read()
        file.processing["behavior"].add(Position(spatial_series=hand))
        io.write(file)
    assert load(path, bin_ms=10, behavior="hand_pos").behavior_channels == ("x", "y", "z")


def test_columns_that_are_missing_are_drawn_by_area_and_condition(write_nwb, recipe):
    del recipe.units["heldout"], recipe.trials["split"]
    path = write_nwb(recipe)
    trials = load(path, bin_ms=10, condition="side", seed=4)
    assert trials.heldout.sum() == 2
    assert trials.splits == {"train": 10, "val": 2}
    assert set(trials.split("val").table["side"]) == {"left", "right"}
    assert trials.source["seeds"] == {"heldout": 4, "split": 4}
    assert "heldout drawn with seed 4, for want of a column" in trials.source["notes"]
    again = load(path, bin_ms=20, condition="side", seed=4)
    np.testing.assert_array_equal(again.heldout, trials.heldout)
    np.testing.assert_array_equal(again.table["split"], trials.table["split"])


def test_other_columns_say_what_is_held_out_and_which_trials_validate(write_nwb, recipe):
    recipe.units["silenced"] = [1, 0, 0, 0, 0, 0, 0, 0]
    path = write_nwb(recipe)
    trials = load(path, bin_ms=10, heldout="silenced", split="side")
    np.testing.assert_array_equal(trials.heldout, np.arange(8) == 0)
    assert trials.splits == {"left": 6, "right": 6}
    trials = load(path, bin_ms=10, heldout="none", split="none")
    assert not trials.heldout.any()
    assert trials.splits == {"train": 12}


def test_units_are_selected_by_columns_and_rate(example_nwb):
    trials = load(example_nwb, bin_ms=10, units="area in ['MOs', 'VISp'] and rate > 0")
    np.testing.assert_array_equal(trials.neurons["id"], [11, 12, 13, 18])
    observed_hz = trials.counts.sum(axis=(0, 1)) / 6
    for unit, rate in zip(trials.neurons["id"], observed_hz, strict=True):
        chosen = load(example_nwb, bin_ms=10, units=f"rate < {rate + 1e-6} and rate > {rate - 1e-6}", heldout="none")
        np.testing.assert_array_equal(chosen.neurons["id"], [unit])


def test_another_intervals_table_and_pieces_of_a_recording(write_nwb, recipe):
    recipe.table = "reaches"
    path = write_nwb(recipe)
    assert load(path, bin_ms=10, intervals="reaches").splits == {"train": 8, "val": 4}
    pieces = load(path, bin_ms=10, chunk_ms=500)
    assert pieces.splits == {"train": 12, "val": 3}
    np.testing.assert_allclose(pieces.table["start_time"], 0.5 * np.arange(15), atol=1e-9)
    np.testing.assert_array_equal(
        pieces.counts.sum(axis=(0, 1)), load(path, bin_ms=10, intervals="reaches").counts.sum(axis=(0, 1))
    )


def test_pieces_are_joined_and_scored_apart(write_nwb, recipe):
    recipe.trials["start_time"] = 0.5 * np.arange(12)
    recipe.trials["stop_time"] = 0.5 * np.arange(1, 13)
    recipe.observed = None
    path = write_nwb(recipe)
    pieces, joined = (load(path, bin_ms=10, join=join, behavior="hand_vel") for join in (False, True))
    assert joined.splits == {"train": 1, "val": 1}
    for split, first in (("train", 0), ("val", 2)):
        whole = joined.split(split)
        own = np.isin(np.arange(600), (np.flatnonzero(pieces.table["split"] == split)[:, None] * 50 + np.arange(50)))
        own = np.r_[own, np.zeros(600, dtype=bool)][50 * first :][: joined.n_bins]
        np.testing.assert_array_equal(whole.seen[0], np.repeat(own[:, None], 8, axis=1))
        np.testing.assert_array_equal(whole.counts[0, own], pieces.split(split).counts.reshape(-1, 8))
        np.testing.assert_array_equal(whole.behavior[0, own], pieces.split(split).behavior.reshape(-1, 2))
        assert np.isnan(whole.behavior[0, ~own]).all()


def test_options_from_a_file(example_nwb, tmp_path):
    (tmp_path / "options.toml").write_text('bin-ms = 10\nbehavior = "hand_vel"\nwindow-ms = [0, 100]\n')
    trials = load(example_nwb, bin_ms=20, config=tmp_path / "options.toml")
    assert (trials.bin_ms, trials.n_bins, trials.behavior_name) == (20.0, 5, "hand_vel")


def test_columns_of_references_and_of_many_values_are_left_out(write_nwb, recipe):
    recipe.units["waveform_mean"] = list(np.zeros((8, 3)))
    recipe.trials["target_pos"] = list(np.zeros((12, 2)))
    trials = load(write_nwb(recipe), bin_ms=10)
    assert set(trials.neurons) == {"id", "heldout", "area", "depth"}
    assert "target_pos" not in trials.table


def test_ids_that_repeat_are_numbered(write_nwb, recipe):
    path = write_nwb(recipe)
    with h5py.File(path, "a") as file:
        file["units/id"][1] = 11
    trials = load(path, bin_ms=10)
    np.testing.assert_array_equal(trials.neurons["id"], np.arange(8))
    assert "ids of units repeat: numbered from 0 instead" in trials.source["notes"]


@pytest.mark.parametrize("other", ["2.5.0", "99.0.0"])
def test_a_file_of_an_older_or_newer_schema_reads_without_a_warning(write_nwb, recipe, other):
    path = write_nwb(recipe)
    with h5py.File(path, "a") as file:
        cached = file["specifications/core"]
        (version,) = cached
        cached.move(version, other)
        namespace = cached[other]["namespace"][()].decode().replace(f'"{version}"', f'"{other}"')
        del cached[other]["namespace"]
        cached[other]["namespace"] = namespace
        file.attrs["nwb_version"] = other
    assert load(path, bin_ms=10).n_trials == 12


BAD = {
    "align": ({"align": "move_onset_time"}, r"align: the trials have no column 'move_onset_time'"),
    "align to names": ({"align": "side"}, "align: the column 'side' does not hold times in s"),
    "condition": ({"condition": "sdie"}, "condition: the trials have no column 'sdie'. Did you mean 'side'"),
    "heldout": ({"heldout": "held"}, "heldout: the units have no column 'held'. Did you mean 'heldout'"),
    "heldout no booleans": ({"heldout": "depth"}, "heldout: units column 'depth': expected booleans"),
    "split": ({"split": "fold"}, "split: the trials have no column 'fold'"),
    "behavior": ({"behavior": "hand_vle"}, "behavior: no series 'hand_vle' .* Did you mean 'hand_vel'"),
    "lag": ({"behavior": "hand_vel", "lag_ms": 1e6}, "behavior: 'hand_vel' has no value inside a trial; .* lag_ms"),
    "units": ({"units": "aera == 'MOs'"}, "units: no column 'aera' .* Did you mean 'area'"),
    "no unit": ({"units": "rate > 1000"}, "units: 'rate > 1000' holds for none of the 8 units; widen it"),
    "silent units": ({"units": "id == 14"}, "units: all . units are silent"),
    "window": ({"window_ms": (0, 205)}, "window_ms: 205 ms is not a whole number of 10 ms bins"),
    "forward": ({"window_ms": (0, 200), "forward_ms": 55}, "forward_ms: 55 ms is not a whole number of 10 ms bins"),
    "endless": ({"window_ms": (0, 200), "forward_ms": 1e30}, r"forward_ms: 1e\+30 ms hold more than 1e\+09 bins of 10"),
    "too fine": ({"bin_ms": 1e-9}, "bin_ms: 12 trials of .* bins and 8 units are more than any memory holds"),
    "outside": ({"window_ms": (1e6, 1e6 + 100)}, "obs_intervals: no bin of a trial .* lies inside one; are both in s"),
    "bin": ({"bin_ms": 600}, "bin_ms: no trial lasts a whole bin of 600 ms"),
    "intervals": ({"intervals": "trails"}, "no intervals table 'trails'; .*chunk_ms.* Did you mean 'trials'"),
    "join": ({"join": True, "window_ms": (0, 100)}, "join: whole pieces are joined; leave out"),
}


@pytest.mark.parametrize(("options", "message"), BAD.values(), ids=BAD)
def test_bad_options_name_file_field_and_remedy(example_nwb, options, message):
    with pytest.raises(InputError, match=f"^{example_nwb}: {message}"):
        load(example_nwb, **{"bin_ms": 10} | options)


def without_spikes(recipe):
    recipe.spikes = [np.zeros(0)] * 8


def spikes_elsewhere(recipe):
    recipe.spikes = [times + 1000 for times in recipe.spikes]
    recipe.observed = None


def without_a_split(recipe):
    recipe.trials["split"] = ["none"] * 12


def without_times(recipe):
    recipe.trials["start_time"] = [np.nan] * 12


def without_trials(recipe):
    recipe.trials = None


def all_held_out(recipe):
    recipe.units["heldout"] = [True] * 8


def forward_after_variable_trials(recipe):
    recipe.trials["stop_time"] = recipe.trials["stop_time"] - 0.1 * (np.arange(12) == 3)


CONTENT = {
    "silent": (without_spikes, {}, "units: all . units are silent"),
    "outside": (spikes_elsewhere, {}, "spike_times: every spike lies outside the windows of the trials .* both in s"),
    "zero trials": (without_a_split, {}, "split: none of the 12 trials is in one; see the trials column 'split'"),
    "no times": (without_times, {}, "align: no trial has a time in 'start_time'"),
    "no table": (without_trials, {}, "no intervals table 'trials'; .* There are none"),
    "all held out": (all_held_out, {}, "heldout: 'heldout' holds out all 8 units"),
    "forward": (forward_after_variable_trials, {"forward_ms": 100}, "forward_ms: trials differ in length"),
    "condition of joined": (lambda recipe: None, {"join": True, "condition": "x"}, "condition: the trials have no"),
}


@pytest.mark.parametrize(("change", "options", "message"), CONTENT.values(), ids=CONTENT)
def test_bad_content_names_file_field_and_remedy(write_nwb, recipe, change, options, message):
    change(recipe)
    path = write_nwb(recipe)
    with pytest.raises(InputError, match=f"^{path}: {message}"):
        load(path, bin_ms=10, **options)


def test_a_condition_that_differs_between_joined_pieces_is_named(write_nwb, recipe):
    recipe.trials["start_time"], recipe.trials["stop_time"] = 0.5 * np.arange(12), 0.5 * np.arange(1, 13)
    with pytest.raises(
        InputError, match="condition: the joined trials, whose pieces differ in it, have no column 'side'"
    ):
        load(write_nwb(recipe), bin_ms=10, join=True, condition="side")


def test_a_forward_window_follows_whole_trials_of_one_length(write_nwb, recipe):
    recipe.observed = None
    trials = load(write_nwb(recipe), bin_ms=10, forward_ms=50)
    assert (trials.n_bins, trials.window_bins) == (55, 50)


def test_paths_that_are_no_file_are_named(example_nwb):
    folder = example_nwb.parent
    with pytest.raises(FileNotFoundError, match="sesion.nwb: there is no such file. Did you mean 'session.nwb'"):
        load(folder / "sesion.nwb", bin_ms=10)
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        load(folder / "nowhere" / "session.nwb", bin_ms=10)
    with pytest.raises(InputError, match="is a folder; name a file .*'session.nwb'"):
        load(folder, bin_ms=10)


@pytest.mark.parametrize("part", ["half", "most", "text", "nothing"])
def test_truncated_files_and_others_are_named(example_nwb, tmp_path, part):
    content = example_nwb.read_bytes()
    parts = {"half": content[: len(content) // 2], "most": content[:-50], "text": b"no HDF5", "nothing": b""}
    (tmp_path / "session.nwb").write_bytes(parts[part])
    with pytest.raises(InputError, match="session.nwb: cannot be read .* cut short or of another format"):
        load(tmp_path / "session.nwb", bin_ms=10)


def test_hdf5_files_that_are_no_nwb_are_named(write_nwb, recipe, tmp_path):
    with h5py.File(tmp_path / "other.nwb", "w") as file:
        file["spikes"] = np.arange(3)
    with pytest.raises(InputError, match="other.nwb: an HDF5 file, but no NWB 2 file"):
        load(tmp_path / "other.nwb", bin_ms=10)
    path = write_nwb(recipe)
    with h5py.File(path, "a") as file:
        del file["session_start_time"]
    with pytest.raises(InputError, match="session.nwb: cannot be read .* not valid NWB"):
        load(path, bin_ms=10)


def test_a_file_without_units_is_named(write_nwb, recipe):
    recipe.spikes, recipe.units = [], {}
    path = write_nwb(recipe)
    with pytest.raises(InputError, match=f"^{path}: no units table with spike_times"):
        load(path, bin_ms=10)


def test_an_nwb_file_is_closed_again(write_nwb, recipe):
    path = write_nwb(recipe)
    trials = load(path, bin_ms=10)
    with h5py.File(path, "a") as file:  # HDF5 refuses to write to a file that is open for reading
        file.attrs["touched"] = True
    with h5py.File(path) as file:
        assert file.attrs["touched"]
    np.testing.assert_array_equal(load(path, bin_ms=10).counts, trials.counts)


def test_importing_the_package_imports_no_reader():
    late = "pynwb", "hdmf", "h5py", "pandas", "xarray", "jax"
    code = f"import sys, nlbprob.data; print(sorted(set({late!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
