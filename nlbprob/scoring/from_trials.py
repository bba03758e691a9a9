"""Rates scored against `Trials`: what metrics read of them."""

import numpy as np
from jaxtyping import Bool, Float

from nlbprob.data.stitch import members
from nlbprob.data.trials import Trials
from nlbprob.scoring.decoding import FOLDS, channels_left_out
from nlbprob.scoring.metrics.scored import ConditionAverages, DoesNotApply, Forecast, ScoredRates, Velocity
from nlbprob.scoring.psth import psth_target


class RatesOfTrials(ScoredRates):
    """Rates of all trials, of which some are scored and some may be learned from.

    Args:
        rates: [trial, time, neuron], spikes/bin, forward bins included.
        trials: with the held-out counts seen.
        fitted: the trials that decoders learn from.
        scored: the trials that are scored.
    """

    def __init__(
        self,
        rates: Float[np.ndarray, "trial time neuron"],
        trials: Trials,
        fitted: Bool[np.ndarray, " trial"],
        scored: Bool[np.ndarray, " trial"],
    ):
        window = trials.window_bins
        self.all_rates, self.all_trials, self.fitted, self.scored = rates, trials, fitted, scored
        self.all_counts = np.where(trials.seen[scored], trials.counts[scored], np.nan)
        self.rates, self.counts = rates[scored, :window], self.all_counts[:, :window]
        self.heldout, self.bin_ms = trials.heldout, trials.bin_ms

    @property
    def trials(self) -> Trials:
        return self.all_trials.select(trials=np.flatnonzero(self.scored))

    @property
    def forecast(self) -> Forecast:
        if not self.all_trials.forward_bins:
            return super().forecast
        window = self.all_trials.window_bins
        return Forecast(self.all_rates[self.scored, window:], self.all_counts[:, window:])

    @property
    def velocity(self) -> Velocity:
        """A bin counts where all channels that change are known and the trial has not ended."""
        trials, fitted, scored = self.all_trials, self.fitted, self.scored
        if trials.behavior is None:
            return super().velocity
        behavior, reasons = decodable(trials, fitted, scored)
        if not behavior.shape[2]:
            listed = "; ".join(f"{channel} {reason}" for channel, reason in reasons.items())
            raise DoesNotApply(f"no channel can be decoded: {listed}")
        recorded = ~np.isnan(behavior[..., 0])
        for mask, fewest, split in ((fitted, FOLDS, "fitted"), (scored, 2, "scored")):
            if recorded[mask].sum() < fewest:
                raise DoesNotApply(f"fewer than {fewest} bins of the {split} trials have behavior")
        return Velocity(
            rates=self.rates,
            behavior=behavior[scored],
            mask=np.ones((int(scored.sum()), 1), dtype=bool),
            fitted_rates=self.all_rates[fitted, : trials.window_bins],
            fitted_behavior=behavior[fitted],
            fitted_mask=np.ones((int(fitted.sum()), 1), dtype=bool),
            note="; ".join(f"without {channel}, which {reason}" for channel, reason in reasons.items()),
        )

    @property
    def averages(self) -> list[ConditionAverages]:
        """Against the PSTH of fitted and scored trials; of stitched sessions, each by itself."""
        parts, reason = [], "no condition is named"
        for rows, neurons in members(self.all_trials).values():
            try:
                parts.append(self.averages_of(rows, neurons))
            except DoesNotApply as absent:
                reason = str(absent)
        if not parts:
            raise DoesNotApply(reason)
        return parts

    def averages_of(self, rows: Bool[np.ndarray, " trial"], neurons: Bool[np.ndarray, " neuron"]) -> ConditionAverages:
        """The averages of one session, whose trials and neurons are named."""
        trials, scored = self.all_trials, self.scored
        used = np.flatnonzero((self.fitted | scored) & rows)
        both = trials.select(trials=used, neurons=neurons) if len(used) else trials
        if not len(used) or not both.condition_labels:
            raise DoesNotApply("no condition is named")
        target, groups = psth_target(both)
        place = np.cumsum(scored & rows) - 1
        groups = [place[used[group]][scored[used[group]]] for group in groups]
        if not any(len(indices) for indices in groups):
            raise DoesNotApply("no scored trial has a condition and a long enough window")
        if not np.ptp(target[~np.isnan(target[..., 0])], axis=0).any():
            raise DoesNotApply("the averages by condition do not vary")
        scored_rows = np.flatnonzero(rows[scored])
        return ConditionAverages(self.rates[scored_rows][..., neurons], target, groups, scored_rows)


def decodable(
    trials: Trials, fitted: Bool[np.ndarray, " trial"], scored: Bool[np.ndarray, " trial"]
) -> tuple[Float[np.ndarray, "trial window channel"], dict[str, str]]:
    """Behavior in the window, of the channels that can be decoded, and why others cannot, by name.

    NaN in all channels where one is, and after the end of a trial.
    """
    if trials.behavior is None:
        return np.zeros((trials.n_trials, trials.window_bins, 0)), {}
    behavior = np.array(trials.behavior[:, : trials.window_bins])
    behavior = np.where((np.arange(trials.window_bins) < trials.lengths[:, None])[..., None], behavior, np.nan)
    reasons = channels_left_out(behavior, fitted, scored)
    kept = [channel for channel in range(behavior.shape[2]) if channel not in reasons]
    behavior = behavior[..., kept].astype(np.float64)
    behavior[np.isnan(behavior).any(axis=2)] = np.nan
    return behavior, {trials.behavior_channels[channel]: reason for channel, reason in reasons.items()}
