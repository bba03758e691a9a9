"""Every example in docs/ runs, and prints what is shown below it; the site builds from what is there."""

import importlib
import importlib.util
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

import pytest

import nlbprob
from nlbprob.cli import main
from nlbprob.commands.parser import Parser
from nlbprob.model_file import find_model
from nlbprob.resources import model_names
from tests import reaches
from tests.pages import (
    ABOUT,
    BLOCK,
    NEEDS,
    SHORT_COMMAND,
    check_shown,
    cut,
    form,
    prepare_recording,
    short,  # noqa: F401
    spaced,
)

DOCS = pathlib.Path(__file__).resolve().parent.parent / "docs"
PAGES = sorted(page for page in DOCS.rglob("*.md") if "```" in page.read_text(encoding="utf-8"))
#: Pages that fit several models, and pages of large recordings.
SEVERAL = ("coming_from", "comparison", "functions", "howto", "pareto", "posterior", "questions")
LARGE = ("maze", "nlb21", "steinmetz")
#: The page whose notebook tests/test_notebooks.py runs.
NOTEBOOK = DOCS / "examples" / "entry.md"
EACH = [
    pytest.param(page, marks=pytest.mark.slow if page.stem in (*SEVERAL, *LARGE) or page == NOTEBOOK else ())
    for page in PAGES
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where a page's examples run."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def prepare_benchmark(folder, monkeypatch):
    """A data/ with an mc_maze_small, where nothing is downloaded."""
    monkeypatch.setenv("NLBPROB_DATA", str(folder / "ledger"))
    drawn = reaches.write_reaches(folder / "data")
    (train,) = (folder / "data").rglob("*desc-train*.nwb")
    monkeypatch.setattr("nlbprob.data.dandi.download", lambda dataset, to: [train])
    targets = folder / "data" / "eval_data_test.h5"
    monkeypatch.setattr(
        "nlbprob.data.dandi.download_test_targets", lambda to: reaches.write_truth(targets, *drawn, bin_ms=20)
    )


def test_what_is_code_in_a_run_is_said_and_how_to_look_without(root):
    """SECURITY.md says it, and whoever reads the README or of saved posteriors is led there."""
    text = " ".join((root / "SECURITY.md").read_text(encoding="utf-8").split())
    assert re.search(r"`model.py` \| \*\*code\*\* \| `nlbprob report` and `nlbprob test` run it", text)
    assert "on a folder or a model file of somebody else is running somebody else's program" in text
    _, _, safe = text.partition("## To look at a stranger's run without running its code")
    for way in ("`nlbprob check RUN`", "`nlbprob score RUN`", '`nlb.Posterior.load("RUN/posterior")`', "posterior.nc"):
        assert way in safe.partition("## ")[0]
    for page in (root / "README.md", DOCS / "posterior.md"):
        assert "`SECURITY.md`" in page.read_text(encoding="utf-8")


@pytest.mark.filterwarnings("ignore:All-NaN slice")  # an area whose few neurons are silent in the few bins left
@pytest.mark.parametrize("page", EACH, ids=lambda page: page.stem)
def test_examples_run_and_print_what_is_shown(page, folder, short, root, monkeypatch, capsys):  # noqa: F811
    content = page.read_text(encoding="utf-8")
    for name in NEEDS.findall(content):
        prepare_recording(folder, name, root)
    if "mc_maze_small" in content:
        prepare_benchmark(folder, monkeypatch)
    names, printed = {"__name__": "page"}, []
    blocks = BLOCK.findall(content)
    assert 2 * len(blocks) == len(re.findall("^```", content, re.MULTILINE))
    for mark, kind, title, text in blocks:
        if kind == "toml":
            continue
        if kind == "text":
            if title in ("", ABOUT):
                check_shown(text, printed, form if title else spaced)
            continue
        if mark == "options are checked, not run":
            check_options(text)
        elif mark != "shown only":
            if kind == "python":
                exec(compile(text, str(page), "exec"), names)
            else:
                run_commands(text, capsys)
            printed = capsys.readouterr().out.splitlines()
            if "nlb.fit(" in content:
                cut(names)


def test_parts_of_ones_own_are_those_that_the_tests_put_through_their_life(root):
    tests = [*(root / "tests" / "extension").glob("*.py"), root / "tests" / "scoring" / "test_own_metric.py"]
    lines = "\n".join(line.strip() for path in tests for line in path.read_text(encoding="utf-8").splitlines())
    blocks = BLOCK.findall((DOCS / "inference.md").read_text(encoding="utf-8"))
    assert len(blocks) == 7
    for mark, _, _, text in blocks:
        assert mark == "shown only"
        assert "\n".join(line.strip() for line in text.strip().splitlines()) in lines, text


def words_of(text):
    """The words of each command in a block, without the program's name."""
    for line in text.replace("\\\n", " ").splitlines():
        program, *words = shlex.split(line, comments=True)
        assert program == "nlbprob", line
        yield words


def run_commands(text, capsys):
    """Run each command, fits cut short."""
    for words in words_of(text):
        assert main([*words, *(SHORT_COMMAND if words[0] == "fit" else [])]) == 0, capsys.readouterr().err


def check_options(text):
    """Every command has the options that are given, and so has its model."""
    for verb, *words in words_of(text):
        parser = Parser(prog=f"nlbprob {verb}")
        importlib.import_module(f"nlbprob.commands.{verb}").add_arguments(parser)
        arguments = parser.parse_args(words)
        if getattr(arguments, "model", None) in model_names():
            find_model(arguments.model).check(arguments.model_options)


@pytest.mark.parametrize("name", ["blocks", "functions"])
def test_an_own_model_is_fitted_and_scored_in_under_fifty_lines(name):
    program, content = "", (DOCS / f"{name}.md").read_text(encoding="utf-8")
    for mark, kind, _, text in BLOCK.findall(content):
        if kind == "python" and mark != "an aside":
            program += text
        if "nlb.score(" in program:
            break
    assert all(part in program for part in ("nlb.load(", "nlb.fit(", "hide_heldout(", "nlb.score("))
    assert len([line for line in program.splitlines() if line.strip()]) < 50


def test_reference_names_every_public_name():
    listed = re.findall(r"^::: (\S+)$", "\n".join(p.read_text() for p in DOCS.glob("reference/*.md")), re.MULTILINE)
    assert len(listed) == len(set(listed))
    assert {f"{module}.{name}" for name, module in nlbprob.PUBLIC.items()} <= set(listed)
    figures = [getattr(nlbprob.plot, name) for name in nlbprob.plot.__all__]
    assert {f"{figure.__module__}.{figure.__name__}" for figure in figures} <= set(listed)


def test_site_builds_without_warnings_and_loads_nothing_from_elsewhere(tmp_path, root):
    if importlib.util.find_spec("mkdocs") is None:
        pytest.skip("needs the extra `docs`: pip install 'nlbprob[docs]'")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stdout + done.stderr
    pages = {path.stem: path.read_text(encoding="utf-8") for path in (tmp_path / "site").rglob("*.html")}
    assert {page.stem for page in PAGES} <= set(pages)
    for name, module in nlbprob.PUBLIC.items():
        assert any(f'id="{module}.{name}"' in text for text in pages.values()), name
    loads = r'<(?:script|img|iframe|link)\b[^>]*?(?:src|href)="(?:https?:)?//[^"]*"[^>]*>'
    assert [tag for text in pages.values() for tag in re.findall(loads, text)] == []


def test_the_table_of_accuracy_beside_black_boxes_is_what_was_measured():
    measured = json.loads((DOCS.parent / "experiments" / "front" / "front.json").read_text(encoding="utf-8"))
    names = {"macaque, reaches": "maze_large_subset", "macaque, mazes": "mc_maze_segments"}
    rows = re.findall(
        r"^\| (macaque, \w+) \| `(\w+)` \| (.*) \|$", (DOCS / "front.md").read_text(encoding="utf-8"), re.M
    )
    assert len(rows) == 3
    for recording, model, cells in rows:
        fits = [cell for name, cell in measured[names[recording]].items() if name.startswith(f"{model}, ")]
        first, bits = fits[0], [fit["scores"]["co-bps"][0] for fit in fits]
        value, low, high = first["scores"]["co-bps"]
        difference = "{:+.3f} [{:+.3f}, {:+.3f}]".format(*first["less black boxes"])
        decoded = first["scores"]["vel R2"][0]
        assert cells.split(" | ") == [
            str(first["latents"]),
            f"{value:.3f} [{low:.3f}, {high:.3f}]",
            f"{min(bits):.3f} to {max(bits):.3f}" if len(fits) == 5 else "-",
            difference,
            "-" if decoded is None else f"{decoded:.3f}",
        ]
