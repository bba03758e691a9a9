"""Simulate a recording of a reaching task, fit a model to it, score it, and write its report."""

import pathlib


def add_arguments(parser) -> None:
    """Add where to write and the seed."""
    parser.add_argument("--out", metavar="RUN", default="runs/demo", help="folder to write to (default runs/demo)")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="seed of the recording and the fit (default 0)"
    )


def run(arguments) -> int:
    """Run the whole path; a run that an earlier demo left in the folder is replaced."""
    from nlbprob.commands.data_options import read_config
    from nlbprob.commands.table import print_scores
    from nlbprob.resources import folder
    from nlbprob.run import Settings, check_free, perform
    from nlbprob.simulation import reaches, write_nwb

    out = pathlib.Path(arguments.out)
    check_free(out, force=True)
    print("Simulating a recording of reaches ...", flush=True)
    train, _ = write_nwb(out.with_name(out.name + "-data"), reaches(seed=arguments.seed))
    model_options, config = read_config(folder("experiments") / "demo.toml")
    settings = Settings("poisson_lds", str(train), model_options, {"config": config}, seed=arguments.seed)
    metrics = perform(settings, out, force=True)
    print_scores(metrics, "poisson_lds on simulated reaches")
    print(
        f"""
The recording is in {train.parent}, the run in {out}: open {out}/report.html in a browser.

Next:
  nlbprob fit poisson_lds YOUR.nwb --bin-ms 5 --out runs/mine     fit a recording of your own
  nlbprob fit poisson_lds --help                                  see all its options
  nlbprob new poisson_lds my_model.py                             copy the model, to edit it"""
    )
    return 0
