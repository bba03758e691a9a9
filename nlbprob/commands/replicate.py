"""See what of a run comes again: from other starts, in halves of its trials, in wider bins.

The run's model is fitted again with the run's settings. A mode is replicated where every fit has one that moves the
same neurons alike, and whose 90% intervals of frequency and decay time overlap with its own. The run's report and
`Posterior.dynamics` say so from then on. It lasts several times as long as the fit did.
"""

import json
import sys

from nlbprob.commands.options import add_options, values_of
from nlbprob.commands.terminal import say
from nlbprob.options import Option, count, whole

OPTIONS = {
    "seeds": Option(4, count, "a whole number, 1 or more", "starts, the run's own included (default 4)", "N", int),
    "halves": Option(2, whole, "an even number", "halves of the trials, two of each halving (default 2)", "N", int),
}


def add_arguments(parser) -> None:
    """Add the run and the fits to compare it with."""
    parser.add_argument("run", metavar="RUN", help="folder that `nlbprob fit` wrote")
    add_options(parser, OPTIONS)
    parser.add_argument(
        "--bin-ms",
        metavar="MS",
        type=float,
        nargs="+",
        default=[],
        help="also fit in these bins, multiples of the run's",
    )
    parser.add_argument("--json", action="store_true", help="print the tables as JSON")


def run(arguments) -> int:
    """Fit, and print what comes again."""
    from nlbprob.files import plain
    from nlbprob.replication import RECORD, replicate_run

    options = values_of(arguments, OPTIONS)
    found = replicate_run(arguments.run, bin_ms=arguments.bin_ms, progress=not arguments.json, **options)
    say(json.dumps(plain(found.to_dict()), indent=2, allow_nan=False) if arguments.json else found)
    say(f"Recorded in {arguments.run}/{RECORD} and in its report.html.", file=sys.stderr)
    return 0
