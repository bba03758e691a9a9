"""Compare runs on the same trials: scores, with differences from the first that are paired over trials, and latents.

Rates are read from the runs' submissions, latents from posterior.nc, trials from the recording: nothing is fitted, and
no code of a run is executed. With --folds the models are fitted to folds of the trials, and their files are run.
"""

import dataclasses
import json
import pathlib
import sys
from typing import Any

from nlbprob.commands.options import add_options, values_of
from nlbprob.commands.terminal import say
from nlbprob.errors import InputError
from nlbprob.options import SEED, Option, count

OPTIONS = {
    "bootstrap": Option(
        1000, count, "a whole number, 1 or more", "resamples of the trials, for the intervals (default 1000)", "N", int
    ),
    "folds": Option(
        None, count, "a whole number, 2 or more", "also compare the evidence of trials left out, in N folds", "N", int
    ),
    "seed": dataclasses.replace(SEED, help="seed of the resamples and folds (default 0)"),
}


def add_arguments(parser) -> None:
    """Add the runs, how to resample, and where to write."""
    parser.add_argument(
        "runs", metavar="RUN", nargs="+", help="folders that `nlbprob fit` wrote; the first is compared with"
    )
    parser.add_argument("--out", metavar="FOLDER", help="write comparison.html and comparison.json to this folder, too")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    add_options(parser, OPTIONS)


def run(arguments) -> int:
    """Print the scores of each run and its differences from the first, how latents relate, and the evidence."""
    if len(arguments.runs) < 2:
        raise InputError("Name two runs or more to compare.")
    options = values_of(arguments, OPTIONS)
    folds = options.pop("folds")
    if folds == 1:
        raise InputError("--folds 1: it takes 2 folds or more.")

    from nlbprob.comparison.evidence import evidence
    from nlbprob.comparison.latents import compare_latents
    from nlbprob.comparison.page import free_folder, write_comparison
    from nlbprob.comparison.predicted import predictions
    from nlbprob.comparison.scores import about, rows_of

    out = None if arguments.out is None else free_folder(pathlib.Path(arguments.out), "comparison.json")
    runs = predictions(arguments.runs)
    found = about(runs) | options | {"runs": rows_of(runs, **options), "latents": compare_latents(runs)}
    if folds is not None:
        found |= {"folds": folds, "evidence": evidence(runs, folds, options["seed"], progress=not arguments.json)}
    if arguments.json:
        say(json.dumps(found, indent=2, allow_nan=False))
    else:
        show(found)
    if out is not None:
        write_comparison(out, found)
        say(f"Everything is in {out}; look at {out}/comparison.html first.", file=sys.stderr)
    return 0


def show(found: dict[str, Any]) -> None:
    """Print a table for each score, which runs clearly differ from the first, and tables of latents and evidence."""
    from nlbprob.commands.table import table
    from nlbprob.reporting.comparison import scored, short_names, shortened, verdict

    found = shortened(found, short_names([row["run"] for row in found["runs"]]))
    rows = found["runs"]
    for name in scored(rows) or ["co-bps"]:
        say(f"\n{name} on {found['split']} ({found['trials']} trials), bins of {found['bin_ms']:g} ms\n")
        lines = [[row["run"], *cells(row["scores"].get(name, {"value": None, "interval": None}))] for row in rows]
        say(table(["", name, "90% interval", "less that of the first", "90% interval"], lines))
    say("", *(f"{verdict(row, rows[0]['run'])}." for row in rows[1:]))
    latents, evidence = found["latents"], found.get("evidence")
    if len(latents["runs"]) > 1:
        lines = [
            [run, str(dim), *(f"{value:.2f}" for value in values)]
            for run, dim, values in zip(latents["runs"], latents["dim"], latents["explained"], strict=True)
        ]
        say("\nHow much of the latents of a row those of a column explain (R2)\n")
        say(table(["", "latents", *latents["runs"]], lines))
    say(*(f"Latents are not compared: {run} {reason}." for run, reason in latents["reasons"].items()))
    if evidence is not None:
        lines = [[row["run"], *(f"{row[key]:.1f}" for key in ("elpd", "elpd_diff", "dse"))] for row in evidence]
        say(f"\nLog evidence of trials left out, {found['folds']} folds, nats over all trials\n")
        say(table(["", "log evidence", "from the best", "standard error"], lines))


def cells(score: dict[str, Any]) -> list[str]:
    """A score, its interval, its difference and the interval of that, as text."""
    from nlbprob.commands.table import cell

    def between(bounds, form: str) -> str:
        return "" if bounds is None else f"{bounds[0]:{form}} to {bounds[1]:{form}}"

    difference = score.get("difference")
    return [
        cell(score["value"]),
        between(score["interval"], ".3f"),
        "" if difference is None else f"{difference:+.4f}",
        between(score.get("difference_interval"), "+.4f"),
    ]
