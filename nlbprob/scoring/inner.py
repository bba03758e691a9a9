"""Splits inside the trials that a baseline may learn from, on which its settings are chosen."""

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from nlbprob.data.trials import Trials
from nlbprob.errors import InputError

#: Below this many trials a single split is too noisy to choose by, and all folds are used.
MANY_TRIALS = 60
FOLDS = 5
#: More trials than these make a choice no better, only slower.
MOST_TRIALS = 500


def inner_splits(
    trials: Int[np.ndarray, " fitted"], seed: int, every_fold: bool = False
) -> list[tuple[Int[np.ndarray, "_"], Int[np.ndarray, "_"]]]:
    """Pairs of trials to learn from and to judge by: one 80/20 split of many trials, five folds of few.

    A single trial is both.

    Args:
        trials: positions to split; of more than 500, as many are drawn.
        seed: of the draws.
        every_fold: whether to give five folds of many trials, too.
    """
    shuffled = np.random.default_rng(seed).permutation(trials)[:MOST_TRIALS]
    if len(shuffled) < 2:
        return [(shuffled, shuffled)]
    pairs = fold_pairs(shuffled, min(FOLDS, len(shuffled)))
    return pairs[:1] if len(trials) >= MANY_TRIALS and not every_fold else pairs


def fold_pairs(
    shuffled: Int[np.ndarray, " some"], folds: int
) -> list[tuple[Int[np.ndarray, "_"], Int[np.ndarray, "_"]]]:
    """K-fold: each of `folds` parts of equal size is judged once, by what was learned from all others; both sorted."""
    parts = np.array_split(shuffled, folds)
    return [(np.setdiff1d(shuffled, part), np.sort(part)) for part in parts]


def cross_validation(trials: Trials, folds: int, seed: int) -> list[tuple[Int[np.ndarray, "_"], Int[np.ndarray, "_"]]]:
    """K-fold over all trials, shuffled by `seed`: pairs of those to learn from and those to judge.

    Raises InputError where there are fewer trials than folds, or fewer than two folds.
    """
    if not 2 <= folds <= trials.n_trials:
        raise InputError(f"folds={folds}: choose at least 2, and no more than the {trials.n_trials} trials.")
    return fold_pairs(np.random.default_rng(seed).permutation(trials.n_trials), folds)


def split_name(trials: Trials, folds: int, seed: int) -> str:
    """What the folds are called in print, such as "3 folds of train (80 trials, seed 0)"."""
    return f"{folds} folds of {'+'.join(trials.splits)} ({trials.n_trials} trials, seed {seed})"


def log_likelihood(
    rates: Float[np.ndarray, "*rows neuron"],
    counts: Num[np.ndarray, "*rows neuron"],
    seen: Bool[np.ndarray, "*rows neuron"],
) -> float:
    """Poisson log-likelihood of the seen counts in nats, without the terms in counts alone."""
    return float((counts * np.log(rates) - rates).sum(where=seen))


def mean_rates(visible: Trials, fitted: Bool[np.ndarray, " trial"]) -> Float[np.ndarray, " neuron"]:
    """Mean seen count of each neuron in the windows of the fitted trials, spikes/bin; a silent one has half a spike."""
    seen = visible.seen[fitted, : visible.window_bins]
    spikes = np.where(seen, visible.counts[fitted, : visible.window_bins], 0).sum(axis=(0, 1), dtype=np.float64)
    return np.maximum(spikes, 0.5) / np.maximum(seen.sum(axis=(0, 1)), 1)
