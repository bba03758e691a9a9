"""Check an entry from its folder alone: every file by its checksum, every score from rates and counts."""

import dataclasses
import pathlib
from collections.abc import Iterator
from typing import Any

from nlbprob.entry.scoring import Number, compared, numbers, rescored
from nlbprob.errors import InputError
from nlbprob.storage import reading
from nlbprob.storage.contents import read_metrics
from nlbprob.storage.forms import INTERVAL, conform
from nlbprob.storage.reading import Run, parsed_json

#: The record of what an entry is made of, by which a folder is one; its folders of runs and of their data.
ABOUT, RUNS, DATA, SUBMISSION = "entry.json", "runs", "data", "submission.h5"
#: What entry.json holds.
FORM = {
    "title": str,
    "runs": {
        str: {
            "group": str,
            "fit_on": [str],
            "score_on": [str],
            "paired": {str: {"value": float, "interval": INTERVAL}},
        }
    },
}
#: A fit that is repeated elsewhere may differ from the first by this part of the width of the score's interval.
PART = 0.1


@dataclasses.dataclass(frozen=True)
class Check:
    """What a check found.

    Attributes:
        problems: what is wrong, in words; none where the entry passes.
        files: how many files are as they were written.
        scores: of each run, the number in the entry and the one that was computed, by run and score.
        agreeing: how many numbers were computed again and agree.
        unlisted: files in the folder that are not the entry's.
    """

    problems: list[str]
    files: int
    scores: dict[str, dict[str, tuple[float | None, float | None]]]
    agreeing: int
    unlisted: list[str]

    @property
    def passes(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def is_entry(run: Run) -> bool:
    """Whether a folder with a manifest holds an entry, be it one that was not completed."""
    return ABOUT in run.manifest.files or run.manifest.command.verb == "entry"


def check_entry(folder: str | pathlib.Path, *, scores: bool = True) -> Check:
    """Compare every file of an entry with its manifest, and compute its scores again from what the folder holds.

    No code of the entry runs, and nothing outside the folder is read.

    Args:
        folder: of the entry.
        scores: whether to compute the scores, which takes as long as the baselines do.

    Raises:
        InputError: the folder holds no entry.
    """
    folder = pathlib.Path(folder)
    examined = entry_in(folder)
    states = {name: reading.condition(examined, name) for name in sorted(examined.manifest.files)}
    problems = [f"{name} {state.replace('the run', 'the entry')}" for name, state in states.items() if state != "ok"]
    if examined.manifest.state != "done":
        problems.append(f"the entry is not complete ({examined.manifest.state}); make it again")
    whole, found, computed = len(states) - len(problems), {}, []
    if scores and examined.manifest.state == "done":
        try:
            for name, each in numbers_of(folder).items():
                computed += each
                found[name] = {one.names[-1]: one.pair for one in each if one.names[:-1] == ("scores",)}
                problems += [f"{name}: {one}" for one in each if not one.agrees]
        except (InputError, OSError) as error:
            problems.append(f"the scores cannot be computed: {error}")
    agreeing = sum(one.agrees for one in computed)
    return Check(problems, whole, found, agreeing, reading.strangers(examined))


def entry_in(folder: pathlib.Path) -> Run:
    """The entry in a folder. Raises InputError where it holds none."""
    examined = reading.examine(folder)
    if examined is None or not is_entry(examined):
        what = "holds no entry" if examined is None else "holds a run, not an entry"
        raise InputError(f"{folder} {what}: `nlbprob entry RUN --out {folder}-entry` makes one.")
    return examined


def numbers_of(folder: pathlib.Path) -> dict[str, list[Number]]:
    """By run, every number of an entry that follows from its rates and counts, beside what follows."""
    found = {}
    for name, each in parsed_json(folder / ABOUT, FORM)["runs"].items():
        if "/" in name or name in ("", ".", ".."):
            raise InputError(f"{folder / ABOUT}: {name!r} is no name of a run; take the entry from a copy.")
        splits = tuple(each["fit_on"]), tuple(each["score_on"])
        metrics = read_metrics(folder / RUNS / name) | {"paired": each["paired"]}
        computed = rescored(folder / DATA / name, folder / SUBMISSION, splits, each["group"])
        found[name] = list(compared(numbers(metrics), numbers(computed)))
    return found


def rerun_differences(folder: str | pathlib.Path, run: str | pathlib.Path) -> Iterator[tuple[str, float, float, bool]]:
    """The scores of a run that repeats one of an entry: name, in the entry, in the run, whether they are alike.

    Args:
        folder: of the entry.
        run: of the repeated run.

    Raises:
        InputError: the entry has no run of its bin width.
    """
    folder, again = pathlib.Path(folder), read_metrics(pathlib.Path(run))
    entry_in(folder)
    name = f"{again['bin_ms']:g}ms"
    known: dict[str, Any] = parsed_json(folder / ABOUT, FORM)["runs"]
    if name not in known:
        raise InputError(f"{run}: is in bins of {again['bin_ms']:g} ms, the entry's runs are {', '.join(known)}.")
    metrics = read_metrics(folder / RUNS / name)
    conform(again, {metrics["split"]: dict}, "metrics.json")
    for score, value in metrics[metrics["split"]].items():
        other, between = again[metrics["split"]].get(score), metrics["intervals"].get(score)
        if value is None:
            continue
        room = PART * (between[1] - between[0]) if between else PART * abs(value)
        yield score, value, float("nan") if other is None else other, other is not None and abs(other - value) <= room
