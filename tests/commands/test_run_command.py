"""`nlbprob run`: configurations fitted, scored, reported and entered, left where they are whole, and gone on with."""

import contextlib
import io
import json
import pathlib
import shutil

import pytest

import nlbprob as nlb
from nlbprob.cli import main
from nlbprob.commands import fit
from nlbprob.commands import run as verb
from nlbprob.commands.experiment import Experiment, parsed
from nlbprob.commands.fit import read_settings
from nlbprob.data.nlb.facts import DATASETS
from nlbprob.entry.check import check_entry
from nlbprob.errors import InputError
from nlbprob.resources import folder
from nlbprob.simulation import write_nwb
from nlbprob.storage.reading import existing

FINE = """
[fit]
model = "poisson_lds"
data = "reaches.nwb"
em-iterations = 1
svi-steps = 0
posterior = "map"
draws = 2
[data]
bin-ms = 20
[model]
dim = 2
"""
SHIPPED = sorted(path for path in folder("experiments").glob("*/*.toml"))


def called(*words):
    """The exit status of `nlbprob run` with these words, and what it printed, errors first."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(["run", *map(str, words)])
    return status, err.getvalue() + out.getvalue()


def row(text, name):
    """The cells of an experiment's line in the table."""
    (line,) = [line for line in text.splitlines() if line.startswith(f"{name} ")]
    return line.removeprefix(name).rsplit(maxsplit=2)


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A folder with a recording and configurations of which one is broken and one says nothing of a fit, once run."""
    place = tmp_path_factory.mktemp("experiments")
    train, _ = write_nwb(place / "data", nlb.reaches(trials=20, neurons=8, conditions=2, bin_ms=20, seed=0))
    train.rename(place / "data" / "reaches.nwb")
    (place / "mine").mkdir()
    (place / "mine" / "broken.toml").write_text(FINE.replace("dim = 2", "dmi = 2"))
    (place / "mine" / "fine.toml").write_text(FINE)
    (place / "mine" / "reading.toml").write_text("[data]\nbin-ms = 20\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        status, text = called("mine", "--data", "data")
    return place, status, text


@pytest.fixture
def done(first, tmp_path, monkeypatch):
    """A copy of that folder, to work in."""
    place = shutil.copytree(first[0], tmp_path / "copy")
    monkeypatch.chdir(place)
    return place


def test_a_file_becomes_a_run_with_scores_a_report_and_an_entry(first):
    place, _, text = first
    run = existing(place / "runs" / "mine" / "fine")
    assert run.manifest.state == "done"
    assert {"metrics.json", "report.html", "submission.h5"} <= set(run.manifest.files)
    assert run.manifest.command.words[:3] == ("fit", "--config", "mine/fine.toml")
    assert check_entry(place / "runs" / "mine" / "fine-entry", scores=False).passes
    metrics = json.loads((run.folder / "metrics.json").read_text())
    state, bits, seconds = row(text, "mine/fine")
    assert state.strip() == "done"
    assert bits == f"{metrics['val']['co-bps']:.3f}"
    assert float(seconds) >= 0


def test_what_is_broken_is_told_and_stops_nothing_else(first):
    place, status, text = first
    assert status == 1
    assert row(text, "mine/broken")[0].strip() == "failed"
    assert "Did you mean 'dim'?" in text.splitlines()[-1]
    assert text.index("mine/broken: ") < text.index("1 of 1: mine/fine")  # before anything is fitted
    assert not (place / "runs" / "mine" / "broken").exists()
    assert "mine/reading" not in text


def test_what_is_whole_is_left_as_it_is(done, monkeypatch):
    monkeypatch.setattr("nlbprob.run.perform", None)
    monkeypatch.setattr("nlbprob.entry.write.write_entry", None)
    status, text = called("mine/fine.toml", "--data", "data")
    assert status == 0, text
    assert row(text, "mine/fine")[0].strip() == "done before"
    (done / "data" / "reaches.nwb").unlink()
    assert called("mine/fine.toml", "--data", "data")[0] == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda place: (place / "mine" / "fine.toml").write_text(FINE + "link = 'softplus'\n"), "other model_options"),
        (lambda place: (place / "data" / "reaches.nwb").write_bytes(b"other"), "not what its run was fitted to"),
        (lambda place: (place / "runs/mine/fine/metrics.json").write_text("{}"), "metrics.json was changed"),
        (lambda place: (place / "runs/mine/fine-entry/LICENSE").write_text(""), "LICENSE was changed"),
    ],
)
def test_what_is_there_and_is_not_of_the_configuration_is_kept_and_told(done, change, message):
    change(done)
    before = (done / "runs" / "mine" / "fine" / "submission.h5").read_bytes()
    status, text = called("mine/fine.toml")
    assert status == 1
    assert message in text
    assert (done / "runs" / "mine" / "fine" / "submission.h5").read_bytes() == before


def test_an_entry_of_another_run_is_told(done):
    submission = done / "runs" / "mine" / "fine" / "submission.h5"
    experiment = Experiment(done / "mine" / "fine.toml", submission.parent, done / "data")
    assert experiment.is_entered
    submission.write_bytes(b"another")
    with pytest.raises(InputError, match="it is of another run. Make the entry again: `nlbprob entry"):
        _ = experiment.is_entered


def test_an_interrupted_run_goes_on_where_it_was(done, monkeypatch):
    stopped = []

    def stop(*_):
        stopped.append("once")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("nlbprob.run.measure", stop)
        status, text = called("mine", "--out", "again")
    assert (status, stopped) == (130, ["once"])
    assert row(text, "mine/fine")[0].strip() == "interrupted"
    assert "the same command goes on from it" in text
    assert existing(done / "again" / "mine" / "fine").manifest.state == "interrupted"
    status, text = called("mine/fine.toml", "--out", "again")
    assert status == 0, text
    assert "Going on with again/mine/fine" in text
    runs = [done / name / "mine" / "fine" / "metrics.json" for name in ("runs", "again")]
    assert runs[0].read_text() == runs[1].read_text()
    assert check_entry(done / "again" / "mine" / "fine-entry", scores=False).passes


def test_an_error_that_nobody_has_foreseen_stops_nothing_else(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reaches.nwb").write_bytes(b"")
    for name in ("a", "b"):
        (tmp_path / f"{name}.toml").write_text(FINE)

    def fail(settings, out, force):
        raise RuntimeError(f"out of memory\nin {out}")

    monkeypatch.setattr("nlbprob.run.perform", fail)
    status, text = called(".")
    assert status == 1
    assert text.count("Traceback") == 2
    assert text.splitlines()[-1] == f"{tmp_path.name}/b: RuntimeError: out of memory"


def test_missing_files_are_told_with_the_remedy_or_fetched(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    for name in ("a", "b"):
        text = FINE.replace('data = "reaches.nwb"\n', "").replace("[data]", '[data]\ndataset = "mc_maze_small"')
        (tmp_path / f"{name}.toml").write_text(text)
    status, text = called("a.toml", "--data", "there")
    assert status == 1
    assert "sub-Jenkins_ses-small_desc-train_*.nwb" in text
    assert "`nlbprob download mc_maze_small --to there` fetches what is missing, and so does --download here" in text
    asked = []

    def download(dataset, to):
        asked.append((dataset, to))
        raise InputError("the archive cannot be reached")

    monkeypatch.setattr("nlbprob.data.dandi.download", download)
    status, text = called(".", "--data", "there", "--download")
    assert status == 1
    assert asked == [("mc_maze_small", pathlib.Path("there"))]  # once, for both
    assert text.count("the archive cannot be reached") == 4  # as it is met, and at the end


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["absent.toml"], "absent.toml: there is no such file or folder; name a configuration"),
        (["experiments/mc_maze/none.toml"], "none.toml: there is no such file or folder"),
        (["empty"], "empty: holds no TOML file with a table"),
        (["twice"], "both would be fitted into runs/deep/a; rename one of them"),
    ],
)
def test_what_cannot_be_run_at_all_is_refused(tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    for name in ("one", "two"):
        (tmp_path / "twice" / name / "deep").mkdir(parents=True)
        (tmp_path / "twice" / name / "deep" / "a.toml").write_text(FINE)
    status, text = called(*words)
    assert status == 2
    assert message in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (FINE, "reaches.nwb: there is no such file; put it there, or name its folder with --data"),
        (FINE.replace('model = "poisson_lds"', ""), "names no model"),
        (FINE.replace("bin-ms", "bim-ms"), "no data option 'bim_ms'"),
        ("[fit", "not a TOML file"),
    ],
)
def test_what_is_wrong_with_one_configuration(tmp_path, monkeypatch, text, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.toml").write_text(text)
    status, printed = called("a.toml")
    assert status == 1
    assert message in printed


def test_the_experiments_that_come_with_it_are_found_without_their_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert verb.configurations(pathlib.Path("experiments")) == SHIPPED
    assert verb.configurations(pathlib.Path("experiments/mc_rtt/poisson_lds.toml")) == [
        folder("experiments") / "mc_rtt" / "poisson_lds.toml"
    ]


def test_every_data_set_has_experiments():
    assert {path.parent.name for path in SHIPPED} == set(DATASETS)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_an_experiment_that_comes_with_it_is_whole_and_refuses_what_it_does_not_know(path, tmp_path):
    settings, _ = read_settings(parsed(fit, Experiment(path, tmp_path / "run", tmp_path).words))
    assert settings.model == path.stem
    assert settings.data_options["dataset"] == path.parent.name
    text = path.read_text(encoding="utf-8")
    comment = text.partition("\n\n")[0]
    assert f"nlbprob run experiments/{path.parent.name}/{path.name} --data DIR" in comment
    assert "# Measured: " in comment
    assert "# Not measured: " in comment
    for table in ("fit", "data"):
        (tmp_path / "other.toml").write_text(text.replace(f"[{table}]", f"[{table}]\nunheard-of = 1"))
        with pytest.raises(InputError, match="unheard_of"):
            _ = Experiment(tmp_path / "other.toml", tmp_path / "run", tmp_path).words
