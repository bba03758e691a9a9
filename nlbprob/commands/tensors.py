"""Write the input and target files of a data set of NLB'21 as the benchmark's own tools make them.

--phase val writes train_input.h5, eval_input.h5 and target.h5, --phase test the two inputs of the test phase.
"""


def add_arguments(parser) -> None:
    """Add the folder to read, the data set and how to cut it, and the folder to write."""
    parser.add_argument("data", metavar="DIR", help="folder with the train and the test file of the data set")
    parser.add_argument("--dataset", metavar="NAME", required=True, help="such as mc_maze_small")
    parser.add_argument("--bin-ms", type=float, default=5.0, metavar="MS", help="bin width: 5 (default) or 20")
    parser.add_argument("--phase", choices=("val", "test"), default="val", help="(default val)")
    parser.add_argument("--out", metavar="OUT", required=True, help="folder to write to; files there are replaced")


def run(arguments) -> int:
    """Write the files and say what they hold."""
    from nlbprob.data.nlb.hdf5 import contents, write_tensors

    paths = write_tensors(arguments.data, arguments.dataset, arguments.bin_ms, arguments.phase, arguments.out)
    print(f"{arguments.dataset}, bins of {arguments.bin_ms:g} ms, {arguments.phase} phase:")
    for path in paths:
        print(path, *(f"  {name:<40} {shape}" for name, shape in contents(path).items()), sep="\n")
    return 0
