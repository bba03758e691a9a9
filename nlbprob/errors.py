"""The exceptions that nlbprob raises on bad input."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Something handed to nlbprob cannot be used; the message names what, where, and what to do."""


class RunExistsError(InputError):
    """A run folder that already holds a run would be overwritten."""


def suggestion(name: str, choices: Iterable[object]) -> str:
    """What to say after "no such `name`": the closest choice, if any, and the whole list.

    >>> suggestion("hand_vle", ["hand_vel", "hand_pos"])
    "Did you mean 'hand_vel'? There are: 'hand_vel', 'hand_pos'."
    """
    known = [str(choice) for choice in choices]
    if not known:
        return "There are none."
    close = difflib.get_close_matches(name, known, n=1)
    return (f"Did you mean {close[0]!r}? " if close else "") + "There are: " + ", ".join(map(repr, known)) + "."


def printable(text: str) -> str:
    """The text with everything that a terminal would obey, such as control characters, as escapes.

    >>> printable("unit \\x1b[31m1")
    'unit \\\\x1b[31m1'
    """
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
