"""Write the report.html of a run again, from its posterior and scores and from the recording."""

import pathlib


def add_arguments(parser) -> None:
    """Add the run's folder."""
    parser.add_argument("run", metavar="RUN", help="folder that `nlbprob fit` wrote")


def run(arguments) -> int:
    """Write the report and say where it lies."""
    from nlbprob import committee, run
    from nlbprob.storage.contents import is_committee

    report = committee.report if is_committee(pathlib.Path(arguments.run)) else run.report
    print(f"Wrote {report(arguments.run)}.")
    return 0
