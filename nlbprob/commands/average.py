"""Average the rates of runs of several models on one recording, score them, and write a run of its own.

Weights are equal, or --weights in the order of the runs, or chosen with --folds inside the trials that the runs learned
from: each member is fitted to all folds but one and predicts that one. The runs' models are Python files, which are
run. NAME=RUN names a member; else it has the name of its folder.
"""

import dataclasses

from nlbprob.commands.options import add_options, given, values_of
from nlbprob.commands.terminal import say
from nlbprob.errors import InputError
from nlbprob.options import SEED, Option, entries, length, whole


def numbers(value: object) -> list[float]:
    """Numbers that are not negative."""
    return [length(each) for each in entries(value)]


OPTIONS = {
    "weights": Option(
        None,
        numbers,
        "a number of 0 or more for each run",
        "weight of each run (default: equal)",
        "W",
        float,
        several=True,
    ),
    "folds": Option(
        None, whole, "a whole number, 2 or more", "folds that choose the weights (default: none)", "N", int
    ),
    "seed": dataclasses.replace(SEED, help="seed of the folds (default 0)"),
}


def add_arguments(parser) -> None:
    """Add the runs, the folder to write to, and where weights come from."""
    parser.add_argument("runs", metavar="RUN", nargs="+", help="folders that `nlbprob fit` wrote, or NAME=RUN")
    parser.add_argument("--out", metavar="RUN", help="folder to write the new run to")
    parser.add_argument("--force", action="store_true", help="replace the run that the folder holds")
    add_options(parser, OPTIONS)


def run(arguments) -> int:
    """Average, score, write, and print the scores, the members and where everything lies."""
    if arguments.out is None:
        raise InputError("nlbprob average: --out RUN is missing: name the folder to write the average to.")
    if len(given(arguments, {name: OPTIONS[name] for name in ("weights", "folds")})) > 1:
        raise InputError("--weights and --folds: the folds choose the weights; leave one out.")

    from nlbprob.commands.table import print_members, print_scores
    from nlbprob.committee import average_runs

    metrics = average_runs(arguments.runs, arguments.out, force=arguments.force, **values_of(arguments, OPTIONS))
    print_scores(metrics, f"average of {', '.join(metrics['members'])}")
    print_members(metrics["members"])
    say(metrics["verdict"], f"Everything is in {arguments.out}; look at {arguments.out}/report.html first.")
    return 0
