"""The worked examples as notebooks: each page docs/examples/NAME.md becomes docs/examples/NAME.ipynb.

python experiments/notebooks.py

The text and the output that a page shows stay text; its Python and its commands become cells. A block that a comment
marks as shown only, or as one whose options are checked, stays text too.
"""

import pathlib
import re

import jupytext
from nbformat import NotebookNode

EXAMPLES = pathlib.Path(__file__).resolve().parents[1] / "docs" / "examples"
#: A comment that keeps the block below it from being run, and the kind of that block.
KEPT = re.compile(r"^<!-- (?:shown only|options are checked, not run) -->\n\n```(\w+)", re.MULTILINE)
#: Comments for the tests of the pages, and the line with a page's link to its notebook.
HIDDEN = re.compile(r"^(?:<!-- .* -->|\[This page as a notebook\]\(.*)\n\n", re.MULTILINE)
#: What jupytext reads before the text: cells are of Python, commands become cells of `%%sh`.
HEADER = """---
jupyter:
  kernelspec:
    display_name: Python 3
    language: python
    name: python3
---

"""


def notebook(page: pathlib.Path) -> NotebookNode:
    """A page as a notebook without outputs."""
    text = HIDDEN.sub("", KEPT.sub(r"```\1 .noeval", page.read_text(encoding="utf-8")))
    text = re.sub(r'^```text title=".*"$', "```text", text, flags=re.MULTILINE)
    made = jupytext.reads(HEADER + text, fmt="md")
    for number, cell in enumerate(made.cells):
        cell.id = f"cell-{number}"  # otherwise drawn at random
        cell.metadata = NotebookNode()
    return made


def written(page: pathlib.Path) -> str:
    """The content of the page's notebook file."""
    return jupytext.writes(notebook(page), fmt="ipynb").rstrip("\n") + "\n"


def main() -> None:
    """Write all of them beside their pages."""
    for page in sorted(EXAMPLES.glob("*.md")):
        page.with_suffix(".ipynb").write_text(written(page), encoding="utf-8")


if __name__ == "__main__":
    main()
