"""Print the scores of a run beside those of its baselines, or the benchmark's scores of a submission.

`nlbprob score RUN` prints what the fit wrote. `nlbprob score SUBMISSION.h5 TARGET.h5` evaluates as the benchmark does.
"""

import pathlib


def add_arguments(parser) -> None:
    """Add the run or the files, what to print beside the benchmark's scores, and the form."""
    parser.add_argument("what", metavar="RUN|SUBMISSION", help="folder that `nlbprob fit` wrote, or a submission file")
    parser.add_argument("target", metavar="TARGET", nargs="?", help="targets of `nlbprob tensors` or of the test phase")
    parser.add_argument(
        "--json",
        action="store_true",
        help="print the benchmark's results (of a run: metrics.json, and test.json as 'tested')",
    )
    group = parser.add_argument_group("for a submission")
    group.add_argument("--split", choices=("val", "test"), help="what the targets are of (default: see below)")
    group.add_argument("--by-neuron", action="store_true", help="co-bps of every held-out neuron, too")
    group.add_argument("--by-condition", action="store_true", help="co-bps of every condition, too")
    group.add_argument("--intervals", action="store_true", help="90%% bootstrap intervals over trials, too")
    parser.epilog = (
        "A target file does not say what it is of: it is taken for val unless it is the published file of test\n"
        "targets or --split says so. Scores on test are entered in the ledger that `nlbprob test` keeps."
    )


def run(arguments) -> int:
    """Print the scores."""
    if arguments.target is None:
        return print_run(pathlib.Path(arguments.what), arguments)
    return print_submission(arguments)


def print_run(folder: pathlib.Path, arguments) -> int:
    """The scores of a run, and those of its test where there was one."""
    import json

    from nlbprob.commands.notes import print_remark
    from nlbprob.commands.table import print_members, print_scores, print_test
    from nlbprob.errors import InputError, printable
    from nlbprob.storage.contents import read_config, read_metrics, read_test, settings_of
    from nlbprob.storage.reading import existing

    if folder.is_file():
        raise InputError(f"{folder} is a file: name the targets to score it against after it.")
    if arguments.by_neuron or arguments.by_condition or arguments.intervals or arguments.split:
        raise InputError("--split, --by-neuron, --by-condition and --intervals are for a submission and its targets.")
    metrics, tested = read_metrics(folder), read_test(folder)
    if arguments.json:
        print(json.dumps(metrics | ({} if tested is None else {"tested": tested}), indent=2))
    else:
        settings = settings_of(read_config(folder), folder)
        print_scores(metrics, printable(f"{settings.model} on {', '.join(settings.recordings)}"))
        if "members" in metrics:
            print_members(metrics["members"])
        if tested is not None:
            print_test(tested)
    print_remark(existing(folder))
    return 0


def print_submission(arguments) -> int:
    """The scores of a submission."""
    import json
    import sys
    import warnings

    from nlbprob.files import plain
    from nlbprob.scoring.evaluate import evaluate

    split = arguments.split or split_of(pathlib.Path(arguments.target))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they are among the notes
        evaluation = evaluate(
            arguments.what,
            arguments.target,
            split=split,
            by_neuron=arguments.by_neuron,
            by_condition=arguments.by_condition,
            bootstrap=1000 if arguments.intervals else 0,
        )
    notes = list(evaluation.notes)
    if split == "test":
        notes += enter(arguments, evaluation)
    elif arguments.split is None:
        notes.append(f"{arguments.target} is taken for targets of val; --split test says that it is not.")
    extras = arguments.by_neuron or arguments.by_condition or arguments.intervals
    if not arguments.json:
        print_groups(evaluation.groups)
    elif extras:
        print(json.dumps(plain([vars(scores) for scores in evaluation.groups]), indent=2))
    else:
        print(json.dumps(plain(evaluation.results), indent=2))
    for note in notes:
        print(note, file=sys.stderr if arguments.json else sys.stdout)
    return 0


def split_of(target: pathlib.Path) -> str:
    """test for the published targets of the test phase, whatever the file is called; val for others."""
    from nlbprob.data.dandi import TEST_TARGETS_SHA256, TEST_TARGETS_SIZE
    from nlbprob.data.transfer import checksum

    published = target.is_file() and target.stat().st_size == TEST_TARGETS_SIZE
    return "test" if published and checksum(target) == TEST_TARGETS_SHA256 else "val"


def enter(arguments, evaluation) -> list[str]:
    """Enter an evaluation on test in the ledger, a line for each data set; returns a message about each."""
    import datetime

    from nlbprob.data.transfer import checksum
    from nlbprob.files import plain
    from nlbprob.scoring import ledger

    said = []
    for scores in evaluation.groups:
        entry = {
            "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
            "dataset": scores.dataset,
            "bin_ms": scores.bin_ms,
            "split": "test",
            "target": str(pathlib.Path(arguments.target).resolve()),
            "sha256": checksum(pathlib.Path(arguments.target)),
            "submission": str(pathlib.Path(arguments.what).resolve()),
            "scores": plain(scores.values),
        }
        said.append(ledger.statement(scores.dataset, ledger.record(entry)))
    return said


def print_groups(groups) -> None:
    """A line for every score, each with its split and bin width; then those by neuron and by condition."""
    from nlbprob.commands.table import cell, table

    rows, neurons, conditions = [], [], []
    for scores in groups:
        setting = [scores.split, f"{scores.bin_ms} ms"]
        for name, value in scores.values.items():
            pair = scores.intervals[name]
            between = "" if pair is None else f"{pair[0]:.4f} to {pair[1]:.4f}"
            rows.append([scores.dataset, *setting, name, f"{value:.4f}", between])
        for index, value in enumerate(scores.by_neuron or []):
            neurons.append([scores.dataset, *setting, str(index), cell(None if value != value else value)])
        for row in scores.by_condition or []:
            number = [str(row[name]) for name in ("condition", "trials", "spikes")]
            conditions.append([scores.dataset, *setting, *number, cell(row["co-bps"])])
    start = ["data set", "split", "bins"]
    print("\n" + table([*start, "score", "", "90% interval" if any(row[-1] for row in rows) else ""], rows) + "\n")
    if neurons:
        print(table([*start, "held-out neuron", "co-bps"], neurons) + "\n")
    if conditions:
        print(table([*start, "condition", "trials", "spikes", "co-bps"], conditions) + "\n")
