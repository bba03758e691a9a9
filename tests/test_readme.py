"""The examples of README.md run on a recording of their kind, and print lines of the form that is shown."""

import re

import pytest

from nlbprob.commands.parser import Parser
from nlbprob.simulation import reaches, write_nwb
from tests.pages import BLOCK, check_shown, form, short  # noqa: F401


@pytest.fixture
def recording(tmp_path, monkeypatch):
    """A short recording of reaches, by the name that the examples give it."""
    train, _ = write_nwb(tmp_path, reaches(trials=30, neurons=24))
    train.rename(tmp_path / "recording.nwb")
    monkeypatch.chdir(tmp_path)


def test_python_examples_run_and_print_what_is_shown(root, recording, short, capsys):  # noqa: F811
    names, printed = {}, []
    blocks = BLOCK.findall((root / "README.md").read_text(encoding="utf-8"))
    assert sum(kind == "python" for _, kind, _, _ in blocks) >= 3
    for _, kind, _, text in blocks:
        if kind == "text" and printed:
            check_shown(text, printed, form)
        elif kind == "python":
            exec(compile(text, "README.md", "exec"), names)
            printed = capsys.readouterr().out.splitlines()


def test_commands_have_the_options_that_are_shown(root):
    from nlbprob.commands import fit, new

    text = (root / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"nlbprob (fit|new) ([^\n`]+)", text)
    assert len(commands) >= 2
    for verb, words in commands:
        if "--help" in words:
            continue
        parser = Parser(prog=f"nlbprob {verb}")
        {"fit": fit, "new": new}[verb].add_arguments(parser)
        parser.parse_args(words.split())
