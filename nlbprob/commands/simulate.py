"""Draw a recording from a model, with its truth, and write it as a pair of NWB files (train and test)."""


def add_arguments(parser) -> None:
    """Add the model, how much to draw, and where to write it."""
    parser.add_model()
    parser.add_argument("--out", metavar="DIR", required=True, help="folder to write the files to")
    parser.add_argument("--trials", type=int, default=100, metavar="N", help="number of trials (default 100)")
    parser.add_argument("--neurons", type=int, default=100, metavar="N", help="number of neurons (default 100)")
    parser.add_argument("--bins", type=int, default=100, metavar="N", help="bins in each trial (default 100)")
    parser.add_argument("--bin-ms", type=float, default=5.0, metavar="MS", help="bin width (default 5)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the draw (default 0)")


def run(arguments) -> int:
    """Draw, write, and say what to do with the files."""
    from nlbprob.model_file import find_model, load_model

    options = find_model(arguments.model).parse(arguments.model_options)

    from nlbprob.simulation import simulate, write_nwb

    simulated = simulate(
        load_model(arguments.model, **options),
        trials=arguments.trials,
        neurons=arguments.neurons,
        bins=arguments.bins,
        bin_ms=arguments.bin_ms,
        seed=arguments.seed,
    )
    train, test = write_nwb(arguments.out, simulated)
    print(f"Wrote {train} and {test}. Fit the first:")
    print(f"  nlbprob fit poisson_lds {train} --bin-ms {arguments.bin_ms:g} --out runs/simulated")
    return 0
