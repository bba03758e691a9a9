"""Print the scores of a run beside those of its baselines."""

import pathlib


def add_arguments(parser) -> None:
    """Add the run's folder and the form to print in."""
    parser.add_argument("run", metavar="RUN", help="folder that `nlbprob fit` wrote")
    parser.add_argument("--json", action="store_true", help="print metrics.json instead of a table")


def run(arguments) -> int:
    """Print the scores."""
    import json

    from nlbprob.commands.table import print_scores
    from nlbprob.run import read_json

    folder = pathlib.Path(arguments.run)
    metrics = read_json(folder, "metrics.json")
    if arguments.json:
        print(json.dumps(metrics, indent=2))
    else:
        settings = read_json(folder, "config.json")["settings"]
        print_scores(metrics, f"{settings['model']} on {settings['data']}")
    return 0
