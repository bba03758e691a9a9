"""The PSTH of each condition, the target of psth R2."""

import numpy as np
from jaxtyping import Float, Int

from nlbprob.data.trials import Trials
from nlbprob.errors import InputError
from nlbprob.scoring.smoothing import smooth

#: Trials shorter than this fraction of their condition's mean length are left out of its PSTH, as in the benchmark.
SHORTEST_SHARE = 0.8


def psth_target(
    trials: Trials, sd_ms: float = 50.0
) -> tuple[Float[np.ndarray, "condition time neuron"], list[Int[np.ndarray, "_"]]]:
    """Mean over each condition's trials of the counts smoothed by a Gaussian of `sd_ms`, in spikes/bin, and its trials.

    Time is the window without the forward bins. As in the benchmark all the trials handed over take part, **those to
    be scored among them**; trials shorter than 0.8 of the condition's mean length are left out, and bins beyond the
    shortest of the rest are NaN. So are bins where some neuron is seen in no trial. Unseen bins have no weight. (The
    benchmark smooths the continuous recording; here each trial is smoothed by itself, normalized at its edges.)
    Trials of unknown condition take no part. Raises InputError where no trial has a condition.
    Pei et al. (2021), arXiv 2109.04463.
    """
    window = slice(0, trials.window_bins)
    lengths = np.minimum(trials.lengths, trials.window_bins)
    index = trials.condition_index
    n_conditions = len(trials.condition_labels)
    if not n_conditions:
        raise InputError("condition: no trial has one; name the trials columns that define it (--condition).")
    target = np.full((n_conditions, trials.window_bins, trials.n_neurons), np.nan)
    members = []
    for condition in range(n_conditions):
        condition_trials = np.flatnonzero((index == condition) & (lengths > 0))
        condition_trials = condition_trials[
            lengths[condition_trials]
            >= SHORTEST_SHARE * lengths[condition_trials].sum() / max(len(condition_trials), 1)
        ]
        seen = trials.seen[condition_trials, window]
        smoothed = smooth(trials.counts[condition_trials, window], seen, sd_ms / trials.bin_ms)
        number = seen.sum(axis=0)
        bins = (number > 0).all(axis=1) & (
            np.arange(trials.window_bins) < lengths[condition_trials].min(initial=trials.window_bins)
        )
        target[condition, bins] = np.where(seen, smoothed, 0).sum(axis=0)[bins] / number[bins]
        members.append(condition_trials if bins.any() else condition_trials[:0])
    return target, members
