"""What verbs print: nothing of it is obeyed by a terminal."""

import io

from nlbprob.commands.table import print_scores, table
from nlbprob.commands.terminal import say

HOSTILE = "a\x1b]0;owned\x07\x9b31m\u202eb\udcff"


def test_control_characters_are_shown():
    out = io.StringIO()
    say(HOSTILE, "two\nlines", 3, file=out)
    assert out.getvalue() == "a\\x1b]0;owned\\x07\\x9b31m\\u202eb\\udcff\ntwo\nlines\n3\n"


def test_tables_and_scores_show_them(capsys):
    assert all(line.isprintable() for line in table(["", HOSTILE], [["x\ny", "\x07"]]).split("\n"))
    print_scores(
        {
            "split": "val",
            "val": {HOSTILE: 0.5},
            "baselines": {HOSTILE: {HOSTILE: 0.1}},
            "intervals": {},
            "reasons": {HOSTILE: HOSTILE},
            "fit_on": HOSTILE,
            "bin_ms": 5.0,
        },
        HOSTILE,
    )
    assert all(line.isprintable() for line in capsys.readouterr().out.split("\n"))
