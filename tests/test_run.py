"""The folder of a run: what may be written where, and what can be read back."""

import hashlib
import json
import re
import shlex
import types

import numpy as np
import pytest

from nlbprob import run
from nlbprob.cli import main
from nlbprob.commands.table import cell, print_scores
from nlbprob.data.trials import Trials
from nlbprob.errors import InputError, RunExistsError
from nlbprob.files import plain, write_json
from nlbprob.infer.fit.fit import Interrupted
from nlbprob.run import FILES, perform
from nlbprob.settings import Settings
from nlbprob.staged_fit import fit_posterior
from nlbprob.storage import reading
from nlbprob.storage.contents import read_posterior
from nlbprob.storage.reading import check_free, read_json
from tests import runs
from tests.runs import METRICS


def test_a_folder_is_free_if_new_or_empty(tmp_path):
    check_free(tmp_path / "new", force=False)
    check_free(tmp_path, force=False)


def test_a_run_is_replaced_only_by_force_and_nothing_else_ever(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "config.json").write_text("{}")
    for force in (False, True):
        with pytest.raises(RunExistsError, match="holds no run .no manifest.json.: name another folder"):
            check_free(tmp_path, force)
    runs.seal(tmp_path, "interrupted", "config.json")
    check_free(tmp_path, force=False)  # nothing had been found
    for state in ("interrupted", "done"):
        folder = runs.make(tmp_path / state, state)
        with pytest.raises(RunExistsError, match="already holds .* run.*: name another folder, or add --force"):
            check_free(folder, force=False)
        check_free(folder, force=True)
    with pytest.raises(InputError, match="is a file"):
        check_free(tmp_path / "notes.txt", force=True)


def test_json_holds_plain_values(tmp_path):
    content = {"a": np.float32(0.5), "b": np.arange(2), "c": (True, None, "x"), "d": float("nan"), 3: tmp_path}
    assert plain(content) == {"a": 0.5, "b": [0, 1], "c": [True, None, "x"], "d": None, "3": str(tmp_path)}
    write_json(tmp_path / "config.json", content)
    runs.seal(tmp_path)
    assert read_json(tmp_path, "config.json") == json.loads(json.dumps(plain(content)))


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

    def to_netcdf(self, path, trials, *, draws, latents, rates):
        assert (draws, latents, rates) == (200, "summary", None)
        path.write_bytes(b"")


#: What the tests' fits leave out, and what only an unfinished run has.
NOT_WRITTEN = {"posterior", "log.jsonl", "checkpoint"}


@pytest.fixture
def settings(monkeypatch, tmp_path):
    """Settings of a run on a small recording, with the fit and the report left out."""
    counts = np.random.default_rng(0).poisson(0.8, (20, 10, 8))
    notes = {"notes": ["unit 3 is silent"], "file": "a.nwb"}
    trials = Trials.from_arrays(counts, 5.0, source=notes)
    monkeypatch.setattr("nlbprob.data.nwb.load", lambda path, **options: trials)
    monkeypatch.setattr(run, "fit_posterior", lambda *_, **__: MeanRates())
    monkeypatch.setattr("nlbprob.reporting.page.write_report", lambda path, **_: path.write_text(""))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.nwb").write_bytes(b"recording")
    (tmp_path / "mine.py").write_text(
        "import nlbprob as nlb\n\n\ndef model(*, dim=3, scale=0.5):\n    return nlb.Model(latents=[nlb.LDS(dim)])\n"
    )
    return Settings("mine.py", "a.nwb", {"dim": 4}, {"bin_ms": 5.0})


def test_a_run_writes_all_its_files(settings, tmp_path, capsys):
    metrics = perform(settings, tmp_path / "run")
    assert "Note: unit 3 is silent" in capsys.readouterr().out
    written = {path.name for path in (tmp_path / "run").iterdir()}
    assert written == {*FILES, "manifest.json"} - NOT_WRITTEN
    run = reading.examine(tmp_path / "run")
    assert (run.state, set(run.manifest.files)) == ("done", set(FILES) - NOT_WRITTEN)
    (source,) = run.manifest.recording
    assert (source.path, source.size) == (str(tmp_path / "a.nwb"), 9)
    assert source.sha256 == hashlib.sha256(b"recording").hexdigest()
    assert metrics["split"] == "val"
    assert metrics["val"]["co-bps"] < 0.1
    assert metrics["baselines"]["mean rate"]["co-bps"] < 0.1
    above = metrics["val"]["co-bps"] - metrics["baselines"]["mean rate"]["co-bps"]
    assert metrics["differences"]["mean rate"]["co-bps"] == pytest.approx(above, abs=1e-9)
    low, high = metrics["difference_intervals"]["mean rate"]["co-bps"]
    assert low <= above <= high
    assert metrics["baseline_settings"]["mean rate"] == {}
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


class Found(MeanRates):
    """What a fit had found when it was interrupted."""

    def save(self, folder):
        folder.mkdir(parents=True)
        (folder / "posterior.npz").write_text("found")


class Kept:
    """Checkpoints of one word."""

    def __init__(self, running, folder):
        self.path = folder / "checkpoint.npz"

    def write(self):
        self.path.parent.mkdir()
        self.path.write_text("half of it")


@pytest.fixture
def stopped(settings, monkeypatch):
    """The arguments of fits that are interrupted once they have found something; with a checkpoint they go through."""
    calls = []

    def steps(model, trials, config, *, init, checkpoint):
        calls.append(config.fit_options)
        return types.SimpleNamespace(state=checkpoint.exists())

    def drive(running, progress, watchers):
        if running.state:
            return Found()
        watchers[1].write()
        stop = Interrupted(None)
        stop.posterior = Found()
        raise stop

    monkeypatch.setattr(run, "fit_posterior", fit_posterior)
    monkeypatch.setattr("nlbprob.infer.fit.loop.steps", steps)
    monkeypatch.setattr("nlbprob.infer.fit.checkpoint.Checkpoints", Kept)
    monkeypatch.setattr("nlbprob.infer.fit.log.Log", lambda path, _: path.write_text("{}\n"))
    monkeypatch.setattr("nlbprob.infer.fit.fit.drive", drive)
    monkeypatch.setattr("nlbprob.posterior.posterior.Posterior.load", lambda folder, model: folder)
    return calls


WORDS = ["fit", "mine.py", "a.nwb", "--out", "run", "--em-iterations", "3", "--early-stopping", "0.1"]


def advised(text):
    """The words after `nlbprob` of the command in backquotes."""
    (line,) = re.findall("`(nlbprob fit [^`]*)`", text)
    return shlex.split(line)[1:]


def test_an_interrupted_fit_is_kept_and_gone_on_with_as_advised(stopped, tmp_path, capsys):
    assert main(WORDS) == 130
    (options,) = stopped
    assert (options["em_iterations"], options["early_stopping"]) == (3, 0.1)
    told = capsys.readouterr().err
    assert "interrupted. What was found is kept: go on where it ended with" in told
    assert advised(told) == ["fit", "--resume", "run"]
    assert reading.examine(tmp_path / "run").state == "interrupted"
    assert read_posterior("run").name == "posterior"
    for words, absent in ((["score"], "metrics.json"), (["report"], "metrics.json"), (["leaderboard", "mc_rtt"], "")):
        assert main([*words, "run"]) == 2
        shown = capsys.readouterr().err
        assert "run: the run was interrupted" in shown
        assert absent in shown
        assert advised(shown) == advised(told)
    assert main(["check", "run"]) == 1
    assert advised(capsys.readouterr().out) == advised(told)
    assert main(WORDS) == 2
    assert "already holds what an unfinished run found" in capsys.readouterr().err
    assert main(advised(told)) == 0
    assert reading.examine(tmp_path / "run").state == "done"
    assert main(["check", "run"]) == 0
    assert not list(tmp_path.rglob("checkpoint*"))
    assert main(["fit", "--resume", "run"]) == 2
    assert "run: the run is done; there is nothing to go on with" in capsys.readouterr().err


def test_the_model_of_a_fit_that_goes_on_is_the_one_that_was_begun(stopped, tmp_path, capsys):
    assert main(WORDS) == 130
    before = (tmp_path / "mine.py").read_text()
    (tmp_path / "mine.py").write_text("raise SystemExit")
    assert main(["fit", "--resume", "run"]) == 0
    assert (tmp_path / "run" / "model.py").read_text() == before
    assert stopped[0] == stopped[1]
    words = reading.examine(tmp_path / "run").manifest.command.words
    assert list(words) == WORDS


@pytest.mark.parametrize(
    ("words", "name"),
    [(["mine.py"], "model"), (["--seed", "2"], "seed"), (["--out", "b"], "out"), (["--force"], "force")],
)
def test_a_fit_that_goes_on_takes_nothing_else(stopped, capsys, words, name):
    assert main(["fit", "--resume", "run", *words]) == 2
    assert f"so that {name} cannot be given" in capsys.readouterr().err


def test_a_fit_does_not_go_on_with_another_recording(stopped, tmp_path, capsys):
    assert main(WORDS) == 130
    (tmp_path / "a.nwb").write_bytes(b"another one")
    capsys.readouterr()
    assert main(["fit", "--resume", "run"]) == 2
    assert "is not the recording that run was fitted to" in capsys.readouterr().err
    assert reading.examine(tmp_path / "run").state == "interrupted"


def test_a_fit_that_was_to_replace_a_run_and_was_interrupted_leaves_it(
    settings, stopped, tmp_path, capsys, monkeypatch
):
    runs.make(tmp_path / "run")
    assert main([*WORDS, "--force"]) == 130
    told = capsys.readouterr().err
    assert "A later fit was interrupted; this run was kept. Go on where that fit ended with" in told
    assert advised(told) == ["fit", "--resume", "run"]
    assert main(["score", "run"]) == 0
    shown = capsys.readouterr()
    assert "0.212" in shown.out
    assert advised(shown.err) == advised(told)
    assert main(["score", "run/unfinished"]) == 2
    assert "the run was interrupted" in capsys.readouterr().err
    assert main(advised(told)) == 0
    assert main(["score", "run"]) == 0
    shown = capsys.readouterr()
    assert "0.212" not in shown.out
    assert shown.err == ""


def test_an_interrupted_fit_that_found_nothing_is_started_again_as_advised(stopped, monkeypatch, capsys):
    def nothing(*_, **__):
        raise Interrupted(None)

    with monkeypatch.context() as patch:
        patch.setattr("nlbprob.infer.fit.fit.drive", nothing)
        assert main(WORDS) == 130
    told = capsys.readouterr().err
    assert "Nothing had been found yet: start again with" in told
    assert main(["score", "run"]) == 2
    assert advised(capsys.readouterr().err) == advised(told)
    assert main(advised(told)) == 130
    assert "What was found is kept" in capsys.readouterr().err


def test_what_was_found_is_kept_where_a_fit_that_goes_on_is_interrupted_too(stopped, tmp_path, monkeypatch, capsys):
    assert main(WORDS) == 130
    monkeypatch.setattr("nlbprob.infer.fit.loop.steps", lambda *_, **__: types.SimpleNamespace(state=False))
    monkeypatch.setattr(Kept, "write", lambda kept: kept.path.write_text("more of it"))
    assert main(["fit", "--resume", "run"]) == 130
    run = reading.examine(tmp_path / "run")
    assert (run.state, run.left) == ("interrupted", None)
    assert (tmp_path / "run" / "checkpoint" / "checkpoint.npz").read_text() == "more of it"
    assert main(["check", "run"]) == 1
    assert "changed" not in capsys.readouterr().out


def test_the_advice_works_from_another_folder(stopped, tmp_path, monkeypatch, capsys):
    (tmp_path / "elsewhere").mkdir()
    assert main(WORDS) == 130
    capsys.readouterr()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert main(["score", "../run"]) == 2
    assert main(advised(capsys.readouterr().err)) == 0


def test_the_advice_to_start_from_a_posterior_alone_works_from_another_folder(stopped, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(Kept, "write", lambda _: None)
    assert main(WORDS) == 130
    capsys.readouterr()
    (tmp_path / "else where").mkdir()
    monkeypatch.chdir(tmp_path / "else where")
    assert main(["score", "../run"]) == 2
    (line,) = re.findall("`(.*)`", capsys.readouterr().err)
    there, _, command = line.partition(" && ")
    assert there == f"cd {shlex.quote(str(tmp_path))}"
    assert shlex.split(command)[-4:] == ["--out", str(tmp_path / "run"), "--init", str(tmp_path / "run")]


def test_a_failed_run_says_why(settings, tmp_path, monkeypatch, capsys):
    def broken(*_, **__):
        raise InputError("rates: they look like Hz")

    monkeypatch.setattr("nlbprob.scoring.rates.check_rates", broken)
    assert main(WORDS) == 2
    assert reading.examine(tmp_path / "run").state == "failed: rates: they look like Hz"
    capsys.readouterr()
    assert main(["score", "run"]) == 2
    assert "the run failed: rates: they look like Hz, and has no metrics.json. Nothing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "metrics.json").unlink(), "metrics.json is missing"),
        (lambda folder: (folder / "metrics.json").write_text("{}"), "metrics.json was changed since the run wrote it"),
        (lambda folder: (folder / "manifest.json").unlink(), r"holds no run \(no manifest.json\).*earlier version"),
        (lambda folder: (folder / "manifest.json").write_text("{"), "the run's manifest is damaged .it is no JSON"),
        (lambda folder: runs.seal(folder, "running"), "its process was killed, or could write no more"),
        (lambda folder: runs.seal(folder, "done", "config.json"), "metrics.json is missing .the run never had it"),
    ],
)
def test_a_torn_run_says_what_is_missing(tmp_path, capsys, damage, message):
    folder = runs.make(tmp_path / "run", config=runs.CONFIG | {"data": {"options": {"dataset": "mc_rtt"}}})
    damage(folder)
    (tmp_path / "target.h5").write_bytes(b"")
    verbs = [["score", folder], ["report", folder], ["test", folder, tmp_path / "target.h5"]]
    for words in [*verbs, ["leaderboard", "mc_rtt", folder]]:
        assert main([str(word) for word in words]) == 2
        shown = capsys.readouterr().err
        assert re.search(message, shown), shown
        assert shown.count("\n") == 1


def test_a_recording_at_an_address_is_noted_to_be_unchecked(tmp_path, monkeypatch, capsys):
    address = "https://example.org/a.nwb"
    config = runs.CONFIG | {"settings": {"model": "poisson_lds", "data": address, "data_options": {"bin_ms": 5}}}
    folder = runs.make(tmp_path / "run", config=config)

    def load(self):
        raise InputError("no network")

    monkeypatch.setattr(Settings, "load", load)
    assert main(["report", str(folder)]) == 2
    noted = f"Note: {address} is not on this disk: whether it is still the recording that was fitted cannot be checked."
    assert capsys.readouterr().err.splitlines()[0] == noted
    local = runs.make(tmp_path / "local", config=runs.CONFIG)
    assert main(["report", str(local)]) == 2
    assert "Note" not in capsys.readouterr().err


def test_a_report_is_refused_where_the_recording_is_another_one(tmp_path, monkeypatch, capsys):
    recording = tmp_path / "a.nwb"
    recording.write_bytes(b"one")
    folder = runs.make(tmp_path / "run", recording=(recording,))
    recording.write_bytes(b"two")
    assert main(["report", str(folder)]) == 2
    shown = capsys.readouterr().err
    assert "a.nwb: is not the recording that" in shown
    assert "fitted to on 2026-01-02: its content is another one" in shown
    recording.unlink()
    assert main(["report", str(folder)]) == 2
    assert "it is no longer there. Put that file back" in capsys.readouterr().err
