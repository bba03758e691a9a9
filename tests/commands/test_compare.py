"""`nlbprob compare`: paired differences of runs on the same trials."""

import json

import numpy as np
import pytest
import xarray

import nlbprob as nlb
from nlbprob.cli import main
from nlbprob.reporting.comparison import short_names, shortened
from nlbprob.selection.kfold import elpd_of
from tests.reporting.test_page import Checked


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


def test_every_score_has_its_difference(make_run, recordings, truth, capsys):
    random = np.random.default_rng(0)
    trials = truth.trials
    velocity = truth.latents + 0.1 * random.normal(size=truth.latents.shape)
    recordings["a.nwb"] = trials.replace(
        behavior=velocity, behavior_name="hand_vel", behavior_channels=("x", "y"), forward_bins=4
    )
    make_run("sharp", 0.0)
    make_run("blurred", 1.0)
    capsys.readouterr()
    assert main(["compare", "blurred", "sharp", "--json"]) == 0
    blurred, sharp = json.loads(capsys.readouterr().out)["runs"]
    assert sharp["scores"]["co-bps"]["difference"] == sharp["difference"]
    assert sharp["scores"]["psth R2"] == {"value": None, "interval": None}
    for name in ("vel R2", "fp-bps"):
        found = sharp["scores"][name]
        expected = found["value"] - blurred["scores"][name]["value"]
        assert found["difference"] == pytest.approx(expected, abs=1e-5)
        low, high = found["difference_interval"]
        assert low < found["difference"] < high
    assert main(["compare", "blurred", "sharp"]) == 0
    assert "vel R2 on val (6 trials), bins of 20 ms" in capsys.readouterr().out


def test_latents_are_read_from_what_runs_wrote(make_run, truth, capsys):
    latents = truth.latents.astype(float)
    turned = latents @ np.array([[0.6, -0.8], [0.8, 0.6]]) + 2
    make_run("whole", 0.0, latents=turned)
    make_run("part", 0.0, latents=latents[..., :1])
    make_run("none", 0.0)
    capsys.readouterr()
    assert main(["compare", "whole", "part", "none", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["latents"]
    assert (found["runs"], found["dim"]) == (["whole", "part"], [2, 1])
    (own, by_part), (by_whole, _) = found["explained"]
    assert own == pytest.approx(1)
    assert by_whole == pytest.approx(1, abs=1e-4)
    assert 0.1 < by_part < 0.95
    assert found["angles_deg"][0][1] == pytest.approx([0], abs=1e-4)
    assert found["reasons"] == {"none": "has a posterior.nc that cannot be read"}
    assert main(["compare", "whole", "part", "none"]) == 0
    shown = capsys.readouterr().out
    assert "How much of the latents of a row those of a column explain (R2)" in shown
    assert "Latents are not compared: none has a posterior.nc that cannot be read." in shown


def elpd(trials, shift):
    """What `kfold` returns, of evidence that is as given."""
    value = np.arange(trials.n_trials, dtype=float) + shift
    each = xarray.DataArray(value, dims="trial")
    numbers = {"log_evidence": each, "elbo": each, "error": 0 * each, "effective_draws": 0 * each + 99}
    return elpd_of(xarray.Dataset(numbers), value, 10, 2)


def test_folds_compare_the_evidence_of_trials_left_out(make_run, truth, monkeypatch, capsys):
    make_run("first", 0.0, em_iterations=7)
    make_run("second", 1.0)
    asked = []

    def kfold(model, trials, folds, seed, *, fit_options, progress):
        asked.append((model(None), trials.splits, folds, seed, fit_options))
        return elpd(trials, model(None))

    monkeypatch.setattr("nlbprob.selection.kfold.kfold", kfold)
    capsys.readouterr()
    assert main(["compare", "first", "second", "--folds", "2", "--seed", "3", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["folds"] == 2
    assert [row["run"] for row in found["evidence"]] == ["second", "first"]
    assert [row["elpd_diff"] for row in found["evidence"]] == pytest.approx([0, -24])
    assert asked[0] == (0.0, {"train": 24}, 2, 3, {"em_iterations": 7, "early_stopping": 0.0, "precision": "float32"})
    assert main(["compare", "first", "second", "--folds", "2"]) == 0
    assert "Log evidence of trials left out, 2 folds" in capsys.readouterr().out
    make_run("elsewhere", 1.0, fit_on="val", score_on="train")
    assert main(["compare", "first", "elsewhere", "--folds", "2"]) == 2
    assert main(["compare", "first", "first", "--folds", "2"]) == 2
    assert "a run is named twice" in capsys.readouterr().err
    assert main(["compare", "first", "second", "--folds", "1"]) == 2
    assert "--folds 1: it takes 2 folds or more" in capsys.readouterr().err


def test_a_page_shows_what_is_printed(make_run, truth, tmp_path, capsys):
    for name, blur, latents in (("sharp", 0.0, truth.latents), ("<b>", 3.0, truth.latents[..., :1])):
        make_run(name, blur, latents=latents.astype(float))
    assert main(["compare", "sharp", "<b>", "--out", "both"]) == 0
    page = (tmp_path / "both" / "comparison.html").read_text()
    assert json.loads((tmp_path / "both" / "comparison.json").read_text())["runs"][1]["run"] == "<b>"
    Checked(page)
    assert "&lt;b&gt; predicts worse than sharp." in page
    assert "<b>predicts" not in page
    assert "explained by sharp" in page
    assert "Evidence of whole trials: not asked for, which --folds does." in page
    assert page.count("<figure>") == 1  # the difference in co-bps
    assert main(["compare", "sharp", "<b>", "--out", "both"]) == 0  # its own folder is written again
    assert main(["compare", "sharp", "<b>", "--out", "sharp"]) == 2
    assert "sharp exists and holds no comparison.json" in capsys.readouterr().err
    assert main(["compare", "sharp", "<b>", "--out", "none/such"]) == 2
    assert main(["compare", "sharp", "<b>", "--out", "mine.py"]) == 2


def test_runs_are_called_by_the_shortest_ends_that_tell_them_apart():
    assert short_names(["/all/runs/lds", "/all/runs/gp"]) == {"/all/runs/lds": "lds", "/all/runs/gp": "gp"}
    alike = ["/all/first/lds", "/all/second/lds"]
    assert list(short_names(alike).values()) == ["first/lds", "second/lds"]
    assert short_names(["lds", "runs/lds"]) == {"lds": "lds", "runs/lds": "runs/lds"}
    assert short_names(["same", "same"]) == {"same": "same"}
    found = {"runs": [{"run": "/a/b", "value": 1.0}], "reasons": {"/a/b": "/a/b of old"}}
    assert shortened(found, {"/a/b": "b"}) == {"runs": [{"run": "b", "value": 1.0}], "reasons": {"b": "/a/b of old"}}
