"""A test of a run: once, on the right targets, and written down; the fit is left out."""

import dataclasses
import json

import h5py
import numpy as np
import pytest

from nlbprob import testphase
from nlbprob.cli import main
from nlbprob.errors import InputError, RunExistsError
from nlbprob.files import write_json
from nlbprob.scoring import ledger
from nlbprob.settings import Settings
from nlbprob.storage import reading
from nlbprob.storage.contents import read_test
from nlbprob.storage.reading import read_json
from nlbprob.testphase import run_test
from tests import runs
from tests.data.nlb import conftest as pairs
from tests.scoring.files import truth, write

DATASET, GROUP = "mc_maze_small", "mc_maze_small_20"


class MeanRates:
    """In a posterior's place: it predicts each neuron's mean rate, or `factor` times it."""

    def __init__(self, trials, factor=1.0):
        self.mean = factor * trials.counts.mean(axis=(0, 1), where=trials.seen)

    def rates(self, trials):
        evaluated = trials.table["split"] == "test"
        assert not trials.seen[evaluated][..., trials.heldout].any()
        return np.broadcast_to(self.mean, trials.counts.shape).copy()


@pytest.fixture(autouse=True)
def folder_of_the_ledger(tmp_path, monkeypatch):
    monkeypatch.setenv("NLBPROB_DATA", str(tmp_path / "ledger"))


@pytest.fixture
def fitted(monkeypatch):
    """The splits that models were fitted to, one entry a fit; reports are left out, too."""
    found = []

    def fit(model, trials, settings, stage, init, progress, under):
        assert under == "test/"
        (stage.path / "test").mkdir()
        found.append(trials.split(*settings.splits[0]).splits)
        return MeanRates(trials)

    monkeypatch.setattr(testphase, "fit_posterior", fit)
    monkeypatch.setattr(testphase, "report", lambda folder: found.append(read_test(folder)["earlier"]))
    return found


@pytest.fixture
def run(tmp_path):
    """A run as `nlbprob fit` leaves it, less what a test does not read."""
    folder = tmp_path / "run"
    folder.mkdir()
    data = pairs.write_both(DATASET, *pairs.maze(), tmp_path / "data")
    (folder / "model.py").write_text(
        "import nlbprob as nlb\n\n\ndef model():\n    return nlb.Model(latents=[nlb.LDS(2)])\n"
    )
    options = {"dataset": DATASET, "bin_ms": 20.0}
    settings = Settings("mine.py", str(data), {}, options)
    source = {"options": options | {"phase": "val", "seed": 0}}
    write_json(folder / "config.json", {"settings": dataclasses.asdict(settings), "data": source})
    scores = {"val": {"co-bps": 0.1}, "intervals": {}, "reasons": {}, "baselines": {}}
    write_json(folder / "metrics.json", scores | {"split": "val", "fit_on": "train", "bin_ms": 20.0})
    return runs.seal(folder, recording=tuple(sorted(data.rglob("*.nwb"))))


@pytest.fixture
def target(tmp_path):
    """Targets of the four test trials."""
    shapes = {"train_rates_heldin": (18, 35, 5), "train_rates_heldout": (18, 35, 2)}
    shapes |= {"eval_rates_heldin": (4, 35, 5), "eval_rates_heldout": (4, 35, 2)}
    shapes |= {"eval_rates_heldin_forward": (4, 10, 5), "eval_rates_heldout_forward": (4, 10, 2)}
    rates = {key: np.full(shape, 0.4) for key, shape in shapes.items()}
    return write(tmp_path / "truth.h5", {GROUP: truth(GROUP, rates), "mc_rtt": {"eval_spikes_heldout": np.ones(1)}})


def test_a_run_is_tested_once_and_that_is_written_down(run, target, fitted):
    record = run_test(run, target, progress=False)
    assert fitted == [{"train": 12, "val": 6}, 0]
    assert list(record["scores"]) == ["co-bps", "vel R2", "psth R2", "fp-bps"]
    assert record["results"] == [{"mc_maze_scaling_20_split": {f"[100] {k}": v for k, v in record["scores"].items()}}]
    assert (record["dataset"], record["bin_ms"], record["split"], record["fit_on"]) == (
        DATASET,
        20,
        "test",
        "train+val",
    )
    assert record["statement"] == f"This is the first test evaluation of {DATASET} in this ledger."
    assert not any("mc_rtt" in note for note in record["notes"])
    (entry,) = ledger.entries(DATASET)
    assert {"date", "sha256", "config", "scores", "run"} <= entry.keys()
    assert entry["config"]["data_options"] == {"dataset": DATASET, "bin_ms": 20.0, "phase": "test"}
    assert read_json(run, "test.json")["sha256"] == entry["sha256"]
    with h5py.File(run / "test" / "submission.h5") as file:
        assert file[GROUP]["eval_rates_heldout"].shape == (4, 35, 2)
    with pytest.raises(RunExistsError, match="was tested on .*: see its test.json. The scores will be the same"):
        run_test(run, target, progress=False)
    assert len(ledger.entries(DATASET)) == 1


def test_members_of_a_committee_are_fitted_again_and_keep_their_weights(run, target, tmp_path, monkeypatch):
    for name in ("a", "b"):
        place = run / "members" / name
        place.mkdir(parents=True)
        for file in ("model.py", "config.json"):
            (place / file).write_bytes((run / file).read_bytes())
    (run / "model.py").unlink()
    content = {"format": 1, "weights": {"a": 0.25, "b": 0.75}, "chosen": "given", "sha256": {"a": "", "b": ""}}
    write_json(run / "committee.json", content | {"table": None})
    runs.seal(run, recording=tuple(sorted((tmp_path / "data").rglob("*.nwb"))))
    fits, reports = {}, []

    def fit(model, trials, settings, stage, init, progress, under):
        (stage.path / under).mkdir(parents=True)
        fits[under] = MeanRates(trials, 0.4 if under == "test/members/a/" else 1.2)
        assert (settings.fit_on, settings.score_on) == ("train+val", "test")
        return fits[under]

    monkeypatch.setattr(testphase, "fit_posterior", fit)
    monkeypatch.setattr("nlbprob.committee.report", reports.append)
    run_test(run, target, progress=False)
    assert list(fits) == ["test/members/a/", "test/members/b/"]
    assert reports == [run]
    mean = fits["test/members/a/"].mean * (0.25 + 0.75 * 3)
    with h5py.File(run / "test" / "submission.h5") as file:
        rates = np.concatenate([file[GROUP][f"eval_rates_{kind}"][0, 0] for kind in ("heldin", "heldout")])
    np.testing.assert_allclose(np.sort(rates), np.sort(mean), rtol=1e-6)


def test_what_there_is_to_note_of_the_recording_is_said(run, target, fitted, capsys, monkeypatch):
    load = Settings.load

    def noting(self):
        trials = load(self)
        return trials.replace(source=trials.source | {"notes": ["one thing"]})

    monkeypatch.setattr(Settings, "load", noting)
    run_test(run, target)
    assert "\nNote: one thing\n" in capsys.readouterr().out


def test_a_later_test_is_marked_wherever_it_is_shown(run, target, fitted, capsys):
    assert main(["test", str(run), str(target)]) == 0
    capsys.readouterr()
    assert main(["test", str(run), str(target), "--force"]) == 0
    shown = capsys.readouterr().out
    lines = [line.split() for line in shown.splitlines() if line.startswith(f"{DATASET} ")]
    assert [line[1:4] for line in lines] == [["test", "20", "ms"]] * 4
    statement = f"This is test evaluation 2 of {DATASET}: one came before it"
    assert statement in shown
    record = read_json(run, "test.json")
    assert (record["earlier"], record["later"], record["earlier_on_these_targets"]) == (1, True, 1)
    assert main(["score", str(run)]) == 0
    assert statement in capsys.readouterr().out
    assert main(["score", str(run), "--json"]) == 0
    assert statement in json.loads(capsys.readouterr().out)["tested"]["statement"]
    assert main(["leaderboard", DATASET, str(run)]) == 0
    assert "this run, evaluation 2 on test" in capsys.readouterr().out


def test_what_cannot_be_tested_is_said_before_the_fit(run, target, fitted, tmp_path, monkeypatch):
    with h5py.File(target, "a") as file:
        file.move(GROUP, DATASET)
    with pytest.raises(InputError, match=f"no targets of {GROUP}; they are of the other bin width .{DATASET}.*"):
        run_test(run, target)
    with h5py.File(target, "a") as file:
        del file[DATASET]
    with pytest.raises(InputError, match=f"no targets of {GROUP}; they hold mc_rtt. Name the file"):
        run_test(run, target)
    target.write_bytes(target.read_bytes()[:-100])
    with pytest.raises(InputError, match="truth.h5: cannot be read as HDF5"):
        run_test(run, target)
    with pytest.raises(FileNotFoundError, match="none.h5: there is no such file"):
        run_test(run, tmp_path / "none.h5")
    with pytest.raises(InputError, match="holds no run"):
        run_test(tmp_path, target)
    config = read_json(run, "config.json")
    write_json(run / "config.json", config | {"data": {}})
    runs.seal(run)
    with pytest.raises(InputError, match="the run is of a recording of its own, which has no test phase"):
        run_test(run, target)
    assert fitted == []


def test_without_a_ledger_nothing_is_scored(run, target, fitted, tmp_path):
    (tmp_path / "ledger").write_text("a file where the folder should be")
    with pytest.raises(InputError, match="the ledger of test evaluations cannot be written"):
        run_test(run, target)
    assert fitted == []
    assert read_test(run) is None


def test_rates_that_do_not_pass_are_not_scored(run, target, monkeypatch):
    def guess(factor):
        def fit(model, trials, settings, stage, *_, under):
            (stage.path / under).mkdir()
            return MeanRates(trials, factor)

        return fit

    monkeypatch.setattr(testphase, "fit_posterior", guess(50))
    with pytest.raises(InputError, match="Hz"):
        run_test(run, target, progress=False)
    monkeypatch.setattr(testphase, "fit_posterior", guess(2.5))
    with pytest.raises(InputError, match="does not pass the check, and nothing was scored:\nFAILS"):
        run_test(run, target, progress=False)
    assert ledger.entries(DATASET) == []
    assert read_test(run) is None


def test_an_interrupted_test_counts_for_nothing(run, target, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(testphase, "fit_posterior", interrupted)
    with pytest.raises(KeyboardInterrupt, match="interrupted: nothing of the test was kept; the same command starts"):
        run_test(run, target, progress=False)
    assert ledger.entries(DATASET) == []
    assert reading.examine(run).state == "done"
    assert not (run / "unfinished").exists()


def test_a_recording_that_has_changed_is_not_tested(run, target, fitted, tmp_path):
    path = next((tmp_path / "data").rglob("*test*.nwb"))
    whole = path.read_bytes()
    path.write_bytes(whole + b" ")
    with pytest.raises(InputError, match=f"{path.name}: is not the recording that .* it has {len(whole) + 1} bytes"):
        run_test(run, target, progress=False)
    path.write_bytes(whole)  # at another time, which does not matter
    run_test(run, target, progress=False)
    assert len(fitted) == 2


def test_a_folder_that_is_not_the_runs_is_not_written_to(run, target, fitted):
    (run / "test").mkdir()
    (run / "test" / "mine").write_text("mine")
    with pytest.raises(InputError, match="test there belongs to no run, and is in the way"):
        run_test(run, target, progress=False)
    assert fitted == []
    assert (run / "test" / "mine").read_text() == "mine"
