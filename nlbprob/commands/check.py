"""Verify a run against its manifest, or a submission against its inputs; exit status 1 where it does not pass.

`nlbprob check RUN` compares every file of a run with its manifest, and runs none of its code.
`nlbprob check SUBMISSION.h5 INPUTS` validates a submission against the inputs it was predicted from.
"""

import pathlib


def add_arguments(parser) -> None:
    """Add the run, or the submission and its inputs, and the form to print in."""
    parser.add_argument(
        "what", metavar="RUN|SUBMISSION", help="folder of a run, or a file with a group for each data set"
    )
    parser.add_argument(
        "inputs",
        metavar="INPUTS",
        nargs="*",
        help="folders that `nlbprob tensors` wrote, or train_input.h5 and eval_input.h5; GROUP=FOLDER names the group",
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def run(arguments) -> int:
    """Check what was named."""
    from nlbprob.errors import InputError

    folder = pathlib.Path(arguments.what)
    if folder.is_dir():
        if arguments.inputs:
            raise InputError(f"{folder} is a folder: a run is checked alone, a submission with the inputs behind it.")
        return check_run(folder, arguments.json)
    if not arguments.inputs:
        raise InputError(f"{folder}: name the inputs that the submission was predicted from behind it, or a run alone.")
    return check_submission(arguments)


def check_run(folder: pathlib.Path, as_json: bool) -> int:
    """Print a line for each file, and whether the run is whole."""
    import json

    from nlbprob.commands.notes import print_remark
    from nlbprob.errors import printable
    from nlbprob.storage import reading

    run = reading.existing(folder)
    files = {name: reading.condition(run, name) for name in sorted(run.manifest.files)}
    recording = {source.path: source.difference() or "ok" for source in run.manifest.recording}
    others = reading.strangers(run)
    intact = run.manifest.state == "done" and all(state == "ok" for state in files.values())
    if as_json:
        content = {"state": run.state, "whole": intact, "files": files, "not listed": others, "recording": recording}
        print(json.dumps(content, indent=2))
        return 0 if intact else 1
    rows = [*files.items(), *((name, "is not listed: no file of the run") for name in others)]
    rows += [
        (path, "ok (the recording)" if state == "ok" else f"the recording: {state}")
        for path, state in recording.items()
    ]
    for name, state in rows:
        print(f"{printable(name)}: {state}")
    if run.manifest.state != "done":
        print(f"{folder}: {reading.ending(run)}. {reading.advice(run)}")
    else:
        print(f"{folder}: the run is {'whole' if intact else 'not whole'}.")
    print_remark(run)
    return 0 if intact else 1


def check_submission(arguments) -> int:
    """Print a line for each check, and whether the submission passes."""
    import dataclasses
    import json

    from nlbprob.scoring.check import check_submission, passes

    findings = check_submission(arguments.what, *arguments.inputs)
    passed = passes(findings)
    if arguments.json:
        print(json.dumps([dataclasses.asdict(finding) for finding in findings], indent=2))
    else:
        print(*findings, f"{arguments.what} {'passes' if passed else 'does not pass'}.", sep="\n")
    return 0 if passed else 1
