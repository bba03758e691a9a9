import time

import pytest

from nlbprob.data.nwb import load
from nlbprob.scoring.baselines import CONDITION_PSTH, MEAN_RATE, SMOOTHING, baselines
from nlbprob.scoring.comparison import compare
from nlbprob.scoring.scores import score


def test_baselines_on_reaches_reach_the_reference(shared):
    trials = load(shared / "data" / "maze_large_subset.nwb", bin_ms=5, behavior="hand_vel", condition=["condition"])
    start = time.process_time()
    rates = baselines(trials)
    assert time.process_time() - start < 60
    scores = {name: score(each, trials, bootstrap=50) for name, each in rates.items()}
    assert scores[SMOOTHING].values["co-bps"] > 0.132
    assert scores[CONDITION_PSTH].values["co-bps"] > 0.222
    assert scores[CONDITION_PSTH].values["vel R2"] > scores[SMOOTHING].values["vel R2"] > 0.4
    assert -0.05 < scores[MEAN_RATE].values["co-bps"] < 0
    assert compare(rates[CONDITION_PSTH], rates[SMOOTHING], trials).interval[0] > 0


@pytest.mark.parametrize(("file", "bin_ms", "reference"), [
    ("bci_baseline", 45, 0.035), ("aplysia_jan1912", 50, 0.63),
])  # fmt: skip
def test_smoothing_reaches_the_reference_elsewhere(shared, file, bin_ms, reference):
    trials = load(shared / "data" / f"{file}.nwb", bin_ms=bin_ms)
    assert score(baselines(trials)[SMOOTHING], trials, bootstrap=0).values["co-bps"] > reference
