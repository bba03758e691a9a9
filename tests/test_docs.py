"""Every example in docs/ runs, and prints what is shown below it, up to the numbers."""

import pathlib
import re
import shlex
import shutil

import pytest

from nlbprob.cli import main
from tests import reaches

PAGES = sorted((pathlib.Path(__file__).resolve().parent.parent / "docs").glob("*.md"))
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: The shortest fit there is; pages show the output of the usual one, and numbers are not compared.
SHORT = ["--em-iterations", "1", "--svi-steps", "0", "--posterior", "map", "--draws", "2"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where examples run: with recording.nwb, and data/ with an mc_maze_small; nothing is downloaded."""
    monkeypatch.setenv("NLBPROB_DATA", str(tmp_path / "ledger"))
    monkeypatch.chdir(tmp_path)
    drawn = reaches.write_reaches(tmp_path / "data")
    (train,) = (tmp_path / "data").rglob("*desc-train*.nwb")
    shutil.copy(train, "recording.nwb")
    monkeypatch.setattr("nlbprob.data.dandi.download", lambda dataset, to: [train])
    targets = tmp_path / "data" / "eval_data_test.h5"
    monkeypatch.setattr(
        "nlbprob.data.dandi.download_test_targets", lambda to: reaches.write_truth(targets, *drawn, bin_ms=20)
    )
    return tmp_path


@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_examples_run_and_print_what_is_shown(page, folder, capsys):
    names, printed = {}, ""
    for kind, text in BLOCK.findall(page.read_text(encoding="utf-8")):
        if kind == "text":
            missing = [line for line in text.splitlines() if line and plain(line) not in map(plain, printed)]
            assert not missing, "\n".join([*missing, "are not among", *printed])
            continue
        if kind == "python":
            exec(compile(text, str(page), "exec"), names)
        elif kind == "sh":
            for line in text.replace("\\\n", " ").splitlines():
                command, *words = shlex.split(line, comments=True)
                assert command == "nlbprob", line
                assert main([*words, *(SHORT if words[0] == "fit" else [])]) == 0, capsys.readouterr().err
        printed = capsys.readouterr().out.splitlines()


def plain(line: str) -> str:
    """A line with every number as 0, and without what lines columns up."""
    return " ".join(re.sub(r"-?\d+(\.\d+)?", "0", line).split())
