"""From the files of a data set to a tested run, by the commands alone."""

import json

import h5py
import pytest

from nlbprob.cli import main
from nlbprob.data.nlb.facts import suffix
from nlbprob.errors import InputError
from nlbprob.scoring import ledger
from nlbprob.storage.reading import read_json
from tests.scoring.files import truth, write

#: The shortest fit there is: compiling takes the time, and what a fit is good for is tested elsewhere.
SHORT = ["--em-iterations", "1", "--svi-steps", "0", "--posterior", "map", "--draws", "2", "--model.dim", "2"]


@pytest.mark.parametrize(
    ("dataset", "bin_ms"),
    [
        ("mc_maze_small", 20),
        pytest.param("mc_rtt", 5, marks=pytest.mark.slow),
        pytest.param("area2_bump", 20, marks=pytest.mark.slow),
        pytest.param("dmfc_rsg", 20, marks=pytest.mark.slow),
    ],
)
def test_a_data_set_is_fitted_checked_scored_and_tested(shared, dataset, bin_ms, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("NLBPROB_DATA", str(tmp_path / "ledger"))
    if dataset != "mc_maze_small":  # one report is enough: they take a third of the time
        monkeypatch.setattr("nlbprob.reporting.page.write_report", page_of_test)
        monkeypatch.setattr("nlbprob.posterior.posterior.Posterior.to_netcdf", no_draws)
    golden, run, group = shared / "golden", tmp_path / "run", dataset + suffix(bin_ms)
    data = [str(golden / "nwb"), "--dataset", dataset, "--bin-ms", str(bin_ms)]

    assert main(["fit", "poisson_lds", *data, "--out", str(run), *SHORT]) == 0
    assert main(["tensors", *data, "--out", str(tmp_path / "val")]) == 0
    assert main(["check", str(run / "submission.h5"), str(tmp_path / "val")]) == 0
    capsys.readouterr()
    assert main(["score", str(run / "submission.h5"), str(tmp_path / "val" / "target.h5"), "--json"]) == 0
    found = values(capsys.readouterr().out, dataset)
    own = read_json(run, "metrics.json")["val"]
    assert found == pytest.approx({name: value for name, value in own.items() if value is not None}, abs=1e-6)

    with h5py.File(golden / "expected" / f"{dataset}-{bin_ms}ms" / "submission_test.h5") as file:
        rates = {key: item[()] for key, item in file[group].items()}
    target = str(write(tmp_path / "truth.h5", {group: truth(group, rates)}))
    assert main(["test", str(run), target]) == 0
    assert f"This is the first test evaluation of {dataset}" in capsys.readouterr().out
    assert main(["tensors", *data, "--phase", "test", "--out", str(tmp_path / "test")]) == 0
    submission = str(run / "test" / "submission.h5")
    assert main(["check", submission, str(tmp_path / "test")]) == 0
    capsys.readouterr()
    assert main(["score", submission, target, "--split", "test", "--json"]) == 0
    shown = capsys.readouterr()
    record = read_json(run, "test.json")
    assert values(shown.out, dataset) == pytest.approx(record["scores"])
    assert "This is test evaluation 2" in shown.err
    assert [entry["sha256"] for entry in ledger.entries(dataset)] == [record["sha256"]] * 2
    assert "This is the first test evaluation" in (run / "report.html").read_text()


def page_of_test(path, tested=None, **_):
    path.write_text("" if tested is None else tested["statement"])
    return path


def no_draws(*_, **__):
    raise InputError("They are left out here.")


def values(text, dataset):
    """The scores of the only data set in what `score --json` prints, without its prefix."""
    ((_, scores),) = json.loads(text)[0].items()
    return {name.removeprefix("[100] "): value for name, value in scores.items()}
