import h5py
import numpy as np
import pytest

from nlbprob.data import load
from nlbprob.errors import InputError
from nlbprob.scoring.benchmark import benchmark_scores, benchmark_target
from nlbprob.scoring.evaluate import evaluate


@pytest.mark.parametrize("dataset", ["mc_maze_small", "mc_rtt", "area2_bump", "dmfc_rsg"])
def test_scores_of_a_submission_are_the_benchmarks(shared, dataset):
    golden, group = shared / "golden", f"{dataset}_20"
    trials = load(golden / "nwb", dataset=dataset, bin_ms=20).split("train", "val")
    target = benchmark_target(trials, "train", ("val",))
    path = golden / "expected" / f"{dataset}-20ms" / "submission_val.h5"
    rates = np.full(trials.counts.shape, 0.1)
    with h5py.File(path) as file:
        for part, split in (("train", "train"), ("eval", "val")):
            for mask, neurons in (("heldin", trials.heldin), ("heldout", trials.heldout)):
                rows = np.flatnonzero(trials.table["split"] == split)
                rates[np.ix_(rows, np.arange(trials.window_bins), neurons)] = file[group][f"{part}_rates_{mask}"]
                if part == "eval":
                    forward = np.arange(trials.window_bins, trials.n_bins)
                    rates[np.ix_(rows, forward, neurons)] = file[group][f"eval_rates_{mask}_forward"]
    found = benchmark_scores(rates, trials, target, bootstrap=20)
    (expected,) = evaluate(path, golden / "expected" / f"{dataset}-20ms" / "target.h5").groups
    assert {n: v for n, v in found.values.items() if v is not None} == pytest.approx(expected.values, abs=1e-6)
    assert list(found.reasons) == (["psth R2"] if dataset == "mc_rtt" else [])
    assert ("tp corr" in found.values) == (dataset == "dmfc_rsg")
    assert len(found.by_neuron) == len(found.neuron_ids) == trials.heldout.sum()
    assert found.to_dict()["split"] == "val"


def test_rates_that_do_not_move_have_no_correlation(shared):
    trials = load(shared / "golden" / "nwb", dataset="dmfc_rsg", bin_ms=20).split("train", "val")
    target = benchmark_target(trials, "train", "val")
    mean = np.broadcast_to(trials.counts.mean(axis=(0, 1)), trials.counts.shape)
    found = benchmark_scores(mean, trials, target, bootstrap=0)
    assert found.values["tp corr"] is None
    assert found.reasons["tp corr"] == "spikes or rates do not vary"
    with pytest.raises(InputError, match="Hz"):
        benchmark_scores(50 * mean, trials, target)


def test_other_trials_splits_and_bins_have_no_target_of_the_benchmark(shared, make_trials):
    trials, _ = make_trials()
    assert benchmark_target(trials, "train", "val") is None
    place = shared / "golden" / "nwb"
    trials = load(place, dataset="mc_rtt", bin_ms=20)
    assert benchmark_target(trials, ("train", "val"), "test") is None
    assert benchmark_target(load(place, dataset="mc_rtt", bin_ms=20, phase="test"), "train", "val") is None
    assert benchmark_target(load(place, dataset="mc_rtt", bin_ms=10), "train", "val") is None
