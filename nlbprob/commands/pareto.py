"""Show runs on the Pareto front of accuracy and parsimony, beside the benchmark's published entries.

Accuracy is co-bps; parsimony is measured by effective dimension, description length, stability (after `nlbprob
replicate`), few-shot co-bps and cycle consistency. The runs' models are Python files, which are run.
"""

import dataclasses
import json
import pathlib
import sys

from nlbprob.commands.options import add_options, values_of
from nlbprob.commands.terminal import say
from nlbprob.options import SEED, Option, count

OPTIONS = {
    "shots": Option(
        10, count, "a whole number, 1 or more", "trials that few-shot readouts learn from (default 10)", "N", int
    ),
    "seed": dataclasses.replace(SEED, help="seed of all draws (default 0)"),
}


def add_arguments(parser) -> None:
    """Add the runs, the data set, and where to write."""
    parser.add_argument("runs", metavar="RUN", nargs="+", help="folders that `nlbprob fit` or `average` wrote")
    parser.add_argument(
        "--dataset", metavar="NAME", help="show published entries of this data set (default: that of the runs)"
    )
    parser.add_argument("--out", metavar="FOLDER", help="write pareto.json and figures to this folder, too")
    parser.add_argument("--json", action="store_true", help="print the front as JSON")
    add_options(parser, OPTIONS)


def run(arguments) -> int:
    """Measure the runs, print the front, and write it."""
    from nlbprob.comparison.page import free_folder
    from nlbprob.comparison.parsimony import pareto_runs, write_front

    out = None if arguments.out is None else free_folder(pathlib.Path(arguments.out), "pareto.json")
    options = values_of(arguments, OPTIONS)
    front = pareto_runs(arguments.runs, dataset=arguments.dataset, progress=not arguments.json, **options)
    if arguments.json:
        say(json.dumps(front.to_dict(), indent=2, allow_nan=False))
    else:
        show(front)
    if out is not None:
        write_front(out, front)
        say(f"Everything is in {out}: pareto.json, and a figure for each measure.", file=sys.stderr)
    return 0


def show(front) -> None:
    """Print a table of the runs and one of the published entries, and what has to be known of both."""
    from nlbprob.commands.table import cell, table
    from nlbprob.parsimony.front import MEASURES, label, ranked_entries

    efficient = front.efficient()
    rows = [
        [
            (">" if each.name in efficient else " ") + f" {each.name}",
            cell(each.co_bps),
            each.split,
            each.dynamics,
            *(digits(each.measures.get(name)) for name in MEASURES),
        ]
        for each in ranked_entries(front.fits)
    ]
    say("", table(["  run", "co-bps", "split", "class", *map(label, MEASURES)], rows), "")
    say("> No other run has both a higher co-bps and a smaller effective dimension.")
    for each in front.fits:
        for reason in dict.fromkeys(each.reasons.values()):
            absent = [label(name) for name, why in each.reasons.items() if why == reason]
            say(f"{each.name} has no {', '.join(absent)}: {reason}.")
    if front.published:
        others = [
            [each.name, cell(each.co_bps), each.split, f"{each.bin_ms:g} ms", each.dynamics] for each in front.published
        ]
        say(f"\nPublished entries on {front.dataset}\n", table(["", "co-bps", "split", "bins", "class"], others), "")
        say(*front.sources())
    say(*(f"Warning: {note}" for note in front.notes))


def digits(value: float | None) -> str:
    """A measure to three digits, or a dash where it was not measured."""
    return "-" if value is None else f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
