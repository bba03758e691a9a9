"""A fit's log: one line of JSON for each step, for programs that look on."""

import contextlib
import json
import math
import os
import pathlib
import resource
import sys
from typing import Any

from nlbprob.files import translated, write_text
from nlbprob.infer.fit.state import FitInfo, FitState


class Log:
    """Watches a fit and writes the info of each step to a file of JSON lines.

    A line has "stage", "step" (from 1 in its stage), "seed", "elbo" (nats), "seconds" since the fit started and
    "peak_memory_mb" of the process; with early stopping "heldout_bits", too (bits per spike); once EM's bound is
    level "moved_most" and "moved_by_sd": the site that moved most, and by how many standard deviations.

    Args:
        path: the file. Where the fit goes on from a checkpoint, lines up to it are kept and later ones removed; those
            that a killed process had not written yet are added.
        state: where the fit starts.
    """

    def __init__(self, path: str | os.PathLike, state: FitState):
        self.path = pathlib.Path(path)
        until = state.log[-1].seconds if state.log else -1.0
        kept = [line for line in lines(self.path) if seconds_of(line) <= until]
        last = seconds_of(kept[-1]) if kept else -1.0
        missing = [json.dumps(line_of(info)) + "\n" for info in state.log if info.seconds > last]
        write_text(self.path, "".join([*kept, *missing]))

    def __call__(self, state: FitState, info: FitInfo) -> None:
        """Add the line of a step."""
        with translated(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line_of(info)) + "\n")


def line_of(info: FitInfo) -> dict[str, Any]:
    """The log's line of a step."""
    line = {"stage": info.stage, "step": info.iteration, "seed": info.seed, "elbo": info.elbo, "seconds": info.seconds}
    line |= {} if info.heldout_bits is None else {"heldout_bits": info.heldout_bits}
    line |= {} if info.moved is None else {"moved_most": info.moved[0], "moved_by_sd": info.moved[1]}
    return line | {"peak_memory_mb": peak_memory_mb()}


def lines(path: pathlib.Path) -> list[str]:
    """The lines of a log that are whole; none where there is no log."""
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    return [line for line in text.splitlines(keepends=True) if line.endswith("}\n")]


def seconds_of(line: str) -> float:
    """When a line was written, in seconds since the fit started; infinite where the line is damaged."""
    with contextlib.suppress(ValueError, TypeError, KeyError):
        return float(json.loads(line)["seconds"])
    return math.inf


def peak_memory_mb() -> float:
    """The most memory that this process has had so far, in MB; of the device's own memory nothing is known here."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    in_bytes = peak if sys.platform == "darwin" else 1024 * peak
    return round(in_bytes / 1e6, 1)
