"""Validate a submission against the inputs it was predicted from; exit status 1 where it does not pass."""


def add_arguments(parser) -> None:
    """Add the submission, its inputs and the form to print in."""
    parser.add_argument("submission", metavar="SUBMISSION", help="an HDF5 file with a group for each data set")
    parser.add_argument(
        "inputs",
        metavar="INPUTS",
        nargs="+",
        help="folders that `nlbprob tensors` wrote, or train_input.h5 and eval_input.h5; GROUP=FOLDER tells whose",
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def run(arguments) -> int:
    """Print a line for each check, and whether the submission passes."""
    import dataclasses
    import json

    from nlbprob.scoring.check import check_submission, passes

    findings = check_submission(arguments.submission, *arguments.inputs)
    passed = passes(findings)
    if arguments.json:
        print(json.dumps([dataclasses.asdict(finding) for finding in findings], indent=2))
    else:
        print(*findings, f"{arguments.submission} {'passes' if passed else 'does not pass'}.", sep="\n")
    return 0 if passed else 1
