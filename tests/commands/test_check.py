"""`nlbprob check` of a run."""

import json

import pytest

from nlbprob.cli import main
from tests import runs


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.nwb").write_bytes(b"one")
    return runs.make(tmp_path / "run", recording=(tmp_path / "a.nwb",))


def test_every_file_is_ok_changed_missing_or_not_listed(run, capsys):
    assert main(["check", "run"]) == 0
    assert "run: the run is whole." in capsys.readouterr().out
    (run / "notes\x1b[2J.txt").write_text("mine")
    assert main(["check", "run"]) == 0
    (run / "metrics.json").unlink()
    (run / "model.py").write_text("raise SystemExit('code of a stranger')")
    (run.parent / "a.nwb").write_bytes(b"two")
    assert main(["check", "run"]) == 1
    lines = capsys.readouterr().out.splitlines()[-7:]
    assert lines == [
        "config.json: ok",
        "metrics.json: is missing",
        "model.py: was changed since the run wrote it",
        "posterior/posterior.npz: ok",
        "notes\\x1b[2J.txt: is not listed: no file of the run",
        f"{run.parent}/a.nwb: the recording: its content is another one (by its SHA-256)",
        "run: the run is not whole.",
    ]
    assert main(["check", "run", "--json"]) == 1
    content = json.loads(capsys.readouterr().out)
    assert (content["state"], content["whole"]) == ("done", False)
    assert content["files"]["metrics.json"] == "is missing"
    assert len(content["not listed"]) == 1


def test_what_is_checked_is_told_apart(run, capsys):
    for words, message in [
        (["check", "run", "inputs"], "a run is checked alone"),
        (["check", "a.nwb"], "name the inputs that the submission was predicted from"),
        (["check", "."], "holds no run (no manifest.json)"),
        (["check", "none"], "name the inputs"),
    ]:
        assert main(words) == 2
        assert message in capsys.readouterr().err
