"""`nlbprob fit` as users run it: several recordings, several seeds, a configuration, and a run repeated by its own."""

import json

import pytest

import nlbprob as nlb
from nlbprob.cli import main
from nlbprob.settings import Settings
from nlbprob.simulation import write_nwb
from nlbprob.storage.contents import read_posterior

CONFIG = """
[fit]
model = "multisession_lds"
data = ["monday.nwb", "tuesday.nwb"]
seed = [0, 1]
posterior = "map"
em-iterations = 0
svi-steps = 0
draws = 2
[data]
bin-ms = 20
forward-ms = 200
behavior = "hand_vel"
lag-ms = 100
condition = "condition"
[model]
dim = 2
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with two recordings, the run of both, and one that repeats it."""
    folder = tmp_path_factory.mktemp("stitched")
    for seed, name in enumerate(("monday", "tuesday")):
        train, _ = write_nwb(folder / name, nlb.reaches(trials=20, neurons=8, conditions=2, bin_ms=20, seed=seed))
        train.rename(folder / f"{name}.nwb")
    (folder / "all.toml").write_text(CONFIG)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder.parent)
        assert main(["fit", "--config", str(folder / "all.toml"), "--out", str(folder / "first")]) == 0
        assert main(["fit", "--config", str(folder / "first"), "--out", str(folder / "again")]) == 0
    return folder


def content(path):
    return json.loads(path.read_text())


def test_the_settings_are_those_of_the_configuration(runs):
    settings = Settings.of_run(content(runs / "first" / "config.json")["settings"], "config.json")
    assert settings.recordings == (str(runs / "monday.nwb"), str(runs / "tuesday.nwb"))
    assert (settings.seed, settings.svi_steps, settings.model_options) == ([0, 1], 0, {"dim": 2})
    assert list(settings.load().source["sessions"]) == ["monday", "tuesday"]
    tried = read_posterior(runs / "first").config["seeds"]
    assert [one["seed"] for one in tried] == [0, 1]


def test_a_run_is_repeated_by_its_own_configuration(runs):
    first, again = (content(runs / name / "config.json")["settings"] for name in ("first", "again"))
    assert first == again
    first, again = (content(runs / name / "metrics.json") for name in ("first", "again"))
    assert first == again


def test_a_stitched_run_is_scored_reported_and_compared(runs, capsys):
    first, again = str(runs / "first"), str(runs / "again")
    assert main(["score", first]) == 0
    shown = capsys.readouterr().out
    assert "monday.nwb" in shown
    assert "co-bps" in shown
    assert main(["report", first]) == 0
    assert "monday, tuesday: 32 train, 8 val trials; 16 neurons, 4 held out; 2 conditions" in (
        runs / "first" / "report.html"
    ).read_text(encoding="utf-8")
    capsys.readouterr()
    assert main(["compare", first, again, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["runs"][1]["difference"] == 0.0
    assert main(["test", first, str(runs / "all.toml")]) == 2
    assert "has no test phase" in capsys.readouterr().err


def test_a_run_whose_sizes_follow_from_its_training_trials_is_read_again(tmp_path, monkeypatch):
    """The trials of a run are those of both splits: default sizes are set by those of the first alone."""
    train, _ = write_nwb(tmp_path / "data", nlb.reaches(trials=20, neurons=8, conditions=2, bin_ms=20, seed=0))
    monkeypatch.setattr("nlbprob.blocks.sizes.of_dynamics", lambda trials: 1 + int("val" in trials.table["split"]))
    run, options = str(tmp_path / "run"), ["--posterior", "map", "--em-iterations", "0", "--svi-steps", "0"]
    recording = [str(train), "--bin-ms", "20", "--draws", "2", "--out", run]
    assert main(["fit", "poisson_lds", *recording, *options]) == 0
    assert read_posterior(tmp_path / "run").model.dim == 1
    assert main(["report", run]) == 0
    assert main(["average", f"a={run}", f"b={run}", "--out", str(tmp_path / "both")]) == 0
    assert main(["report", str(tmp_path / "both")]) == 0
