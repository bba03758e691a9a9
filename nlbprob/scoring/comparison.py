"""`compare`: do two arrays of rates differ in co-bps on the same trials?"""

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
from nlbprob.scoring.metrics.base import Statistic, Weights
from nlbprob.scoring.metrics.likelihood import TrialSums, bits, trial_sums
from nlbprob.scoring.rates import check_rates, in_splits, rate_array, split_names


@dataclasses.dataclass(frozen=True)
class Difference:
    """co-bps of the first rates less that of the second, with its 90% interval over trials, which are paired.

    Attributes:
        value: the difference, bits/spike.
        interval: its lower and upper end; None where there is none, see `bootstrap.interval`.
        bin_ms: width of a bin in ms.
        split: the scored split, or several joined by "+".
    """

    value: float
    interval: tuple[float, float] | None
    bin_ms: float
    split: str

    def __str__(self) -> str:
        bounds = "" if self.interval is None else f" [{self.interval[0]:+.4f}, {self.interval[1]:+.4f}]"
        return f"co-bps difference {self.value:+.4f}{bounds} bits/spike, {self.split}, {self.bin_ms:g} ms bins"


@dataclasses.dataclass(frozen=True, eq=False)
class PairedBits(Statistic):
    """Bits per spike of one array of rates less those of another, from the sums of both over the same trials."""

    first: TrialSums
    second: TrialSums

    @property
    def value(self) -> float:
        return float(self.draws(np.ones((1, len(self.first.spikes))))[0])

    def draws(self, weights: Weights) -> Float[np.ndarray, " draw"]:
        return bits(self.first, weights) - bits(self.second, weights)


@checked_keywords
def compare(
    rates_a: Any,
    rates_b: Any,
    trials: Trials,
    on: str | Sequence[str] = "val",
    bootstrap: int = 1000,
    seed: int = 0,
) -> Difference:
    """co-bps(rates_a) - co-bps(rates_b) on the held-out neurons of split `on`.

    Trials are paired, so that what is common to both cancels; the null rate cancels altogether, and with it its bias.

    Args:
        rates_a: (trial, time, neuron), spikes/bin, as `score` takes them.
        rates_b: (trial, time, neuron), spikes/bin, those to compare with.
        trials: with the held-out counts seen, as `score` takes them.
        on: the split or splits that are scored.
        bootstrap: number of resamples of the trials of `on` for the interval; 0 for none.
        seed: of the resamples.

    Returns:
        The difference with its 90% interval, see `bootstrap.interval`.

    Raises:
        InputError: as `score` does, and where no neuron is held out or none of them has a spike.
    """
    check_trials(trials, "compare")
    bootstrap, seed = whole_number(bootstrap, "compare", "bootstrap"), seed_number(seed, "compare")
    scored = in_splits(trials, on, "on")
    chosen = np.ix_(scored, np.arange(trials.n_bins) < trials.window_bins, trials.heldout)
    sums = []
    for name, rates in (("rates_a", rates_a), ("rates_b", rates_b)):
        array = rate_array(rates, trials, name, "compare")
        check_rates(array, trials.counts, trials.bin_ms, trials.seen, name)
        sums.append(trial_sums(array[chosen], trials.counts[chosen], trials.seen[chosen]))
        if not sums[-1].spikes.any():
            raise InputError(f"on: no spike of a held-out neuron is seen in {on!r}; there is no co-bps to compare.")
    paired = PairedBits(*sums)
    bounds = interval(paired, int(scored.sum()), bootstrap, seed)
    return Difference(paired.value, bounds, trials.bin_ms, "+".join(split_names(on, "on")))
