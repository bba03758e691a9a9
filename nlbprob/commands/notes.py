"""Notes of a verb besides its results, on the standard error stream, so that the results can be read by programs."""

import sys
import typing

if typing.TYPE_CHECKING:
    from nlbprob.storage.reading import Run


def print_remark(run: "Run") -> None:
    """Say of a run that a later fit was to replace it, where one was."""
    from nlbprob.storage.reading import remark

    if text := remark(run):
        print(f"Note: {text}", file=sys.stderr)
