"""Write the report.html of a run again, from its posterior and scores and from the recording."""


def add_arguments(parser) -> None:
    """Add the run's folder."""
    parser.add_argument("run", metavar="RUN", help="folder that `nlbprob fit` wrote")


def run(arguments) -> int:
    """Write the report and say where it lies."""
    from nlbprob.run import report

    print(f"Wrote {report(arguments.run)}.")
    return 0
