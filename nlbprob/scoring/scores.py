"""`score`: the benchmark's metrics on any `Trials`, with bootstrap intervals over trials."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Shaped

from nlbprob.arguments import checked_keywords, seed_number, whole_number
from nlbprob.data.stitch import members
from nlbprob.data.trials import Trials
from nlbprob.scoring.bootstrap import decoding_draws, interval, psth_draws, resamples
from nlbprob.scoring.decoding import FOLDS, channels_left_out, fit_decoder
from nlbprob.scoring.metrics import bits, bits_per_spike_by_neuron, psth_r2, r_squared, trial_sums
from nlbprob.scoring.psth import psth_target
from nlbprob.scoring.rates import check_rates, in_splits, rate_array, split_names

#: The unit of each score, in the order in which they are shown.
UNITS = {"co-bps": "bits/spike", "vel R2": "", "tp corr": "", "psth R2": "", "fp-bps": "bits/spike"}


@dataclasses.dataclass(frozen=True)
class Measure:
    """A score with its 90% bootstrap interval and what was left out of it, or the reason why there is none."""

    value: float | None = None
    interval: tuple[float, float] | None = None
    reason: str = ""
    note: str = ""

    @staticmethod
    def of(value: float, draws: Float[np.ndarray, " draw"], note: str = "") -> "Measure":
        """The score where it is a finite number, with what resampled trials give."""
        if not np.isfinite(value):
            return Measure(reason=f"it comes out {value:g}, which is no score: rates or behavior are beyond all bounds")
        return Measure(value, interval(value, draws), note=note)


@dataclasses.dataclass(frozen=True)
class Scores:
    """The scores of one array of rates.

    values: by the benchmark's names "co-bps", "vel R2" (or "tp corr"), "psth R2", "fp-bps"; None where one does not
        apply.
    intervals: 90% bootstrap interval of each over the scored trials, the model as it is; None where there is none.
    by_neuron: co-bps of each held-out neuron, NaN for one without spikes; neuron_ids: their ids.
    bin_ms, split: bin width and scored split; scores of different ones are not comparable.
    reasons: why a value is None, by the name of the score; notes: what was left out of a score, by its name.
    """

    values: dict[str, float | None]
    intervals: dict[str, tuple[float, float] | None]
    by_neuron: Float[np.ndarray, " heldout"]
    neuron_ids: Shaped[np.ndarray, " heldout"]
    bin_ms: float
    split: str
    reasons: dict[str, str]
    notes: dict[str, str] = dataclasses.field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """All of it in terms of dict, list, str, float and None, as JSON takes it."""
        known = [None if np.isnan(value) else float(value) for value in self.by_neuron]
        return {
            "values": dict(self.values),
            "intervals": {name: None if pair is None else list(pair) for name, pair in self.intervals.items()},
            "by_neuron": [
                {"id": identity, "co-bps": value}
                for identity, value in zip(self.neuron_ids.tolist(), known, strict=True)
            ],
            "bin_ms": self.bin_ms,
            "split": self.split,
            "reasons": dict(self.reasons),
            "notes": dict(self.notes),
        }

    def __str__(self) -> str:
        return "\n".join(self.line(name) for name in self.values)

    def line(self, name: str) -> str:
        """One score in words: value, interval, unit, and always the split and bin width."""
        setting = f"{self.split}, {self.bin_ms:g} ms bins"
        value, pair = self.values[name], self.intervals[name]
        if value is None:
            return f"{name:<8}{'-':>8}  {'':<18}  {'':<10}  {setting} ({self.reasons[name]})"
        bounds = "" if pair is None else f"[{pair[0]:.4f}, {pair[1]:.4f}]"
        note = f" ({self.notes[name]})" if name in self.notes else ""
        return f"{name:<8}{value:>8.4f}  {bounds:<18}  {UNITS[name]:<10}  {setting}{note}"


@checked_keywords
def score(
    rates: Any,
    trials: Trials,
    fit: str | Sequence[str] = "train",
    on: str | Sequence[str] = "val",
    bootstrap: int = 1000,
    seed: int = 0,
) -> Scores:
    """Score predicted rates on the trials of split `on`.

    co-bps: bits per spike of held-out neurons in the window; fp-bps: of all neurons in the forward window; vel R2: a
    ridge decoder of behavior fitted on the rates of the trials of `fit`, the mean over the channels that change; psth
    R2: of predicted condition averages, the target being the smoothed PSTH of both splits (see `psth_target`). Of
    stitched sessions, bits count where a neuron is seen, psth R2 is the mean over neurons, each in its own session, and
    one decoder serves all.
    rates: (trial, time, neuron), spikes/bin, for every trial, bin and neuron of `trials`, a DataArray or an array; in
    the trials of `on`, predicted from `trials.hide_heldout(on)`.
    trials: with the held-out counts seen, so not the hidden copy.
    bootstrap: number of resamples of the trials of `on` for 90% intervals (decoder and PSTH target as they are, the
    null rates of bits per spike anew in each; see `bootstrap.interval`); 0 for none. A single trial tells nothing of
    the spread over trials: its intervals are None. seed: of the resamples.
    Raises InputError where rates are NaN, zero, negative or in Hz, or do not fit the trials, or a split has no trial.
    Pei et al. (2021), arXiv 2109.04463.
    """
    array = rate_array(rates, trials)
    bootstrap, seed = whole_number(bootstrap, "score", "bootstrap"), seed_number(seed, "score")
    fitted, scored = in_splits(trials, fit, "fit"), in_splits(trials, on, "on")
    check_rates(array, trials.counts, trials.bin_ms, trials.seen)
    count = int(scored.sum())
    weights = resamples(count, bootstrap if count > 1 else 0, seed)
    window = np.arange(trials.n_bins) < trials.window_bins
    measures = {
        "co-bps": likelihood(array, trials, scored, window, trials.heldout, weights),
        "vel R2": decoding(array[:, window], trials, fitted, scored, weights),
        "psth R2": averages(array[:, window], trials, fitted, scored, weights),
        "fp-bps": likelihood(array, trials, scored, ~window, np.ones(trials.n_neurons, dtype=bool), weights),
    }
    chosen = np.ix_(scored, window, trials.heldout)
    return Scores(
        values={name: measure.value for name, measure in measures.items()},
        intervals={name: measure.interval for name, measure in measures.items()},
        by_neuron=bits_per_spike_by_neuron(array[chosen], trials.counts[chosen], trials.seen[chosen]),
        neuron_ids=trials.neurons["id"][trials.heldout],
        bin_ms=trials.bin_ms,
        split="+".join(split_names(on)),
        reasons={name: measure.reason for name, measure in measures.items() if measure.value is None},
        notes={name: measure.note for name, measure in measures.items() if measure.note},
    )


def likelihood(
    rates: Float[np.ndarray, "trial time neuron"],
    trials: Trials,
    scored: Bool[np.ndarray, " trial"],
    bins: Bool[np.ndarray, " time"],
    neurons: Bool[np.ndarray, " neuron"],
    weights: Float[np.ndarray, "draw scored"],
) -> Measure:
    """Bits per spike of the named neurons in the named bins of the scored trials."""
    for mask, reason in ((neurons, "no neuron is held out"), (bins, "there is no forward window")):
        if not mask.any():
            return Measure(reason=reason)
    chosen = np.ix_(scored, bins, neurons)
    sums = trial_sums(rates[chosen], trials.counts[chosen], trials.seen[chosen])
    if not sums.bins.any():
        return Measure(reason="these neurons are not seen in these trials; score against what hide_heldout was given")
    if not sums.spikes.any():
        return Measure(reason="these neurons have no spike in these trials")
    return Measure.of(float(bits(sums, np.ones((1, int(scored.sum()))))[0]), bits(sums, weights))


def decoding(
    rates: Float[np.ndarray, "trial window neuron"],
    trials: Trials,
    fitted: Bool[np.ndarray, " trial"],
    scored: Bool[np.ndarray, " trial"],
    weights: Float[np.ndarray, "draw scored"],
) -> Measure:
    """Velocity R2: a bin counts where all channels that change are known and the trial has not ended."""
    if trials.behavior is None:
        return Measure(reason="there is no behavior")
    behavior, reasons = decodable(trials, fitted, scored)
    if not behavior.shape[2]:
        listed = "; ".join(f"{channel} {reason}" for channel, reason in reasons.items())
        return Measure(reason=f"no channel can be decoded: {listed}")
    known = ~np.isnan(behavior[..., 0])
    for mask, fewest, split in ((fitted, FOLDS, "fitted"), (scored, 2, "scored")):
        if known[mask].sum() < fewest:
            return Measure(reason=f"fewer than {fewest} bins of the {split} trials have behavior")
    decoded = fit_decoder(rates[fitted], behavior[fitted]).predict(rates[scored])
    value = r_squared(behavior[scored][known[scored]], decoded[known[scored]])
    left_out = "; ".join(f"without {channel}, which {reason}" for channel, reason in reasons.items())
    return Measure.of(value, decoding_draws(behavior[scored], decoded, weights), left_out)


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


def averages(
    rates: Float[np.ndarray, "trial window neuron"],
    trials: Trials,
    fitted: Bool[np.ndarray, " trial"],
    scored: Bool[np.ndarray, " trial"],
    weights: Float[np.ndarray, "draw scored"],
) -> Measure:
    """PSTH R2 of the scored trials against the PSTH of fitted and scored trials, the mean over neurons.

    Of stitched sessions, each neuron's is taken over the trials of its own session, the only ones that saw it.
    """
    parts, reason = [], "no condition is named"
    for rows, units in members(trials).values():
        used = np.flatnonzero((fitted | scored) & rows)
        both = trials.select(trials=used, neurons=units) if len(used) else trials
        if not len(used) or not both.condition_labels:
            continue
        target, groups = psth_target(both)
        place = np.cumsum(scored & rows) - 1
        groups = [place[used[group]][scored[used[group]]] for group in groups]
        if not any(len(indices) for indices in groups):
            reason = "no scored trial has a condition and a long enough window"
            continue
        if not np.ptp(target[~np.isnan(target[..., 0])], axis=0).any():
            reason = "the averages by condition do not vary"
            continue
        own, drawn = rates[scored & rows][..., units], weights[:, rows[scored]]
        draws = np.where(drawn.any(axis=1), psth_draws(own, target, groups, drawn), np.nan)
        parts.append((units.sum(), psth_r2(own, target, groups), draws))
    if not parts:
        return Measure(reason=reason)
    neurons, values, draws = zip(*parts, strict=True)
    return Measure.of(float(np.average(values, weights=neurons)), np.average(draws, axis=0, weights=neurons))
