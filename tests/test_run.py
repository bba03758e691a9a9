"""The folder of a run: what may be written where, and what can be read back."""

import json

import numpy as np
import pytest

from nlbprob import run
from nlbprob.cli import main
from nlbprob.commands.table import cell, print_scores
from nlbprob.data.trials import Trials
from nlbprob.errors import InputError, RunExistsError
from nlbprob.infer.fit.fit import Interrupted
from nlbprob.run import (
    FILES,
    Settings,
    check_free,
    clear,
    fit_posterior,
    perform,
    plain,
    read_json,
    read_posterior,
    write_json,
)

METRICS = {
    "val": {"co-bps": 0.21234, "vel R2": None},
    "intervals": {"co-bps": [0.2, 0.22], "vel R2": None},
    "reasons": {"vel R2": "the recording has no behavior"},
    "baselines": {"mean rate": {"co-bps": 0.0, "vel R2": None}},
    "bin_ms": 5.0,
    "split": "val",
    "fit_on": "train",
}


def test_a_folder_is_free_if_new_or_empty(tmp_path):
    check_free(tmp_path / "new", force=False)
    check_free(tmp_path, force=False)


def test_a_run_is_replaced_only_by_force_and_nothing_else_ever(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    for force in (False, True):
        with pytest.raises(RunExistsError, match="holds no run: name another folder"):
            check_free(tmp_path, force)
    (tmp_path / "config.json").write_text("{}")
    check_free(tmp_path, force=False)  # interrupted before anything was found
    (tmp_path / "posterior").mkdir()
    with pytest.raises(RunExistsError, match="already holds a run: name another folder, or add --force"):
        check_free(tmp_path, force=False)
    check_free(tmp_path, force=True)
    with pytest.raises(InputError, match="is a file"):
        check_free(tmp_path / "notes.txt", force=True)


def test_clearing_removes_the_files_of_a_run_alone(tmp_path):
    folder = tmp_path / "a" / "run"
    (folder / "posterior").mkdir(parents=True)
    (folder / "posterior" / "part").write_text("")
    for name in {*FILES, "notes.txt"} - {"posterior"}:
        (folder / name).write_text("")
    clear(folder)
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


def test_json_holds_plain_values(tmp_path):
    content = {"a": np.float32(0.5), "b": np.arange(2), "c": (True, None, "x"), "d": float("nan"), 3: tmp_path}
    assert plain(content) == {"a": 0.5, "b": [0, 1], "c": [True, None, "x"], "d": None, "3": str(tmp_path)}
    write_json(tmp_path / "config.json", content)
    assert read_json(tmp_path, "config.json") == json.loads(json.dumps(plain(content)))


def test_reading_says_what_is_missing(tmp_path):
    with pytest.raises(InputError, match=r"holds no run \(no config.json\): `nlbprob fit MODEL DATA --out"):
        read_json(tmp_path, "metrics.json")
    write_json(tmp_path / "config.json", {})
    with pytest.raises(InputError, match="has no metrics.json: the run did not end"):
        read_json(tmp_path, "metrics.json")


def test_the_table_shows_scores_intervals_and_reasons(capsys):
    assert cell(None) == "-"
    assert cell(0.5) == "0.500"
    print_scores(METRICS, "poisson_lds on a.nwb")
    shown = capsys.readouterr().out
    for text in ("poisson_lds on a.nwb", "0.212", "0.200 to 0.220", "mean rate", "bins of 5 ms", "has no behavior"):
        assert text in shown


class MeanRates:
    """In a posterior's place: it predicts each neuron's mean rate."""

    verdict = "Converged. There was nothing to iterate."

    def rates(self, trials):
        assert not trials.seen[trials.table["split"] == "val"][..., trials.heldout].any()
        return np.broadcast_to(trials.counts.mean(axis=(0, 1)), trials.counts.shape).copy()

    def rates_and_latents(self, trials):
        return self.rates(trials), None

    def to_arviz(self, trials, draws):
        import xarray

        assert draws == 200
        return xarray.DataTree(xarray.Dataset({"trials": trials.n_trials}))


@pytest.fixture
def settings(monkeypatch, tmp_path):
    """Settings of a run on a small recording, with the fit and the report left out."""
    counts = np.random.default_rng(0).poisson(0.8, (20, 10, 8))
    notes = {"notes": ["unit 3 is silent"], "file": "a.nwb"}
    trials = Trials.from_arrays(counts, 5.0, source=notes)
    monkeypatch.setattr("nlbprob.data.nwb.load", lambda path, **options: trials)
    monkeypatch.setattr(run, "fit_posterior", lambda *_, **__: MeanRates())
    monkeypatch.setattr("nlbprob.reporting.write_report", lambda path, **_: path.write_text(""))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("def model(*, dim=3, scale=0.5):\n    return dim\n")
    return Settings("mine.py", "a.nwb", {"dim": 4}, {"bin_ms": 5.0})


def test_a_run_writes_all_its_files(settings, tmp_path, capsys):
    metrics = perform(settings, tmp_path / "run")
    assert "Note: unit 3 is silent" in capsys.readouterr().out
    written = {path.name for path in (tmp_path / "run").iterdir()}
    assert written == set(FILES) - {"posterior"}
    assert metrics["split"] == "val"
    assert metrics["val"]["co-bps"] < 0.1
    assert metrics["baselines"]["mean rate"]["co-bps"] < 0.1
    assert read_json(tmp_path / "run", "metrics.json") == plain(metrics)
    config = read_json(tmp_path / "run", "config.json")
    assert config["settings"]["data"] == str(tmp_path / "a.nwb")
    assert config["model"] == {"name": "mine", "options": {"dim": 4, "scale": 0.5}}
    assert config["versions"]["numpyro"]
    assert Settings(**config["settings"]).model_options == {"dim": 4}


def test_the_command_fits_scores_and_refuses_to_overwrite(settings, capsys):
    words = ["fit", "mine.py", "a.nwb", "--out", "run", "--model.dim", "5"]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "Everything is in run" in printed
    assert MeanRates.verdict in printed
    assert main(words) == 2
    assert "already holds a run" in capsys.readouterr().err
    assert main([*words, "--force"]) == 0
    capsys.readouterr()
    assert main(["score", "run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["split"] == "val"
    assert main(["score", "run"]) == 0
    assert "co-bps" in capsys.readouterr().out
    assert main([*words, "--force", "--score-on", "train"]) == 2
    assert "has not learned from" in capsys.readouterr().err


def test_an_interrupted_fit_is_kept_and_gone_on_with(settings, tmp_path, monkeypatch, capsys):
    class Found:
        def save(self, folder):
            folder.mkdir()

    def stopped(model, trials, **options):
        assert (options["em_iterations"], options["early_stopping"]) == (3, 0.1)
        assert trials.splits == {"train": 16}
        stop = Interrupted(None)
        stop.posterior = Found()
        raise stop

    monkeypatch.setattr(run, "fit_posterior", fit_posterior)
    monkeypatch.setattr("nlbprob.infer.fit.fit.fit", stopped)
    monkeypatch.setattr("nlbprob.posterior.posterior.Posterior.load", lambda folder, model: folder)
    words = ["fit", "mine.py", "a.nwb", "--out", "run", "--em-iterations", "3", "--early-stopping", "0.1"]
    assert main(words) == 130
    assert "what was found lies in run: go on with --init run" in capsys.readouterr().err
    assert (tmp_path / "run" / "posterior").is_dir()
    assert read_posterior("run") == tmp_path.joinpath("run", "posterior").relative_to(tmp_path)
    assert main(["score", "run"]) == 2
    assert "the run did not end" in capsys.readouterr().err
