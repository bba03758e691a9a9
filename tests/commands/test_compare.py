"""`nlbprob compare`: paired differences of runs on the same trials."""

import json

import numpy as np
import pytest

import nlbprob as nlb
from nlbprob.cli import main


def test_differences_are_those_of_compare(make_run, truth, capsys):
    make_run("sharp", 0.0)
    make_run("blurred", 1.0)
    make_run("same", 0.0)
    capsys.readouterr()
    assert main(["compare", "blurred", "sharp", "same", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["split"], found["bin_ms"], found["trials"]) == ("val", 20.0, 6)
    blurred, sharp, same = found["runs"]
    rates = truth.rates.astype(np.float32)
    expected = nlb.compare(rates, (truth.rates + truth.rates.mean()).astype(np.float32), truth.trials)
    assert sharp["difference"] == pytest.approx(expected.value, abs=1e-6)
    assert sharp["difference_interval"] == pytest.approx(expected.interval, abs=1e-6)
    assert same["difference"] == sharp["difference"]
    assert "difference" not in blurred
    assert sharp["co-bps"] == nlb.score(truth.rates, truth.trials).values["co-bps"]
    assert sharp["co-bps"] - blurred["co-bps"] == pytest.approx(expected.value, abs=1e-6)


def test_the_table_says_which_predicts_better(make_run, capsys):
    make_run("sharp", 0.0)
    make_run("blurred", 3.0)
    make_run("same", 3.0)
    capsys.readouterr()
    assert main(["compare", "blurred", "sharp", "same"]) == 0
    shown = capsys.readouterr()
    assert "co-bps on val (6 trials), bins of 20 ms" in shown.out
    assert "sharp predicts better than blurred." in shown.out
    assert "same does not clearly differ from blurred." in shown.out
    assert shown.err.count("Reading") == 1  # one recording, read once
    assert main(["compare", "sharp", "blurred"]) == 0
    assert "blurred predicts worse than sharp." in capsys.readouterr().out


def test_runs_of_other_trials_are_refused(make_run, recordings, truth, capsys):
    trials = truth.trials
    moved = np.roll(trials.table["split"], 1)
    others = {
        "trials": trials.replace(table=trials.table | {"split": moved}),
        "held-out neurons": trials.replace(neurons=trials.neurons | {"heldout": np.roll(trials.heldout, 1)}),
        "neurons": trials.replace(neurons=trials.neurons | {"id": np.arange(10) + 1}),
        "counts": trials.replace(counts=trials.counts + 1),
    }
    make_run("first", 0.0)
    for number, (what, other) in enumerate(others.items()):
        recordings[f"{number}.nwb"] = other
        make_run(f"other{number}", 0.0, data=f"{number}.nwb")
        assert main(["compare", "first", f"other{number}"]) == 2
        assert f"first and other{number} are scored on other {what}" in capsys.readouterr().err
    make_run("swapped", 0.0, fit_on="val", score_on="train")
    assert main(["compare", "first", "swapped"]) == 2
    assert "scored on other splits" in capsys.readouterr().err
    recordings["a.nwb"] = trials.select(neurons=np.arange(8))
    assert main(["compare", "first", "first"]) == 2
    assert "train_rates_heldin has the shape (24, 20, 8), the recording has (24, 20, 6) now" in capsys.readouterr().err


def test_a_recording_that_was_replaced_is_refused(make_run, tmp_path, capsys):
    (tmp_path / "a.nwb").write_bytes(b"the recording that was fitted")
    make_run("sharp", 0.0)
    make_run("blurred", 1.0)
    (tmp_path / "a.nwb").write_bytes(b"another recording of the same shape")
    capsys.readouterr()
    assert main(["compare", "sharp", "blurred"]) == 2
    assert "a.nwb: is not the recording that sharp was fitted to" in capsys.readouterr().err
