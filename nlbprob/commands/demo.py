"""Simulate a recording of a reaching task, fit a model to it, score it, and write its report."""

import dataclasses
import os
import pathlib
import shutil
import sys

from nlbprob.commands.options import add_options, values_of
from nlbprob.commands.terminal import say
from nlbprob.options import SEED

OPTIONS = {"seed": dataclasses.replace(SEED, help="seed of recording and fit (default 0)")}


def add_arguments(parser) -> None:
    """Add where to write and the seed."""
    parser.add_argument("--out", metavar="RUN", default="runs/demo", help="folder to write to (default runs/demo)")
    add_options(parser, OPTIONS)


def run(arguments) -> int:
    """Run the whole path; a run that an earlier demo left in the folder is replaced."""
    from nlbprob.commands.table import print_scores
    from nlbprob.configuration import read_configuration
    from nlbprob.resources import folder
    from nlbprob.run import perform
    from nlbprob.settings import Settings
    from nlbprob.simulation import reaches, write_nwb
    from nlbprob.storage.reading import check_free

    out, seed = pathlib.Path(arguments.out), values_of(arguments, OPTIONS)["seed"]
    check_free(out, force=True)
    say("Simulating a recording of reaches ...")
    simulated = reaches(seed=seed)
    train, _ = write_nwb(out.with_name(out.name + "-data"), simulated)
    options = dict(read_configuration(folder("experiments") / "demo.toml").data)
    settings = Settings(model="poisson_lds", data=str(train), data_options=options, seed=seed)
    metrics = perform(settings, out, force=True)
    print_scores(metrics, "poisson_lds on simulated reaches")
    truth = against_truth(settings, out, simulated)
    say(
        f"""Against the truth: the latents explain {truth["latents"]:.1%} of the variance of the true ones;
the true rates score {truth["co-bps"]:.3f} co-bps.

The recording is in {train.parent}, the run in {out}: open {out / "report.html"} in a browser.

Next:"""
    )
    program = command()
    tries = {
        f"{program} fit poisson_lds --help": "all options of the model and of the fit",
        f"{program} fit poisson_lds YOUR.nwb --bin-ms 5 --out runs/mine": "a recording of your own",
        f"{program} new poisson_lds my_model.py": "a copy of the model, to edit",
    }
    for words, what in tries.items():
        say(f"  {words:<{max(map(len, tries))}}  {what}")
    return 0


def command() -> str:
    """How to call nlbprob from here: by its name where the shell finds it, else by its path."""
    here = pathlib.Path(sys.executable).with_name("nlbprob")
    if shutil.which("nlbprob") or not here.exists():
        return "nlbprob"
    return os.path.relpath(here)


def against_truth(settings, out: pathlib.Path, simulated) -> dict[str, float]:
    """The scores that need a simulation's truth, of the scored trials in the window.

    "latents": fraction of the variance of the true latents that one linear map of the inferred ones explains;
    "co-bps": of the true rates.
    """
    import numpy as np

    from nlbprob.scoring.scores import score
    from nlbprob.storage.contents import read_posterior

    trials = settings.load()
    fit, on = settings.splits
    rows = np.isin(trials.table["split"], on)
    inferred = read_posterior(out).latents(trials.hide_heldout(*on).split(*on))["mean"]
    both = (np.asarray(inferred), simulated.latents[rows])
    x, true = (a[:, : trials.window_bins].reshape(-1, a.shape[-1]) for a in both)
    x, true = x - x.mean(axis=0), true - true.mean(axis=0)
    residual = true - x @ np.linalg.lstsq(x, true)[0]
    best = score(simulated.rates, trials, fit, on, bootstrap=0).values["co-bps"]
    assert best is not None  # the recording has held-out neurons that fire
    return {"latents": 1 - float((residual**2).sum() / (true**2).sum()), "co-bps": best}
