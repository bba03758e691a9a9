"""Merge submissions of several data sets or bin widths into one file."""


def add_arguments(parser) -> None:
    """Add the file to write and those to merge."""
    parser.add_argument("out", metavar="OUT", help="file to write; it must not exist")
    parser.add_argument("files", metavar="SUBMISSION", nargs="+", help="submissions, each with other groups")


def run(arguments) -> int:
    """Merge, and say what the file holds."""
    from nlbprob.errors import printable
    from nlbprob.scoring.combine import combine

    groups = combine(arguments.out, *arguments.files)
    print(f"Wrote {arguments.out} with {printable(', '.join(groups))}.")
    return 0
