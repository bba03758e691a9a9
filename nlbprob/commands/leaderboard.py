"""Print the benchmark's published numbers on a data set, with your runs in their place."""

import pathlib


def add_arguments(parser) -> None:
    """Add the data set and the runs."""
    parser.add_argument("dataset", metavar="DATASET", help="such as mc_maze")
    parser.add_argument("runs", metavar="RUN", nargs="*", help="folders that `nlbprob fit --dataset DATASET` wrote")


def run(arguments) -> int:
    """Print a table for each bin width; the user's rows are marked by ">"."""
    from nlbprob.commands.table import table
    from nlbprob.scoring.leaderboard import SCORES, cited, published, ranked, warnings

    rows = published(arguments.dataset)
    run_rows = [row for folder in arguments.runs for row in rows_of(pathlib.Path(folder), arguments.dataset)]
    if not rows:
        print(f"No published number on {arguments.dataset} is known.")
    for bin_ms in sorted({row.bin_ms for row in [*rows, *run_rows]}):
        shown = ranked([row for row in [*rows, *run_rows] if row.bin_ms == bin_ms])
        names = [name for name in SCORES.values() if any(row.values.get(name) is not None for row in shown)]
        cells = [
            [
                (">" if row.own else " ") + f" {row.model}",
                *(number(row.values.get(name)) for name in names),
                row.split,
                f"{row.bin_ms:g} ms",
                row.source + (f", {row.note}" if row.note else ""),
            ]
            for row in shown
        ]
        print(f"\n{arguments.dataset}, bins of {bin_ms:g} ms\n")
        print(table(["  model", *names, "split", "bins", "source"], cells))
    print("", *cited(rows), *(f"Warning: {text}" for text in warnings(run_rows, rows)), sep="\n")
    return 0


def rows_of(folder: pathlib.Path, dataset: str) -> list:
    """The row of a run on the split it was scored on, and that of its test, where there was one."""
    from nlbprob.errors import InputError, printable
    from nlbprob.scoring.leaderboard import Row
    from nlbprob.storage.contents import read_config, read_metrics, read_test

    config, metrics = read_config(folder), read_metrics(folder)
    dataset_name = config["data"].get("options", {}).get("dataset")
    if dataset_name != dataset:
        other = f"of {printable(dataset_name)}" if dataset_name else "of a recording of its own"
        raise InputError(f"{folder}: the run is {other}, not of {dataset}; leave it out.")
    split = metrics["split"]
    rows = [Row(str(folder), dataset, metrics["bin_ms"], split, metrics[split], "this run", own=True)]
    tested = read_test(folder)
    if tested is not None:
        note = f"evaluation {tested['earlier'] + 1} on test" if tested["later"] else ""
        rows.append(Row(str(folder), dataset, tested["bin_ms"], "test", tested["scores"], "this run", note, own=True))
    return rows


def number(value: float | None) -> str:
    """A score to four digits, as they are published, or a dash."""
    return "-" if value is None else f"{value:.4f}"
