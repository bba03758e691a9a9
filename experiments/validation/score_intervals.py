"""Do the 90% intervals of scores hold the score of other trials? No model is fitted.

Counts are drawn from known rates, and scored by rates that are slightly wrong. From a pool of trials a few are taken at
random again and again, each time with an interval by `nlbprob.scoring.bootstrap.interval`; the score of the whole pool
counts as true, of psth R2 the mean score of as many trials. Beside it stand the central 90% of the resampled score.
"""

import dataclasses
from typing import Any

import numpy as np

from nlbprob.scoring.bootstrap import interval, resamples
from nlbprob.scoring.comparison import Paired
from nlbprob.scoring.metrics.base import Statistic
from nlbprob.scoring.metrics.likelihood import Likelihood, TrialSums, trial_sums
from nlbprob.scoring.metrics.psth_r2 import Averages, SessionAverages
from nlbprob.scoring.metrics.velocity_r2 import Decoding

#: Trials of the pool, and numbers of scored trials.
POOL, NUMBERS = 2000, (16, 27, 64)
#: Intervals from each pool and number; resamples of one, and different sets of them.
REPEATS, DRAWS, SEEDS = 50, 400, 8
BITS = ("co-bps", "difference")
SCORES = (*BITS, "vel R2", "psth R2")
#: What makes recordings differ, by name.
KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "few-spikes": {"mean": 0.025},
    "gains": {"gain": 0.5},
    "strong-gains": {"gain": 0.8, "neurons": 5},
    "errors": {"error": 0.9},
}


@dataclasses.dataclass(frozen=True, eq=False)
class Pool:
    """Many scored trials.

    Attributes:
        sums: of the likelihood under two models.
        behavior: of each trial, and what is decoded of it.
        rates: of the first model.
        psth: the target averages.
        condition: of each trial.
    """

    sums: tuple[TrialSums, TrialSums]
    behavior: tuple[np.ndarray, np.ndarray]
    rates: np.ndarray
    psth: np.ndarray
    condition: np.ndarray

    @staticmethod
    def draw(
        seed: int, neurons: int = 30, bins: int = 40, mean: float = 0.13, gain: float = 0.3, error: float = 0.3
    ) -> "Pool":
        """Three sines, whose phases depend on one of four conditions and vary, drive the neurons.

        Each trial has a gain common to all neurons, of which the models know a part. Their errors are the same in all
        trials, or last a whole trial, or one bin.
        """
        random = np.random.default_rng(seed)
        loadings, baseline = 0.5 * random.normal(size=(3, neurons)), mean * np.exp(0.5 * random.normal(size=neurons))
        condition, phase = random.integers(4, size=POOL), random.uniform(0, 2 * np.pi, size=(4, 1, 3))
        turns = np.linspace(0, 1, bins)[:, None] * [1.0, 1.5, 0.7]
        latents = np.sin(2 * np.pi * turns + phase[condition] + 0.5 * random.normal(size=(POOL, 1, 3)))
        predictor, gains = latents @ loadings, gain * random.normal(size=(POOL, 1, 1))
        true_rates = baseline * np.exp(predictor + gains)
        counts, models = random.poisson(true_rates), []
        for shrunk in (0.6, 0.8):  # the better one last
            wrong = error * random.normal(size=(POOL, 1, neurons)) + 0.25 * random.normal(size=(POOL, bins, 1))
            wrong += 0.15 * np.sin(np.pi * turns) @ random.normal(size=(3, neurons))
            rates = baseline * np.exp(shrunk * predictor + 0.6 * gains + wrong)
            models.append(trial_sums(rates, counts))
        wrong = error * random.standard_t(5, size=(POOL, 1, 2)) + 0.3 * random.normal(size=(POOL, bins, 2))
        psth = np.stack([true_rates[condition == each].mean(axis=0) for each in range(4)])
        return Pool((models[1], models[0]), (latents[..., :2], latents[..., :2] + wrong), rates, psth, condition)

    def statistic(self, name: str, rows: np.ndarray) -> Statistic:
        """A score of the trials `rows`."""
        if name == "vel R2":
            behavior, decoded = self.behavior
            return Decoding(behavior[rows], decoded[rows], np.ones((len(rows), 1), dtype=bool))
        if name == "psth R2":
            members = [np.flatnonzero(self.condition[rows] == each) for each in range(4)]
            return Averages([SessionAverages(self.rates[rows], self.psth, members, np.arange(len(rows)))])
        first, second = (TrialSums(sums.log_likelihood[rows], sums.spikes[rows], sums.bins[rows]) for sums in self.sums)
        return Likelihood(first) if name == "co-bps" else Paired(Likelihood(first), Likelihood(second))


def moved_quantiles(statistic: Statistic, number: int, seed: int) -> tuple[float, float]:
    """The central 90% of the resampled score, moved so that their mean is its value."""
    draws = statistic.draws(resamples(number, DRAWS, seed))
    low, high = np.quantile(draws, [0.05, 0.95]) + statistic.value - draws.mean()
    return float(low), float(high)


def score_intervals(seed: int, kind: str = "plain") -> dict[str, list[float]]:
    """The share of intervals of each score that hold the true one, by the score's name and the number of trials."""
    pool, random, found = Pool.draw(seed, **KINDS[kind]), np.random.default_rng(seed), {}
    for name in SCORES if kind == "plain" else BITS:
        for number in NUMBERS:
            samples = random.integers(POOL, size=(REPEATS, number))
            truth = true_score(pool, name, number, random)
            held = []
            for repeat, rows in enumerate(samples):
                statistic, resampled = pool.statistic(name, rows), repeat % SEEDS
                pairs = interval(statistic, number, DRAWS, resampled), moved_quantiles(statistic, number, resampled)
                held.append([holds(pair, truth) for pair in pairs])
            for form, share in zip(("", " quantiles"), np.mean(held, axis=0).tolist(), strict=True):
                found[f"{name} {number}{form}"] = [share]
    return found


def true_score(pool: Pool, name: str, number: int, random: np.random.Generator) -> float:
    """The score of the whole pool; of psth R2 the mean score of `number` trials."""
    if name != "psth R2":
        return pool.statistic(name, np.arange(POOL)).value
    return float(np.mean([pool.statistic(name, rows).value for rows in random.integers(POOL, size=(300, number))]))


def holds(pair: tuple[float, float] | None, truth: float) -> bool:
    """Whether there is an interval and `truth` lies in it."""
    return pair is not None and pair[0] <= truth <= pair[1]
