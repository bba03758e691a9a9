"""`compare`: do two arrays of rates differ in a score on the same trials?"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from nlbprob.arguments import checked_keywords, seed_number, whole_number
from nlbprob.data.handed import check_trials
from nlbprob.data.trials import Trials
from nlbprob.errors import InputError
from nlbprob.scoring.bootstrap import interval
from nlbprob.scoring.from_trials import RatesOfTrials
from nlbprob.scoring.metrics.base import Metric, Statistic, Weights
from nlbprob.scoring.metrics.catalogue import metric_of
from nlbprob.scoring.metrics.scored import DoesNotApply
from nlbprob.scoring.rates import in_splits, rates_to_score, split_names


@dataclasses.dataclass(frozen=True)
class Difference:
    """The score of the first rates less that of the second, with its 90% interval over trials, which are paired.

    Attributes:
        value: the difference, in the unit of the score.
        interval: its lower and upper end; None where there is none, see `bootstrap.interval`.
        bin_ms: width of a bin in ms.
        split: the scored split, or several joined by "+".
        metric: the name of the score.
        unit: its unit; empty where it has none.
    """

    value: float
    interval: tuple[float, float] | None
    bin_ms: float
    split: str
    metric: str = "co-bps"
    unit: str = "bits/spike"

    def __str__(self) -> str:
        bounds = "" if self.interval is None else f" [{self.interval[0]:+.4f}, {self.interval[1]:+.4f}]"
        number = f"{self.value:+.4f}{bounds}{' ' * bool(self.unit)}{self.unit}"
        return f"{self.metric} difference {number}, {self.split}, {self.bin_ms:g} ms bins"


@dataclasses.dataclass(frozen=True, eq=False)
class Paired(Statistic):
    """One score less another one of the same trials, which count equally often for both."""

    first: Statistic
    second: Statistic

    @property
    def value(self) -> float:
        return self.first.value - self.second.value

    def draws(self, weights: Weights) -> Float[np.ndarray, " draw"]:
        return self.first.draws(weights) - self.second.draws(weights)


@checked_keywords
def compare(
    rates_a: Any,
    rates_b: Any,
    trials: Trials,
    on: str | Sequence[str] = "val",
    bootstrap: int = 1000,
    seed: int = 0,
    *,
    fit: str | Sequence[str] = "train",
    metric: Metric | str = "co-bps",
) -> Difference:
    """The score of rates_a less that of rates_b on the trials of split `on`; by default of co-bps.

    Trials are paired, so that what is common to both cancels; of bits per spike the null rate cancels altogether, and
    with it its bias.

    Args:
        rates_a: (trial, time, neuron), spikes/bin, as `score` takes them.
        rates_b: (trial, time, neuron), spikes/bin, those to compare with.
        trials: with the held-out counts seen, as `score` takes them.
        on: the split or splits that are scored.
        bootstrap: number of resamples of the trials of `on` for the interval; 0 for none.
        seed: of the resamples.
        fit: the split or splits that decoders learn from, for scores that need one.
        metric: the score: a name, such as "vel R2", or a `Metric`.

    Returns:
        The difference with its 90% interval, see `bootstrap.interval`.

    Raises:
        InputError: as `score` does, and where the score does not apply, as co-bps without held-out neurons.
    """
    check_trials(trials, "compare")
    bootstrap, seed = whole_number(bootstrap, "compare", "bootstrap"), seed_number(seed, "compare")
    metric, scored = metric_of(metric, "compare"), in_splits(trials, on, "on")
    fitted = np.isin(trials.table["split"], split_names(fit, "fit"))
    statistics = []
    for name, rates in (("rates_a", rates_a), ("rates_b", rates_b)):
        array = rates_to_score(rates, trials, scored, name, "compare")
        try:
            statistics.append(metric.statistic(RatesOfTrials(array, trials, fitted, scored)))
        except DoesNotApply as absent:
            raise InputError(f"compare: {absent}; there is no {metric.name} to compare.") from None
        if not np.isfinite(statistics[-1].value):
            why = statistics[-1].why_none
            raise InputError(f"on: {why} in {on!r}; there is no {metric.name} to compare.")
    paired = Paired(*statistics)
    bounds = interval(paired, int(scored.sum()), bootstrap, seed)
    split = "+".join(split_names(on, "on"))
    return Difference(paired.value, bounds, trials.bin_ms, split, metric.name, metric.unit)
