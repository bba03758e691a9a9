"""Messages: what a file says in them cannot steer a terminal."""

import pickle

import pytest

from nlbprob.errors import InputError, RunExistsError, printable


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("unit\x1b[2J", "unit\\x1b[2J"),
        ("a\nb\tc\r", "a\\nb\\tc\\r"),
        ("\u202egnp.exe\u2066", "\\u202egnp.exe\\u2066"),
        ("\ud800\x00\x9b\x7f", "\\ud800\\x00\\x9b\\x7f"),
        ("naïve μ → 東京 \u00a0", "naïve μ → 東京 \u00a0"),
    ],
)
def test_control_characters_are_written_out(text, expected):
    assert printable(text) == expected


@pytest.mark.parametrize("kind", [InputError, RunExistsError])
def test_messages_hold_none_but_line_breaks_and_pickle(kind):
    error = kind("behavior: no series '\x1b]0;x\x07'\nsecond line")
    assert str(error) == "behavior: no series '\\x1b]0;x\\x07'\nsecond line"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
