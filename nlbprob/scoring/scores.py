"""`score`: the benchmark's metrics, or one's own, on any `Trials`, with bootstrap intervals over trials."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped

from nlbprob import display
from nlbprob.arguments import checked_keywords, seed_number, whole_number
from nlbprob.data.handed import check_trials
from nlbprob.data.trials import Trials
from nlbprob.scoring.bootstrap import interval, too_few
from nlbprob.scoring.from_trials import RatesOfTrials
from nlbprob.scoring.metrics.base import Metric
from nlbprob.scoring.metrics.catalogue import SCORES, chosen
from nlbprob.scoring.metrics.co_bps import heldout_entries
from nlbprob.scoring.metrics.likelihood import bits_per_spike_by_neuron
from nlbprob.scoring.metrics.scored import DoesNotApply, ScoredRates
from nlbprob.scoring.rates import in_splits, rates_to_score, split_names


@dataclasses.dataclass(frozen=True)
class Scores:
    """The scores of one array of rates.

    Scores of different splits or bin widths are not comparable.

    Attributes:
        values: by the names of the metrics, "co-bps", "vel R2" (or "tp corr"), "psth R2", "fp-bps" where no others are
            asked for; None where one does not apply.
        intervals: 90% interval of each over trials like the scored ones, the model as it is; None where there is none.
        by_neuron: [heldout], co-bps of each held-out neuron, bits/spike; NaN for one without spikes.
        neuron_ids: [heldout], the ids of these neurons.
        bin_ms: width of a bin in ms.
        split: the scored split, or several joined by "+".
        reasons: why a value is None, by the name of the metric.
        notes: what was left out of a score, or why it has no interval, by the name of the metric.
        units: the unit of each score, by the name of the metric.
        meanings: what each metric measures, by its name.
    """

    values: dict[str, float | None]
    intervals: dict[str, tuple[float, float] | None]
    by_neuron: Float[np.ndarray, " heldout"]
    neuron_ids: Shaped[np.ndarray, " heldout"]
    bin_ms: float
    split: str
    reasons: dict[str, str]
    notes: dict[str, str] = dataclasses.field(default_factory=dict)
    units: dict[str, str] = dataclasses.field(default_factory=dict)
    meanings: dict[str, str] = dataclasses.field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The scores as JSON takes them.

        Returns:
            The fields by name, made of dict, list, str, float and None.
        """
        by_neuron = [None if np.isnan(value) else float(value) for value in self.by_neuron]
        return {
            "values": dict(self.values),
            "intervals": {name: None if pair is None else list(pair) for name, pair in self.intervals.items()},
            "by_neuron": [
                {"id": identity, "co-bps": value}
                for identity, value in zip(self.neuron_ids.tolist(), by_neuron, strict=True)
            ],
            "bin_ms": self.bin_ms,
            "split": self.split,
            "reasons": dict(self.reasons),
            "notes": dict(self.notes),
            "units": dict(self.units),
            "meanings": dict(self.meanings),
        }

    def __str__(self) -> str:
        return "\n".join(self.line(name) for name in self.values)

    def _repr_html_(self) -> str:
        rows = []
        for name, value in self.values.items():
            pair = self.intervals[name]
            number = "-" if value is None else f"{value:.4f}"
            interval = "" if pair is None else f"[{pair[0]:.4f}, {pair[1]:.4f}]"
            note = self.reasons[name] if value is None else self.notes.get(name, "")
            rows.append((name, number, interval, self.units.get(name, ""), note))
        columns = ("", "value", "90% interval", "unit", "note")
        return display.table(f"Scores on {self.split}, bins of {self.bin_ms:g} ms", rows, columns)

    def line(self, name: str) -> str:
        """One score in words.

        Args:
            name: of the metric.

        Returns:
            Value, interval, unit, split and bin width; the reason where there is no value.
        """
        setting = f"{self.split}, {self.bin_ms:g} ms bins"
        value, pair = self.values[name], self.intervals[name]
        if value is None:
            return f"{name:<8}{'-':>8}  {'':<18}  {'':<10}  {setting} ({self.reasons[name]})"
        bounds = "" if pair is None else f"[{pair[0]:.4f}, {pair[1]:.4f}]"
        note = f" ({self.notes[name]})" if name in self.notes else ""
        return f"{name:<8}{value:>8.4f}  {bounds:<18}  {self.units.get(name, ''):<10}  {setting}{note}"


@dataclasses.dataclass(frozen=True)
class Measure:
    """A score with its 90% interval and what was left out of it, or the reason why there is none."""

    metric: Metric
    value: float | None = None
    interval: tuple[float, float] | None = None
    reason: str = ""
    note: str = ""

    @staticmethod
    def of(metric: Metric, scored: ScoredRates, draws: int, seed: int) -> "Measure":
        """The score where it applies and is a finite number, with its interval from so many resamples of trials."""
        try:
            statistic = metric.statistic(scored)
        except DoesNotApply as absent:
            return Measure(metric, reason=str(absent))
        value = statistic.value
        if not np.isfinite(value):
            return Measure(metric, reason=statistic.why_none)
        note = "; ".join(filter(None, (statistic.note, too_few(scored.n_trials, draws))))
        return Measure(metric, value, interval(statistic, scored.n_trials, draws, seed), note=note)


@checked_keywords
def score(
    rates: Any,
    trials: Trials,
    fit: str | Sequence[str] = "train",
    on: str | Sequence[str] = "val",
    bootstrap: int = 1000,
    seed: int = 0,
    metrics: Sequence[Metric | str] | None = None,
) -> Scores:
    """Score predicted rates on the trials of split `on`.

    The four metrics of the benchmark (Pei et al. 2021, arXiv 2109.04463):

    - co-bps: bits per spike of held-out neurons in the window.
    - fp-bps: bits per spike of all neurons in the forward window.
    - vel R2: of a ridge decoder of behavior that is fitted on the rates of the trials of `fit`, the mean over the
      channels that change.
    - psth R2: of predicted condition averages; the target is the smoothed PSTH of both splits (see `psth_target`).

    Of stitched sessions, bits count where a neuron is seen, psth R2 is the mean over neurons, each in its own session,
    and one decoder serves all.

    Args:
        rates: (trial, time, neuron), spikes/bin, for every trial, bin and neuron of `trials`, a DataArray or an array;
            in the trials of `on`, predicted from `trials.hide_heldout(on)`.
        trials: with the held-out counts seen, so not the hidden copy.
        fit: the split or splits that decoders learn from.
        on: the split or splits that are scored.
        bootstrap: number of resamples of the trials of `on` for 90% intervals, see `bootstrap.interval` (decoder and
            PSTH target as they are; of bits per spike, without the bias of null rates fitted to the scored trials); 0
            for none. With fewer than four trials the variance over trials is not estimated: their intervals are None,
            and `notes` say so.
        seed: of the resamples.
        metrics: those to give, in this order: names, such as "co-bps", and metrics of one's own, `Metric`; None for
            the four above.

    Returns:
        Values, intervals, co-bps by neuron, and why a score does not apply.

    Raises:
        InputError: rates are NaN, zero, negative or in Hz, do not fit the trials, or were predicted from the spikes
            that are scored; a split has no trial; or there is no metric of a name.
    """
    check_trials(trials, "score")
    bootstrap, seed = whole_number(bootstrap, "score", "bootstrap"), seed_number(seed, "score")
    listed = SCORES if metrics is None else chosen(metrics, "score")
    fitted, evaluated = in_splits(trials, fit, "fit"), in_splits(trials, on, "on")
    scored = RatesOfTrials(rates_to_score(rates, trials, evaluated), trials, fitted, evaluated)
    measures = [Measure.of(metric, scored, bootstrap, seed) for metric in listed]
    return scores_of(
        measures,
        by_neuron=bits_per_spike_by_neuron(*heldout_entries(scored)),
        neuron_ids=trials.neurons["id"][trials.heldout],
        bin_ms=trials.bin_ms,
        split="+".join(split_names(on, "on")),
    )


def scores_of(
    measures: Sequence[Measure],
    by_neuron: Float[np.ndarray, " heldout"],
    neuron_ids: Shaped[np.ndarray, " heldout"],
    bin_ms: float,
    split: str,
) -> Scores:
    """`Scores` of what was measured, metric by metric; the other arguments are its fields."""
    by_name = {measure.metric.name: measure for measure in measures}
    return Scores(
        values={name: measure.value for name, measure in by_name.items()},
        intervals={name: measure.interval for name, measure in by_name.items()},
        by_neuron=by_neuron,
        neuron_ids=neuron_ids,
        bin_ms=bin_ms,
        split=split,
        reasons={name: measure.reason for name, measure in by_name.items() if measure.value is None},
        notes={name: measure.note for name, measure in by_name.items() if measure.note},
        units={name: measure.metric.unit for name, measure in by_name.items()},
        meanings={name: measure.metric.meaning for name, measure in by_name.items()},
    )
