"""`nlbprob average`: a run of a committee, from runs of the command line."""

import json

import h5py
import numpy as np
import pytest

import nlbprob as nlb
from nlbprob.cli import main
from nlbprob.simulation import write_nwb

FIT = ["--model.dim", "2", "--svi-steps", "0", "--draws", "2", "--bin-ms", "20"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a recording and two runs, `brief` and `long`, and the recording."""
    folder = tmp_path_factory.mktemp("runs")
    simulated = nlb.simulate(nlb.Model(latents=[nlb.LDS(2)]), 30, neurons=8, bins=10, bin_ms=20.0)
    (recording, *_) = write_nwb(folder, simulated)
    for name, steps in (("brief", "1"), ("long", "6")):
        words = ["fit", "poisson_lds", str(recording), "--out", str(folder / name), "--em-iterations", steps, *FIT]
        assert main(words) == 0
    return folder, recording


@pytest.fixture(scope="module")
def averaged(made):
    folder, _ = made
    words = ["average", f"first={folder / 'brief'}", str(folder / "long"), "--weights", "1", "3"]
    assert main([*words, "--out", str(folder / "both")]) == 0
    return folder / "both"


def test_a_run_of_a_committee_is_scored_checked_and_reported_as_any_run(averaged, made, capsys):
    folder, recording = made
    trials = nlb.load(recording, bin_ms=20)
    visible = trials.hide_heldout("val")
    committee = nlb.Committee.load(averaged)
    assert committee.weights == {"first": 0.25, "long": 0.75}
    rates = committee.rates(visible)
    score = nlb.score(rates, trials).values["co-bps"]
    capsys.readouterr()
    assert main(["score", str(averaged), "--json"]) == 0
    metrics = json.loads(capsys.readouterr().out)
    assert metrics["val"]["co-bps"] == pytest.approx(score, abs=1e-9)
    members = metrics["members"]
    for name, run, other in (("first", "brief", "long"), ("long", "long", "brief")):
        alone = json.loads((folder / run / "metrics.json").read_text())
        others = json.loads((folder / other / "metrics.json").read_text())
        assert members[name]["score"] == pytest.approx(alone["val"]["co-bps"], abs=1e-6)
        assert members[name]["adds"] == pytest.approx(score - others["val"]["co-bps"], abs=1e-6)
        assert metrics["baselines"] == alone["baselines"]
    with h5py.File(averaged / "submission.h5") as file:
        written = next(iter(file.values()))["eval_rates_heldout"][()]
    val = trials.table["split"] == "val"
    np.testing.assert_allclose(written, rates.values[val][..., trials.heldout], rtol=1e-6)
    assert main(["check", str(averaged)]) == 0
    assert main(["compare", str(folder / "long"), str(averaged)]) == 0
    assert main(["score", str(averaged)]) == 0
    shown = capsys.readouterr().out
    assert "average of first, long on" in shown
    assert "co-bps alone" in shown


def test_its_report_names_the_members_and_is_written_again(averaged, capsys):
    text = (averaged / "report.html").read_text()
    for words in ("average of first, long fitted to", "each fitted by itself", '<section id="members">', "0.750"):
        assert words in text
    assert "each member has its own, see the report of its run" in text
    assert main(["report", str(averaged)]) == 0
    assert main(["check", str(averaged)]) == 0
    assert text.partition("<header>")[2] == (averaged / "report.html").read_text().partition("<header>")[2]


def test_folds_choose_the_weights(made, capsys):
    folder, _ = made
    words = ["average", str(folder / "brief"), str(folder / "long"), "--folds", "2", "--out", str(folder / "chosen")]
    assert main(words) == 0
    assert "Everything is in" in capsys.readouterr().out
    config = json.loads((folder / "chosen" / "config.json").read_text())["committee"]
    committee = nlb.Committee.load(folder / "chosen")
    assert config["weights"] == committee.chosen
    assert "2 folds of train" in committee.chosen
    weights = {name: member["weight"] for name, member in config["members"].items()}
    assert weights == committee.weights
    assert config["folds"]["score"] >= max(row["score"] for row in config["folds"]["members"].values()) - 1e-9
    assert "adds on the folds" in (folder / "chosen" / "report.html").read_text()


def test_what_a_committee_cannot_do_is_refused(averaged, made, tmp_path, monkeypatch, capsys):
    folder, recording = made
    brief, out = str(folder / "brief"), ["--out", str(tmp_path / "new")]
    other = str(tmp_path / "other")
    words = ["fit", "poisson_lds", str(recording), "--out", other, "--em-iterations", "1", *FIT, "--data-seed", "1"]
    assert main(words) == 0
    cases = [
        (["average", brief, *out], "Name two runs or more to average."),
        (["average", brief, str(folder / "long")], "--out RUN is missing"),
        (["average", brief, other, *out], "have other data options"),
        (["average", brief, brief, *out], "Two runs have the name"),
        (["average", brief, str(averaged), *out], "is a committee, which `nlbprob average` made"),
        (["average", brief, str(folder / "long"), "--out", brief], "is one of the runs that are averaged"),
        (["average", brief, str(folder / "long"), "--out", str(averaged)], "already holds a run"),
        (["average", brief, str(folder / "long"), "--weights", "1", *out], "these weights do not fit the 2 members"),
        (["average", brief, str(folder / "long"), "--folds", "2", "--weights", "1", "2", *out], "leave one out"),
        (["replicate", str(averaged)], "is a committee"),
        (["test", str(averaged), "targets.h5"], "the run is of a recording of its own, which has no test phase"),
        (["fit", "--config", str(averaged), *out], "is of an average of runs; name that of a member"),
    ]
    for line, message in cases:
        capsys.readouterr()
        assert main(line) == 2, line
        assert message in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
    assert main(["check", str(averaged)]) == 0
