"""Make an entry to the benchmark of a run, or check one.

`nlbprob entry RUN --out ENTRY` writes a folder with all that reads, verifies and repeats a run: a model card, the
submission, the run itself, the counts behind its scores, exact versions, and a script that fits it again. RUN may be
two runs of one recording, in bins of 5 and of 20 ms. Models of runs are Python files, which are run.
`nlbprob entry --check ENTRY` compares every file with its checksum and computes all scores again from the rates and
counts in the folder; it runs no code of the entry, and its exit status is 1 where anything differs.
"""

import json

from nlbprob.commands.terminal import say
from nlbprob.errors import InputError


def add_arguments(parser) -> None:
    """Add the runs and the folder to write to, or the entry to check."""
    parser.add_argument("runs", metavar="RUN", nargs="*", help="folders that `nlbprob fit` or `average` wrote")
    parser.add_argument("--out", metavar="ENTRY", help="folder to write the entry to")
    parser.add_argument(
        "--author", metavar="NAME", action="append", default=[], help="for its citation; may be repeated"
    )
    parser.add_argument("--title", metavar="TEXT", help="of its card (default: the model and the recording)")
    parser.add_argument("--force", action="store_true", help="replace the entry that the folder holds")
    parser.add_argument("--check", metavar="ENTRY", help="check an entry instead")
    parser.add_argument(
        "--rerun", metavar="RUN", help="with --check: compare the scores of a run that repeats one of it"
    )
    parser.add_argument("--json", action="store_true", help="with --check: print the findings as JSON")


def run(arguments) -> int:
    """Make the entry, or check it."""
    if arguments.check is not None:
        if arguments.runs or arguments.out or arguments.force or arguments.author or arguments.title:
            raise InputError("nlbprob entry --check ENTRY: takes no other arguments than --rerun RUN and --json.")
        return compare(arguments) if arguments.rerun else check(arguments)
    if arguments.rerun or arguments.json:
        raise InputError("nlbprob entry: --rerun and --json are for --check ENTRY.")
    if not arguments.runs or arguments.out is None:
        raise InputError("nlbprob entry: name a run, and the folder of the entry: nlbprob entry RUN --out ENTRY.")

    from nlbprob.commands.table import print_scores
    from nlbprob.entry.write import write_entry

    options = {"authors": arguments.author, "title": arguments.title, "force": arguments.force}
    for source in write_entry(arguments.runs, arguments.out, **options):
        print_scores(source.metrics, f"{source.folder}: every score was computed again from its rates")
    say(f"Everything is in {arguments.out}; read {arguments.out}/card.html first.")
    return 0


def check(arguments) -> int:
    """Print every score beside the computed one, and what is wrong."""
    import dataclasses

    from nlbprob.commands.table import table
    from nlbprob.entry.check import check_entry
    from nlbprob.files import plain

    if not arguments.json:
        say(f"Comparing the files of {arguments.check}, and computing its scores again ...")
    found = check_entry(arguments.check)
    if arguments.json:
        say(json.dumps(plain(dataclasses.asdict(found) | {"passes": found.passes}), indent=2, allow_nan=False))
        return 0 if found.passes else 1
    rows = [
        [run, score, *("-" if value is None else f"{value:.4f}" for value in pair)]
        for run, scores in found.scores.items()
        for score, pair in scores.items()
    ]
    if rows:
        say("", table(["run", "score", "in the entry", "computed again"], rows), "")
    say(*(f"wrong: {problem}" for problem in found.problems), *(f"not listed: {name}" for name in found.unlisted))
    say(f"{found.files} files are as they were written; {found.agreeing} numbers follow from the rates and counts.")
    say(f"{arguments.check} {'passes' if found.passes else 'does not pass'}.")
    return 0 if found.passes else 1


def compare(arguments) -> int:
    """Print the scores of a run that repeats one of the entry beside the entry's."""
    from nlbprob.commands.table import table
    from nlbprob.entry.check import PART, rerun_differences

    found = list(rerun_differences(arguments.check, arguments.rerun))
    rows = [
        [score, f"{one:.4f}", f"{other:.4f}", f"{other - one:+.4f}", "yes" if alike else "no"]
        for score, one, other, alike in found
    ]
    say("", table(["", "in the entry", arguments.rerun, "difference", "alike"], rows), "")
    say(f"Alike: by no more than {PART:.0%} of the width of the score's 90% interval.")
    return 0 if all(alike for *_, alike in found) else 1
