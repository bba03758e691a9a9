"""Every stage that a progress bar names is explained in the documentation."""

import pathlib
import re

from nlbprob.infer.fit.state import STAGES

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def test_every_stage_is_in_the_documentation():
    source = "\n".join(path.read_text() for path in (ROOT / "nlbprob").rglob("*.py"))
    named = set(re.findall(r'first(?:: str)? ?= ?"([^"]+)"|\.tick\("([^"]+)"', source))
    words = {word for pair in named for word in pair if word}
    words |= {stage.upper() for stage in STAGES if stage != "done"}
    assert {"compiling", "fitting folds", "folds", "evidence"} <= words
    page = (ROOT / "docs" / "concepts.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([^|]+) \|", page[page.index("What the progress bar names") :], re.MULTILINE)
    told = {word.strip() for row in rows for word in re.split(r", then ", row)}
    assert words <= told, words - told
