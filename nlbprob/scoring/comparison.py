"""`compare`: do two arrays of rates differ in co-bps on the same trials?"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from nlbprob.arguments import checked_keywords, seed_number, whole_number
from nlbprob.data.handed import check_trials
from nlbprob.data.trials import Trials
from nlbprob.errors import InputError
from nlbprob.scoring.bootstrap import interval, resamples
from nlbprob.scoring.metrics.likelihood import bits, trial_sums
from nlbprob.scoring.rates import check_rates, in_splits, rate_array, split_names


@dataclasses.dataclass(frozen=True)
class Difference:
    """co-bps of the first rates less that of the second, with its 90% interval from a paired bootstrap over trials."""

    value: float
    interval: tuple[float, float] | None
    bin_ms: float
    split: str

    def __str__(self) -> str:
        bounds = "" if self.interval is None else f" [{self.interval[0]:+.4f}, {self.interval[1]:+.4f}]"
        return f"co-bps difference {self.value:+.4f}{bounds} bits/spike, {self.split}, {self.bin_ms:g} ms bins"


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

    Both are resampled with the same trials, so that what is common to them cancels; the null rate cancels altogether.
    rates_a, rates_b: (trial, time, neuron), spikes/bin, as `score` takes them; bootstrap, seed: likewise.
    Raises InputError as `score` does, and where no neuron is held out or none of them has a spike.
    """
    check_trials(trials, "compare")
    bootstrap, seed = whole_number(bootstrap, "compare", "bootstrap"), seed_number(seed, "compare")
    scored = in_splits(trials, on, "on")
    chosen = np.ix_(scored, np.arange(trials.n_bins) < trials.window_bins, trials.heldout)
    draws = []
    weights = np.vstack([np.ones((1, int(scored.sum()))), resamples(int(scored.sum()), bootstrap, seed)])
    for name, rates in (("rates_a", rates_a), ("rates_b", rates_b)):
        array = rate_array(rates, trials, name)
        check_rates(array, trials.counts, trials.bin_ms, trials.seen, name)
        sums = trial_sums(array[chosen], trials.counts[chosen], trials.seen[chosen])
        if not sums.spikes.any():
            raise InputError(f"on: no spike of a held-out neuron is seen in {on!r}; there is no co-bps to compare.")
        draws.append(bits(sums, weights))
    difference = draws[0] - draws[1]
    value = float(difference[0])
    return Difference(value, interval(value, difference[1:]), trials.bin_ms, "+".join(split_names(on)))
