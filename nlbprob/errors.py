"""The exceptions that nlbprob raises on bad input."""

import difflib
import re
import threading
from collections.abc import Iterable

#: Set while a signal has asked the process to end, see `nlbprob.commands.interrupts`.
ENDING = threading.Event()
#: Characters that move a terminal's cursor, change its colors, or turn the direction of what follows.
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    r"""The text with every control character written out, so that a file cannot write to its reader's terminal.

    >>> printable("unit\x1b[2J")
    'unit\\x1b[2J'
    """
    return CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


class InputError(ValueError):
    """An argument or a file cannot be used; the message names it, the fault, and the remedy."""

    def __init__(self, message: object = "") -> None:
        super().__init__("\n".join(map(printable, str(message).split("\n"))))


class RunExistsError(InputError):
    """A run folder that already holds a run would be overwritten."""


def suggestion(name: str, choices: Iterable[object]) -> str:
    """The end of a message about an unknown `name`: the closest choice, if any, and the list of all.

    >>> suggestion("hand_vle", ["hand_vel", "hand_pos"])
    "Did you mean 'hand_vel'? There are: 'hand_vel', 'hand_pos'."
    """
    names = [str(choice) for choice in choices]
    if not names:
        return "There are none."
    close = difflib.get_close_matches(str(name), names, n=1)
    return (f"Did you mean {close[0]!r}? " if close else "") + "There are: " + ", ".join(map(repr, names)) + "."


def was_interrupted(error: BaseException | None) -> bool:
    """Whether an error is Ctrl-C or was caused by it; code that catches all exceptions may raise another one.

    Code in C does so without a word of the cause: where a signal has asked the process to end, errors other than those
    of inputs and of the system are taken for that.
    """
    if ENDING.is_set() and error is not None and not isinstance(error, InputError | OSError):
        return True
    return caused_by_interrupt(error)


def caused_by_interrupt(error: BaseException | None) -> bool:
    """Whether an error is Ctrl-C or names it as its cause."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False
