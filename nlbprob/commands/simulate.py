"""Draw a recording from a model, with its truth, and write it as a pair of NWB files (train and test)."""

import dataclasses

from nlbprob.commands.options import add_options, values_of
from nlbprob.commands.terminal import say
from nlbprob.options import DATA, SEED, Option, count

WHOLE = "a whole number, 1 or more"
OPTIONS = {
    "trials": Option(100, count, WHOLE, "number of trials (default 100)", "N", int),
    "neurons": Option(100, count, WHOLE, "number of neurons (default 100)", "N", int),
    "bins": Option(100, count, WHOLE, "bins in each trial (default 100)", "N", int),
    "bin_ms": dataclasses.replace(DATA["bin_ms"], default=5.0, help="bin width (default 5)"),
    "seed": dataclasses.replace(SEED, help="seed of the draw (default 0)"),
}


def add_arguments(parser) -> None:
    """Add the model, how much to draw, and where to write it."""
    parser.add_model()
    parser.add_argument("--out", metavar="DIR", required=True, help="folder to write the files to")
    add_options(parser, OPTIONS)


def run(arguments) -> int:
    """Draw, write, and say what to do with the files."""
    from nlbprob.model_file import find_model, load_model

    options = find_model(arguments.model).parse(arguments.model_options)
    values = values_of(arguments, OPTIONS)

    from nlbprob.simulation import simulate, write_nwb

    simulated = simulate(load_model(arguments.model, **options), **values)
    train, test = write_nwb(arguments.out, simulated)
    say(
        f"Wrote {train} and {test}. Fit the first:",
        f"  nlbprob fit poisson_lds {train} --bin-ms {values['bin_ms']:g} --out runs/simulated",
    )
    return 0
