"""The worked examples as notebooks: they are in step with their pages, and they run."""

import os
import pathlib
import runpy
import sys

import nbclient
import nbformat
import pytest

from tests.pages import NEEDS, prepare_recording

DOCS = pathlib.Path(__file__).resolve().parent.parent / "docs"
MADE = runpy.run_path(str(DOCS.parent / "experiments" / "notebooks.py"))
PAGES = sorted((DOCS / "examples").glob("*.md"))
#: The page whose notebook every run of the tests executes.
QUICK = "entry"
EACH = [pytest.param(page, marks=() if page.stem == QUICK else pytest.mark.slow) for page in PAGES]
#: What the first cell does in tests: fits are cut short, as in tests/test_docs.py.
FIRST = """
import pytest

from tests.pages import cut, shorten

shorten(pytest.MonkeyPatch())
get_ipython().events.register("post_run_cell", lambda result: cut(globals()))
"""
#: What stands for the program nlbprob.
COMMAND = """
import sys

import pytest

from nlbprob.cli import main
from tests.pages import SHORT_COMMAND, shorten

shorten(pytest.MonkeyPatch())
words = sys.argv[1:]
sys.exit(main([*words, *(SHORT_COMMAND if words[0] == "fit" else [])]))
"""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_notebook_is_in_step_with_its_page(page):
    text = page.read_text(encoding="utf-8")
    assert f"[This page as a notebook]({page.stem}.ipynb)" in text
    content = page.with_suffix(".ipynb").read_text(encoding="utf-8")
    assert content == MADE["written"](page), f"{page.stem}.ipynb is of an earlier {page.name}: run `make notebooks`"
    nbformat.validate(nbformat.reads(content, as_version=4))


def test_what_is_not_to_be_run_is_no_cell(tmp_path):
    blocks = [
        "# Title",
        "<!-- needs: file.nwb -->",
        "```python\nprint(3)\n```",
        '```text title="prints about"\n3\n```',
        "<!-- options are checked, not run -->",
        "```sh\nnlbprob new x\n```",
        "```sh\nnlbprob\n```",
    ]
    page = tmp_path / "page.md"
    page.write_text("\n\n".join(blocks) + "\n")
    cells = MADE["notebook"](page).cells
    assert [cell.source for cell in cells if cell.cell_type == "code"] == ["print(3)", "%%sh\nnlbprob"]
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    assert "nlbprob new x" in text
    assert "<!--" not in text
    assert "title=" not in text


def add_command(folder: pathlib.Path) -> None:
    """A program nlbprob whose fits are cut short."""
    folder.mkdir()
    program = folder / "nlbprob"
    program.write_text(f"#!{sys.executable}\n{COMMAND}")
    program.chmod(0o755)


@pytest.mark.parametrize("page", EACH, ids=lambda page: page.stem)
def test_a_notebook_runs(page, tmp_path, root, monkeypatch):
    for name in NEEDS.findall(page.read_text(encoding="utf-8")):
        prepare_recording(tmp_path, name, root)
    add_command(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(root))
    notebook = nbformat.read(page.with_suffix(".ipynb"), as_version=4)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(FIRST))
    client = nbclient.NotebookClient(notebook, timeout=800, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()  # raises where a cell does
    ran = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(ran) > 3
    assert all(cell.execution_count for cell in ran)
