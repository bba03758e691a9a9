"""The benchmark's published numbers, and where others would stand among them."""

import csv
import dataclasses
import importlib.resources
from collections.abc import Sequence

from nlbprob.data.nlb.facts import facts

#: Where a row comes from, by the letter in its column "source".
SOURCES = {
    "S": "Le & Shlizerman (2022), STNDT, NeurIPS 2022, tables 1 and 2: the leaderboard's rows of 2022",
    "E": "the leaderboard's API (EvalAI challenge 1256) on 9 October 2026, as quoted in a public repository",
    "J": "AutoLFADS on KubeFlow, Journal of Open Source Software",
    "M": "Makin laboratory",
    "L": "ladys repository, README",
    "N": "NLBProject repository (cabe9)",
    "Q": "noema repository, self-reported",
    "G": "GRAFT repository, self-reported in 2026",
    "V": "a repository's own validation",
}
#: Columns of the file -> the benchmark's names.
SCORES = {"co_bps": "co-bps", "vel_r2": "vel R2", "tp_corr": "tp corr", "psth_r2": "psth R2", "fp_bps": "fp-bps"}


@dataclasses.dataclass(frozen=True)
class Row:
    """One entry: a model's scores on a data set.

    Attributes:
        model: its name.
        dataset: the benchmark's name of the data set.
        bin_ms: width of a bin in ms.
        split: the scored split.
        values: by the benchmark's names; None where not known.
        source: letters of SOURCES, joined by "/", or a folder.
        note: what has to be known of the entry.
        own: whether it is a run of the user's, and not published.
    """

    model: str
    dataset: str
    bin_ms: float
    split: str
    values: dict[str, float | None]
    source: str
    note: str = ""
    own: bool = False


def published(dataset: str) -> list[Row]:
    """The published rows of a data set, the best co-bps first. Raises InputError where there is no such data set."""
    name = facts(dataset).name
    text = importlib.resources.files("nlbprob.scoring").joinpath("leaderboard.csv").read_text(encoding="utf-8")
    rows = [
        Row(
            model=line["model"],
            dataset=name,
            bin_ms=float(line["bin_ms"]),
            split=line["split"],
            values={score: float(line[column]) if line[column] else None for column, score in SCORES.items()},
            source=line["source"],
            note=line["note"],
        )
        for line in csv.DictReader(text.splitlines())
        if line["dataset"] == name
    ]
    return ranked(rows)


def ranked(rows: Sequence[Row]) -> list[Row]:
    """Rows by co-bps, the best first and those without last."""

    def place(row: Row) -> float:
        value = row.values.get("co-bps")
        return float("inf") if value is None else -value

    return sorted(rows, key=place)


def warnings(run_rows: Sequence[Row], rows: Sequence[Row]) -> list[str]:
    """Why some of the user's rows cannot be compared with the published ones, which are of the test split."""
    widths = sorted({row.bin_ms for row in rows if row.split == "test"})
    messages = []
    for row in run_rows:
        reasons = []
        if row.split != "test":
            reasons.append(f"scored on {row.split} after learning from fewer trials, and these on test")
        if widths and row.bin_ms not in widths:
            listed = " and ".join(f"{width:g}" for width in widths)
            reasons.append(f"in bins of {row.bin_ms:g} ms, and these in bins of {listed} ms")
        if reasons:
            messages.append(f"{row.model} cannot be compared with published rows: it is {', '.join(reasons)}.")
    return messages


def cited(rows: Sequence[Row]) -> list[str]:
    """The sources of published rows in words, in the order of SOURCES."""
    letters = {letter for row in rows if not row.own for letter in row.source.split("/")}
    return [f"[{letter}] {text}" for letter, text in SOURCES.items() if letter in letters]
