"""The examples of README.md run on a recording of their kind, and print lines of the form that is shown."""

import re

import pytest

from nlbprob.commands.parser import Parser
from nlbprob.simulation import reaches, write_nwb

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def form(line: str) -> str:
    """A line with every number as 0 and every gap as one space."""
    return " ".join(re.sub(r"-?\d+(\.\d+)?%?", "0", line).split())


@pytest.fixture
def recording(tmp_path, monkeypatch):
    """A short recording of reaches, by the name that the examples give it."""
    train, _ = write_nwb(tmp_path, reaches(trials=30, neurons=24))
    train.rename(tmp_path / "recording.nwb")
    monkeypatch.chdir(tmp_path)


@pytest.mark.timeout(300)
def test_python_examples_run_and_print_what_is_shown(root, recording, capsys):
    names, blocks = {}, BLOCK.findall((root / "README.md").read_text(encoding="utf-8"))
    assert sum(kind == "python" for kind, _ in blocks) >= 3
    for (kind, text), (following, shown) in zip(blocks, [*blocks[1:], ("", "")], strict=True):
        if kind != "python":
            continue
        exec(compile(text, "README.md", "exec"), names)
        printed = capsys.readouterr().out.splitlines()
        if following == "text":
            known = {form(line) for line in printed}
            assert [line for line in shown.splitlines() if form(line) not in known] == [], printed


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
