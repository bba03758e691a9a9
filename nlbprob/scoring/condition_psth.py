"""The baseline "condition PSTH": the average of the trials of the true condition, smoothed and shrunk."""

import dataclasses

import numpy as np
from jaxtyping import Bool, Float, Int

from nlbprob.data.trials import Trials
from nlbprob.scoring.inner import inner_splits, log_likelihood, mean_rates
from nlbprob.scoring.smoothing import gaussian_sums

#: Widths (standard deviations, ms) and weights of the average over conditions (in trials) that may be chosen.
WIDTHS_MS = (15.0, 20.0, 30.0, 40.0, 60.0, 80.0, 120.0, 160.0, 240.0)
PSEUDO_TRIALS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)


@dataclasses.dataclass(frozen=True)
class ConditionPSTH:
    """The rate of every neuron in each condition, spikes/bin; its last row is for trials of unknown condition."""

    width_ms: float
    pseudo_trials: float
    psth: Float[np.ndarray, "condition window neuron"]

    def rates(self, visible: Trials) -> Float[np.ndarray, "trial window neuron"]:
        """The PSTH of each trial's condition, whatever else of the trial is seen."""
        return self.psth[visible.condition_index]


@dataclasses.dataclass(frozen=True)
class Sums:
    """Spikes and numbers of seen trials in every bin, by condition; the last row is of unknown condition."""

    spikes: Float[np.ndarray, "condition window neuron"]
    trials: Float[np.ndarray, "condition window neuron"]

    @staticmethod
    def of(visible: Trials, chosen: Int[np.ndarray, " some"], neurons: Bool[np.ndarray, " neuron"]) -> "Sums":
        """The sums over some trials of some neurons."""
        index = visible.condition_index[chosen]
        shape = (len(visible.condition_labels) + 1, visible.window_bins, int(neurons.sum()))
        spikes, trials = np.zeros((2, *shape))
        for condition in np.unique(index):
            condition_trials = chosen[index == condition]
            seen = visible.seen[condition_trials, : visible.window_bins][..., neurons]
            counts = visible.counts[condition_trials, : visible.window_bins][..., neurons]
            spikes[condition] = np.where(seen, counts, 0).sum(axis=0, dtype=np.float64)
            trials[condition] = seen.sum(axis=0)
        return Sums(spikes, trials)

    def shrunk(
        self, sd_bins: float, pseudo_trials: tuple[float, ...], mean: Float[np.ndarray, " neuron"]
    ) -> list[Float[np.ndarray, "condition window neuron"]]:
        """The PSTH for each number of pseudo-trials m: (smoothed spikes + m average) / (smoothed trials + m).

        `average` is the same over all conditions, shrunk by one trial to the neuron's mean rate.
        """
        spikes, trials = gaussian_sums(self.spikes, sd_bins), gaussian_sums(self.trials, sd_bins)
        average = (spikes.sum(axis=0) + mean) / (trials.sum(axis=0) + 1)
        # What trials of unknown condition add is in the average; a trial to be predicted has the average alone.
        spikes[-1], trials[-1] = 0, 0
        return [(spikes + pseudo * average) / (trials + pseudo) for pseudo in pseudo_trials]


def learn(visible: Trials, fitted: Bool[np.ndarray, " trial"], seed: int) -> ConditionPSTH:
    """Choose width and pseudo-trials on splits inside the fitted trials, then average all of these.

    Args:
        visible: what may be used, so with held-out neurons seen in fitted trials only; these neurons decide the choice
            (all do where none is held out).
        fitted: which trials to learn from.
        seed: of the inner splits.
    """
    mean = mean_rates(visible, fitted)
    judged = visible.heldout if visible.heldout.any() else ~visible.heldout
    trials = np.flatnonzero(fitted)
    index = visible.condition_index
    values = np.zeros((len(WIDTHS_MS), len(PSEUDO_TRIALS)))
    for learning, judging in inner_splits(trials, seed, every_fold=True):
        sums = Sums.of(visible, learning, judged)
        counts = visible.counts[judging, : visible.window_bins][..., judged]
        seen = visible.seen[judging, : visible.window_bins][..., judged]
        for row, width in enumerate(WIDTHS_MS):
            guesses = sums.shrunk(width / visible.bin_ms, PSEUDO_TRIALS, mean[judged])
            values[row] += [log_likelihood(psth[index[judging]], counts, seen) for psth in guesses]
    row, column = np.unravel_index(values.argmax(), values.shape)
    sums = Sums.of(visible, trials, np.ones(visible.n_neurons, dtype=bool))
    (psth,) = sums.shrunk(WIDTHS_MS[row] / visible.bin_ms, (PSEUDO_TRIALS[column],), mean)
    return ConditionPSTH(WIDTHS_MS[row], PSEUDO_TRIALS[column], psth)
