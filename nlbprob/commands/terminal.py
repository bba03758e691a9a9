"""What verbs print."""

from typing import Any

from nlbprob.errors import printable


def say(*lines: object, file: Any = None) -> None:
    """Print lines at once; what a terminal would obey in them, such as escape sequences in a file's name, is shown.

    Args:
        *lines: to print, each on its own.
        file: where to, the standard output by default.
    """
    for line in lines:
        print(*map(printable, str(line).split("\n")), sep="\n", file=file, flush=True)
