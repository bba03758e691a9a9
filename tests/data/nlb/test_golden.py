"""Against what nlb_tools 0.0.4 makes of the golden files, and of the same files put in another order."""

import importlib.util
import shutil

import h5py
import numpy as np
import pytest

from nlbprob.cli import main
from nlbprob.data import nlb

FAMILIES = {
    "mc_maze_small": "000140/sub-Jenkins",
    "mc_rtt": "000129/sub-Indy",
    "area2_bump": "000127/sub-Han",
    "dmfc_rsg": "000130/sub-Haydn",
}


@pytest.fixture(scope="module")
def differences(golden):
    """What compare.py finds different in a folder of expected files and one of ours."""
    spec = importlib.util.spec_from_file_location("golden_compare", golden / "compare.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def call(expected, ours, *only):
        return list(module.compare(expected, ours, 1e-5, only))

    return call


@pytest.mark.parametrize("bin_ms", [5, 20])
@pytest.mark.parametrize("dataset", FAMILIES)
def test_all_files_of_both_phases(golden, differences, dataset, bin_ms, tmp_path, capsys):
    for phase in ("test", "val"):
        words = ["tensors", str(golden / "nwb"), "--dataset", dataset, "--bin-ms", str(bin_ms), "--phase", phase]
        assert main([*words, "--out", str(tmp_path)]) == 0
        if phase == "test":
            for name in ("train_input.h5", "eval_input.h5"):
                (tmp_path / name).rename(tmp_path / f"test_{name}")
    files = "train_input.h5", "eval_input.h5", "target.h5", "test_train_input.h5", "test_eval_input.h5"
    assert {path.name for path in tmp_path.iterdir()} == set(files)
    assert differences(golden / "expected" / f"{dataset}-{bin_ms}ms", tmp_path, *files) == []
    assert f"{dataset}, bins of {bin_ms} ms, val phase" in capsys.readouterr().out


def permute(path, order):
    """Put the rows of the units table in another order."""
    with h5py.File(path, "a") as file:
        units = file["units"]
        for name in ("id", "heldout"):
            units[name][:] = units[name][:][order]
        for name in ("spike_times", "obs_intervals"):
            index = units[f"{name}_index"]
            rows = np.split(units[name][:], index[:-1].astype(int))
            units[name][:] = np.concatenate([rows[row] for row in order])
            index[:] = np.cumsum([len(rows[row]) for row in order])


@pytest.mark.parametrize("dataset", FAMILIES)
def test_order_of_units_in_the_files_changes_nothing(golden, differences, dataset, tmp_path):
    copy = shutil.copytree(golden / "nwb" / FAMILIES[dataset], tmp_path / "nwb")
    for seed, path in enumerate(sorted(copy.glob("*.nwb"))):
        with h5py.File(path) as file:
            number = len(file["units/id"])
        permute(path, np.random.default_rng(seed).permutation(number))
    nlb.write_tensors(copy, dataset, 20, "val", tmp_path / "out")
    files = "train_input.h5", "eval_input.h5", "target.h5"
    assert differences(golden / "expected" / f"{dataset}-20ms", tmp_path / "out", *files) == []


def test_fewer_trials_are_the_same_trials(golden, tmp_path):
    copy = shutil.copytree(golden / "nwb" / FAMILIES["mc_maze_small"], tmp_path / "nwb")
    (path,) = copy.glob("*train*.nwb")
    with h5py.File(path, "a") as file:
        split = file["intervals/trials/split"].asstr()[:]
        dropped = np.flatnonzero(split == "train")[::4]
        file["intervals/trials/split"][dropped] = "none"
    kept = ~np.isin(np.flatnonzero(split == "train"), dropped)
    ours = nlb.train_inputs(nlb.resample(nlb.read(copy, "mc_maze_small"), 5))
    with h5py.File(golden / "expected" / "mc_maze_small-5ms" / "train_input.h5") as expected:
        for name, values in ours.items():
            np.testing.assert_allclose(values, expected[name][kept], atol=1e-5)


def test_targets_in_memory_have_the_types_of_the_benchmark(golden):
    (name, target), *others = nlb.targets(nlb.resample(nlb.read(golden / "nwb", "dmfc_rsg"), 20)).items()
    assert (name, others) == ("dmfc_rsg_20", [])
    types = {key: values.dtype for key, values in target.items()}
    assert types == {
        "eval_spikes_heldout": np.float64,
        "train_behavior": np.float64,
        "eval_behavior": np.float64,
        "eval_spikes_heldin_forward": np.float16,
        "eval_spikes_heldout_forward": np.float16,
        "train_cond_idx": object,
        "eval_cond_idx": object,
        "psth": np.float64,
        "train_jitter": np.int64,
        "eval_jitter": np.int64,
    }
