"""Data sets as Trials: the same numbers as the tensors, and what of them is seen."""

import json

import h5py
import numpy as np
import pytest

from nlbprob.data import load
from nlbprob.data.nlb import load_dataset, read, resample, targets, train_inputs
from nlbprob.errors import InputError

SPLITS = {
    "mc_maze_small": {"test": 16, "train": 45, "val": 15},
    "mc_rtt": {"test": 12, "train": 36, "val": 12},
    "area2_bump": {"test": 12, "train": 45, "val": 11},
    "dmfc_rsg": {"test": 16, "train": 84, "val": 31},
}


@pytest.mark.parametrize("bin_ms", [5, 20])
@pytest.mark.parametrize("dataset", SPLITS)
def test_counts_and_behavior_are_the_golden_tensors(golden, dataset, bin_ms):
    trials = load(golden / "nwb", dataset=dataset, bin_ms=bin_ms)
    assert trials.splits == SPLITS[dataset]
    assert (trials.bin_ms, trials.forward_bins) == (bin_ms, 200 // bin_ms)
    expected = golden / "expected" / f"{dataset}-{bin_ms}ms"
    split, window = trials.table["split"], trials.window_bins
    for file, prefix, name in (("train_input", "train", "train"), ("eval_input", "eval", "val")):
        with h5py.File(expected / f"{file}.h5") as tensors:
            for part, chosen in (("heldin", trials.heldin), ("heldout", trials.heldout)):
                counts = trials.counts[split == name][:, :, chosen]
                np.testing.assert_array_equal(counts[:, :window], tensors[f"{prefix}_spikes_{part}"])
                if name == "train":
                    np.testing.assert_array_equal(counts[:, window:], tensors[f"train_spikes_{part}_forward"])
            if name == "train" and trials.behavior is not None:
                behavior = trials.behavior[split == name][:, :window]
                np.testing.assert_allclose(behavior, tensors["train_behavior"], atol=1e-5, rtol=1e-5)
    with h5py.File(expected / "test_eval_input.h5") as tensors:
        counts = trials.counts[split == "test"][:, :window, trials.heldin]
        np.testing.assert_array_equal(counts, tensors["eval_spikes_heldin"])
    assert trials.seen[split == "train"].all()
    of_test = trials.seen[split == "test"]
    assert of_test[:, :window, trials.heldin].all()
    # Also where it reaches into the next test trial: in mc_rtt, 600 ms every 700 ms.
    assert not of_test[:, window:].any()
    assert not of_test[:, :, trials.heldout].any()
    assert not trials.counts[~trials.seen & (split == "test")[:, None, None]].any()


def test_what_dmfc_scores_is_what_is_seen(golden):
    trials = load_dataset(golden / "nwb", "dmfc_rsg", 20)
    val = trials.split("val")
    (target,) = targets(resample(read(golden / "nwb", "dmfc_rsg"), 20)).values()
    scored = ~np.isnan(target["eval_spikes_heldout"])
    np.testing.assert_array_equal(val.seen[:, : val.window_bins, val.heldout], scored)
    np.testing.assert_array_equal(
        val.counts[:, : val.window_bins, val.heldout][scored], target["eval_spikes_heldout"][scored]
    )
    np.testing.assert_array_equal(val.table["jitter_bins"], target["eval_jitter"])
    np.testing.assert_array_equal(val.table["scored_end"] - val.table["scored_begin"], scored[:, :, 0].sum(axis=1))
    assert val.seen[:, :, val.heldin].all()
    assert val.seen[:, val.window_bins :].all()


def test_the_phase_decides_the_jitter_and_what_is_evaluated(golden):
    trials = load(golden / "nwb", dataset="dmfc_rsg", bin_ms=20, phase="test")
    both = trials.split("train", "val")
    tensors = train_inputs(resample(read(golden / "nwb", "dmfc_rsg"), 20), "train", "val")
    np.testing.assert_array_equal(both.counts[:, : both.window_bins, both.heldin], tensors["train_spikes_heldin"])
    assert both.seen.all()
    assert not np.array_equal(
        both.table["jitter_bins"],
        load_dataset(golden / "nwb", "dmfc_rsg", 20).split("train", "val").table["jitter_bins"],
    )
    assert not trials.split("test").table["jitter_bins"].any()
    other = load(golden / "nwb", dataset="dmfc_rsg", bin_ms=20, phase="test", seed=1)
    assert not np.array_equal(trials.table["jitter_bins"], other.table["jitter_bins"])


def test_source_loads_the_same_again(write_pair, maze_pair):
    train, test = maze_pair
    train.trials["move_onset_time"][4] = np.nan
    folder = write_pair("mc_maze_small", train, test)
    trials = load(folder, dataset="mc_maze_small", bin_ms=5)
    assert json.loads(json.dumps(trials.source)) == trials.source
    assert trials.source["notes"] == ["1 trials left out, without move_onset_time: 8"]
    assert trials.condition == ("trial_type", "trial_version")
    assert (trials.condition_index[trials.table["split"] == "test"] == -1).all()
    again = load(trials.source["file"], **trials.source["options"])
    np.testing.assert_array_equal(again.counts, trials.counts)
    np.testing.assert_array_equal(again.behavior, trials.behavior)
    assert (trials.time_ms[0], trials.lag_ms, trials.behavior_channels) == (-250, 120, ("x", "y"))


def test_options_that_the_benchmark_fixes_are_refused(write_pair, maze_pair, tmp_path):
    folder = write_pair("mc_maze_small", *maze_pair)
    for options in ({"lag_ms": 50}, {"window_ms": [0, 500]}, {"units": "id > 3"}, {"condition": "trial_type"}):
        (name,) = options
        with pytest.raises(InputError, match=f"{name}: the benchmark fixes it for mc_maze_small"):
            load(folder, dataset="mc_maze_small", bin_ms=5, **options)
    with pytest.raises(InputError, match="phase: only the benchmark's data sets have phases"):
        load(folder, bin_ms=5, phase="val")
    with pytest.raises(InputError, match="phase: 'tets' is neither .* Did you mean 'test'"):
        load(folder, dataset="mc_maze_small", bin_ms=5, phase="tets")
    with pytest.raises(InputError, match="dataset: 'mc_mase' is none of NLB'21"):
        load(folder, dataset="mc_mase", bin_ms=5)
    with pytest.raises(InputError, match="bin_ms: 15 ms does not divide the window of 700 ms"):
        load(folder, dataset="mc_maze_small", bin_ms=15)


def test_a_config_names_the_data_set(write_pair, maze_pair):
    folder = write_pair("mc_maze_small", *maze_pair)
    trials = load(folder, config={"dataset": "mc_maze_small", "bin-ms": 20})
    assert trials.splits == {"test": 4, "train": 12, "val": 6}
