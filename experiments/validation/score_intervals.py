"""Do the 90% intervals of scores hold the score of very many trials?

python experiments/validation/score_intervals.py [--repeats N]

Counts are drawn from known rates, and scored by rates that are slightly wrong: no model is fitted. Of a pool of trials,
whose score counts as true, a few are taken at random again and again, with an interval each time. Beside `interval` of
`nlbprob.scoring.bootstrap` stand the central 90% of the resampled score, moved to its value, which nlbprob gave before.
What it prints lies beside this file, in score_intervals.txt.
"""

import argparse
import dataclasses
import pathlib
from typing import Any

import numpy as np

from nlbprob.scoring.bootstrap import interval, resamples
from nlbprob.scoring.comparison import PairedBits
from nlbprob.scoring.metrics.base import Statistic
from nlbprob.scoring.metrics.likelihood import Likelihood, TrialSums, trial_sums
from nlbprob.scoring.metrics.velocity_r2 import Decoding

#: Trials of the pool, and numbers of scored trials.
POOL, NUMBERS = 4000, (16, 27, 64)
#: Resamples of an interval, and different sets of them.
DRAWS, SEEDS = 400, 8
#: What makes recordings differ, by the words of the table.
KINDS: dict[str, dict[str, Any]] = {
    "5 spikes a trial": {},
    "1 spike a trial": {"mean": 0.03},
    "strong gains, 5 neurons": {"neurons": 5, "gain": 0.8},
    "a model far off in some trials": {"error": 0.9},
}


@dataclasses.dataclass(frozen=True, eq=False)
class Pool:
    """Many scored trials: sums of the likelihood under two models, and behavior with what is decoded of it."""

    first: TrialSums
    second: TrialSums
    behavior: np.ndarray
    decoded: np.ndarray

    @staticmethod
    def draw(seed: int, neurons: int = 15, bins: int = 30, mean: float = 0.18, gain: float = 0.3, error: float = 0.3):
        """Three sines drive the neurons; each trial has a gain, and errors of the models that last all of it."""
        random = np.random.default_rng(seed)
        loadings, baseline = 0.5 * random.normal(size=(3, neurons)), mean * np.exp(0.5 * random.normal(size=neurons))
        phase = random.uniform(0, 2 * np.pi, size=(POOL, 1, 3))
        latents = np.sin(2 * np.pi * np.linspace(0, 1, bins)[:, None] * [1.0, 1.5, 0.7] + phase)
        predictor, gains = latents @ loadings, gain * random.normal(size=(POOL, 1, 1))
        counts = random.poisson(baseline * np.exp(predictor + gains))
        models = []
        for shrunk in (0.8, 0.6):
            wrong = error * random.normal(size=(POOL, 1, neurons)) + 0.25 * random.normal(size=(POOL, bins, 1))
            models.append(trial_sums(baseline * np.exp(shrunk * predictor + 0.6 * gains + wrong), counts))
        behavior = latents[..., :2]
        wrong = error * random.standard_t(5, size=(POOL, 1, 2)) + 0.3 * random.normal(size=behavior.shape)
        return Pool(*models, behavior, behavior + wrong)

    def statistic(self, name: str, rows: np.ndarray) -> Statistic:
        """A score of the trials `rows`."""
        if name == "vel R2":
            return Decoding(self.behavior[rows], self.decoded[rows], np.ones((len(rows), 1), dtype=bool))
        first, second = (
            TrialSums(sums.log_likelihood[rows], sums.spikes[rows], sums.bins[rows])
            for sums in (self.first, self.second)
        )
        return Likelihood(first) if name == "co-bps" else PairedBits(first, second)


def moved_quantiles(statistic: Statistic, number: int, seed: int) -> tuple[float, float]:
    """The central 90% of the resampled score, moved so that their mean is its value."""
    draws = statistic.draws(resamples(number, DRAWS, seed))
    low, high = np.quantile(draws, [0.05, 0.95]) + statistic.value - draws.mean()
    return float(low), float(high)


def study(pool: Pool, name: str, number: int, repeats: int, seed: int = 0) -> dict[str, float]:
    """How often intervals from `number` trials hold the pool's score, and how far the value is off on average."""
    random = np.random.default_rng(seed)
    truth = pool.statistic(name, np.arange(POOL)).value
    held, held_before, values = [], [], []
    for repeat in range(repeats):
        statistic = pool.statistic(name, random.integers(POOL, size=number))
        bounds = interval(statistic, number, DRAWS, repeat % SEEDS) or (np.nan, np.nan)
        before = moved_quantiles(statistic, number, repeat % SEEDS)
        held.append(bounds[0] <= truth <= bounds[1])
        held_before.append(before[0] <= truth <= before[1])
        values.append(statistic.value)
    return {
        "truth": truth,
        "bias": float(np.mean(values)) - truth,
        "held": float(np.mean(held)),
        "held_before": float(np.mean(held_before)),
    }


def main() -> None:
    """Study each kind of recording and score, print the table, and keep it line by line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=1000, help="intervals for each line (1000)")
    repeats = parser.parse_args().repeats
    lines = [f"{'recording':<32}{'score':<12}{'trials':>6}{'truth':>9}{'bias':>9}{'held':>8}{'before':>8}"]
    for words, options in KINDS.items():
        pool = Pool.draw(seed=1, **options)
        for name in ("co-bps", "difference", "vel R2"):
            for number in NUMBERS:
                found = study(pool, name, number, repeats)
                shares = f"{found['held']:>8.1%}{found['held_before']:>8.1%}"
                lines.append(f"{words:<32}{name:<12}{number:>6}{found['truth']:>9.4f}{found['bias']:>+9.4f}{shares}")
                print(lines[-1], flush=True)
                text = f"{repeats} intervals a line\n" + "\n".join(lines) + "\n"
                pathlib.Path(__file__).with_suffix(".txt").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
