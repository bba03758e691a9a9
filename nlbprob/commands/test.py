"""Test a run as the benchmark's test phase does: refit on train and val, predict test, check, score, keep count.

Choose models on val. The test targets are public, so every evaluation on them is entered in a ledger in your data
folder, and test scores that came after a look at others are marked as such.
"""


def add_arguments(parser) -> None:
    """Add the run and the targets."""
    parser.add_argument("run", metavar="RUN", help="folder that `nlbprob fit --dataset NAME` wrote")
    parser.add_argument("target", metavar="TARGET", help="test targets: `nlbprob download test-targets`")
    parser.add_argument("--force", action="store_true", help="test a run that was tested before; it counts again")


def run(arguments) -> int:
    """Test, and print scores and what to know of them."""
    from nlbprob.commands.table import print_test
    from nlbprob.testphase import RECORD, run_test

    print_test(run_test(arguments.run, arguments.target, force=arguments.force))
    print(f"Recorded in {arguments.run}/{RECORD}, in its report.html and in the ledger.")
    return 0
