"""`nlbprob pareto`: runs by accuracy and parsimony."""

import json

import numpy as np
import pytest

from nlbprob.cli import main
from nlbprob.comparison import parsimony
from nlbprob.parsimony.front import MEASURES


@pytest.fixture
def runs(make_run, fitted, monkeypatch, tmp_path):
    """Two runs whose posterior is a fit to the same neurons; the first was repeated, the second is an average."""
    for name, blur in (("first", 0.0), ("second", 3.0)):
        make_run(name, blur)
    monkeypatch.setattr(parsimony, "read_member", lambda folder: folder)
    monkeypatch.setattr(parsimony, "read_fit", lambda member, trials: fitted)
    monkeypatch.setattr(parsimony, "is_committee", lambda folder: folder.name == "second")
    angles = {"first": np.array([[0.0, 90.0]])}
    monkeypatch.setattr(parsimony, "repeated_angles", lambda folder: angles.get(folder.name))
    return ["first", "second"]


def test_runs_are_measured_and_drawn(runs, tmp_path, capsys):
    assert main(["pareto", *runs, "--dataset", "mc_maze", "--shots", "4", "--out", "front"]) == 0
    shown = capsys.readouterr().out
    assert "> first" in shown
    assert (
        "second has no description length (bits), stability, few-shot (bits/spike), cycle consistency (R2): "
        "an average has none of its own: see its members."
    ) in shown
    assert "Published entries on mc_maze" in shown
    assert "Warning: The runs are not of the data set mc_maze" in shown
    assert "[E] the leaderboard's API" in shown
    assert "nonlinear: Pals et al. (2024)" in shown
    front = json.loads((tmp_path / "front" / "pareto.json").read_text())
    first, second = front["fits"]
    assert first["measures"].keys() == MEASURES.keys()
    assert first["measures"]["stability"] == pytest.approx(0.5)
    assert second["measures"].keys() == {"effective_dimension"}
    metrics = json.loads((tmp_path / "first" / "metrics.json").read_text())
    assert first["co_bps"] == metrics["val"]["co-bps"]
    assert front["efficient"]["stability"] == ["first"]
    names = {path.name for path in (tmp_path / "front").iterdir()}
    assert names == {
        "pareto.json",
        *(f"{name.replace('_', '-')}.{kind}" for name in MEASURES for kind in ("png", "pdf")),
    }
    assert main(["pareto", "first", "--out", "first"]) == 2
    assert "first exists and holds no pareto.json" in capsys.readouterr().err


def test_without_a_data_set_runs_stand_alone(runs, capsys):
    assert main(["pareto", "first", "--json"]) == 0
    front = json.loads(capsys.readouterr().out)
    assert (front["dataset"], front["published"], front["notes"]) == ("", [], [])
    assert front["fits"][0]["reasons"] == {}
    assert main(["pareto", "first", "--dataset", "mc_mazes"]) == 2
    assert "Did you mean 'mc_maze'" in capsys.readouterr().err
