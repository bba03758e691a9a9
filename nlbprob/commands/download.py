"""Download a data set of the benchmark from the DANDI archive, or the targets of its test phase.

Broken downloads are continued by the same command; every file is checked. Data sets need the extra
`nlbprob[download]`.
"""


def add_arguments(parser) -> None:
    """Add what to download and where to."""
    parser.add_argument("what", metavar="NAME", help="a data set such as mc_maze_small, or test-targets")
    parser.add_argument("--to", metavar="DIR", default="data", help="folder to write to (default data)")


def run(arguments) -> int:
    """Download, and say where the files are."""
    from nlbprob.data.dandi import download, download_test_targets

    if arguments.what == "test-targets":
        path = download_test_targets(arguments.to)
        print(f"The test targets are in {path}. Choose models on val; then: nlbprob test RUN {path}")
        return 0
    files = download(arguments.what, arguments.to)
    print(*files, sep="\n")
    print(f"  nlbprob fit poisson_lds {arguments.to} --dataset {arguments.what} --bin-ms 5 --out runs/{arguments.what}")
    return 0
