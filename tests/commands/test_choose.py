"""`nlbprob choose`: grids from flags and configurations, the table, and the JSON."""

import json

import pytest

from nlbprob.cli import main
from nlbprob.selection import choose as choosing
from tests.commands.conftest import Guess


@pytest.fixture
def fits(recordings, truth, monkeypatch):
    """Fits are guesses, the better the nearer `blur` is to 0; returns the options of each."""
    found = []

    def fit(model, trials, **options):
        found.append(options)
        return Guess(truth.rates, model(trials))

    monkeypatch.setattr(
        choosing,
        "fit_fold",
        lambda model, trials, learned, room, options: fit(model, trials.select(trials=learned), **options),
    )
    monkeypatch.setattr(choosing, "built", lambda build, keywords, trials: build(**keywords))
    return found


def test_every_value_is_tried_on_every_fold(fits, capsys, tmp_path):
    words = ["choose", "mine.py", "a.nwb", "--bin-ms", "20", "--folds", "4", "--seed", "3", "--em-iterations", "7"]
    assert main([*words, "--out", "choice.json", "--model.blur", "2", "0.0", "1"]) == 0
    assert len(fits) == 12
    assert fits[0] == {"svi_steps": 0, "em_iterations": 7, "seed": 3, "progress": False}
    shown = capsys.readouterr()
    assert "Choice: blur=0.0, by co-bps on 4 folds of train (24 trials, seed 3)" in shown.out
    assert "nlbprob fit mine.py DATA --model.blur 0.0 --out RUN" in shown.err
    found = json.loads((tmp_path / "choice.json").read_text())
    assert found["chosen"] == {"blur": 0.0}
    assert (found["model"], found["data"]) == ("mine.py", ["a.nwb"])
    assert [one["keywords"]["blur"] for one in found["candidates"]] == [2.0, 0.0, 1.0]
    scores = [one["score"] for one in found["candidates"]]
    assert scores[1] > scores[2] > scores[0]
    assert found["candidates"][2]["difference"] == pytest.approx(scores[2] - scores[1])
    assert all(len(one["fold_scores"]) == 4 for one in found["candidates"])
    assert main([*words, "--json", "--model.blur", "2", "0.0", "1"]) == 0
    assert json.loads(capsys.readouterr().out) == found


def test_a_configuration_has_lists_to_try_and_how_to_fit(fits, capsys, tmp_path):
    (tmp_path / "all.toml").write_text(
        "[fit]\nmodel = 'mine.py'\ndata = 'a.nwb'\nsvi-steps = 2\ndraws = 5\n"
        "[data]\nbin-ms = 20\n[model]\nblur = [0.0, 1.0]\nshape = [1, 2]\n"
    )
    assert main(["choose", "--config", "all.toml", "--folds", "2"]) == 0
    assert len(fits) == 4
    assert fits[0]["svi_steps"] == 2
    assert "Choice: blur=0.0, shape=[1, 2]" in capsys.readouterr().out
    assert main(["choose", "--config", "all.toml", "--folds", "2", "--model.blur", "3", "2"]) == 0
    assert "Choice: blur=2.0" in capsys.readouterr().out


def test_what_is_wrong_is_named(fits, capsys):
    words = ["choose", "mine.py", "a.nwb", "--bin-ms", "20"]
    for given, message in [
        (["--model.seed", "1", "2"], "choose has an option 'seed' of its own; rename that of model()"),
        (["--model.blur", "1", "2", "--folds", "1"], "choose(folds=1): it must be a whole number, at least 2"),
        (["--model.blur", "1", "2", "--fit-on", "test"], "test"),
    ]:
        assert main([*words, *given]) == 2
        assert message in capsys.readouterr().err
    assert not fits
