"""What folds inside the training trials of several recordings say of the weight of the prior of dense dynamics.

python experiments/choices/dynamics_prior.py FOLDER > experiments/choices/dynamics_prior.txt

FOLDER holds the recordings. Each line is one recording and one weight of the prior, in bins for a step of the dynamics
and in trials for the first state: co-bps of held-out neurons in the trials of each fold, and their mean. `LDS()` and
Poisson counts as they are by default, seed 0; the trials of `val` are not read.

This is a record, not how the weight was chosen: scores on val had been seen when five bins and two trials were taken.
Folds of the reaches and of the pieces of MC_Maze prefer smaller weights, those of Aplysia larger ones.
"""

import pathlib
import sys

import jax
import numpy as np

import nlbprob as nlb
from nlbprob.numerics import statistics

#: Width of the bins in ms, and number of folds, by recording.
RECORDINGS = {
    "maze_large_subset": (20, 2),
    "aplysia_jan1312": (50, 4),
    "aplysia_jan1912": (50, 4),
    "mc_maze_segments": (20, 2),
    "m1_reaching": (50, 2),
}
WEIGHTS = ((20.0, 4.0), (5.0, 2.0), (2.0, 2.0))


def folds(trials: nlb.Trials, count: int) -> list[nlb.Trials]:
    """The trials with one fold after another as `val`."""
    fold = np.random.default_rng(0).permutation(trials.n_trials) % count
    return [trials.replace(table=trials.table | {"split": np.where(fold == k, "val", "train")}) for k in range(count)]


def bits(trials: nlb.Trials) -> float:
    """co-bps on val of a fit to train."""
    posterior = nlb.fit(nlb.Model(latents=[nlb.LDS()]), trials.split("train"), seed=0, progress=False)
    value = nlb.score(posterior.rates(trials.hide_heldout("val")), trials, bootstrap=0).values["co-bps"]
    assert value is not None
    return value


def main(folder: pathlib.Path) -> None:
    """One line for each recording and weight."""
    for name, (bin_ms, count) in RECORDINGS.items():
        learned = nlb.load(folder / f"{name}.nwb", bin_ms=bin_ms).split("train")
        for weights in WEIGHTS:
            statistics.PRIOR_BINS, statistics.PRIOR_TRIALS = weights
            jax.clear_caches()  # programs hold the weights
            found = [bits(trials) for trials in folds(learned, count)]
            words = " ".join(f"{value:.4f}" for value in found)
            print(
                f"{name:<18} {bin_ms} ms  {weights[0]:>3g} bins {weights[1]:g} trials  {np.mean(found):.4f}  ({words})",
                flush=True,
            )


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
