"""Intervals of scores: a bootstrap over trials, studentized, from the score without each trial."""

import functools

import numpy as np
from jaxtyping import Float

from nlbprob.scoring.metrics.base import Statistic

#: Probability that an interval is to hold.
COVERAGE = 0.90
#: Trials beyond this number are left out in groups, which bounds the cost and changes an interval by next to nothing.
MOST_GROUPS = 500


@functools.lru_cache(maxsize=8)
def resamples(n_trials: int, draws: int, seed: int) -> Float[np.ndarray, "draw trial"]:
    """How often each of `n_trials` comes in each of `draws` resamples with replacement; rows sum to n_trials.

    All scores of a run share them, so they are kept, and not to be written to.
    """
    generator = np.random.default_rng(seed)
    weights = generator.multinomial(n_trials, np.full(n_trials, 1 / n_trials), size=draws).astype(np.float64)
    weights.setflags(write=False)
    return weights


def interval(statistic: Statistic, n_trials: int, draws: int, seed: int) -> tuple[float, float] | None:
    """The 90% interval of a score over trials like the scored ones: the symmetric bootstrap-t on its pseudo-values.

    With s the score of n trials and s_i that without trial i, p_i = n s - (n - 1) s_i are nearly independent draws
    whose mean is s less its bias of order 1/n, and whose spread is that of s times sqrt(n). With m and e the mean of
    the p_i and its standard error, m* and e* those of a resample, and q the 90% quantile of |m* - m| / e*, the interval
    is

        [c - q e, c + q e],

    c = m where the statistic is one that `corrects_bias`, else c = s. Dividing by e* makes the interval wider where
    trials are few, for which quantiles of the resampled score itself are too narrow. Null rates that are fitted to the
    scored trials make bits per spike too low, by about 1 / (2 ln 2) times the Fano factor of a neuron's counts by trial
    over its spikes; m is free of that, so that the value lies in the lower half of its interval, with few spikes even
    below it.

    In `experiments/validation/score_intervals.py`, at 1 and 5 spikes a trial and neuron, intervals of co-bps from 16,
    27 and 64 trials hold the score of very many in 88 to 92.5% of cases (quantiles of the resampled score: 73 to
    90.5%), those of differences in 87.5 to 93%, and those of velocity R2 whose errors have heavy tails in 83 to 87%.
    They hold it less often, in 78% at 16 trials, where gains differ so much that a few trials have most of the spikes.
    Tukey (1958), Ann. Math. Stat. 29, 614 (pseudo-values); Hall (1988), J. R. Stat. Soc. B 50, 35 (symmetric
    bootstrap-t).

    Args:
        statistic: the score.
        n_trials: number of scored trials.
        draws: number of resamples.
        seed: of the resamples.

    Returns:
        The interval; None without resamples, where the score does not exist without one of the trials, or where so few
        trials differ that too many resamples have no spread, as with fewer than four trials.
    """
    if min(n_trials, draws) < 2:
        return None
    value = statistic.value
    with np.errstate(over="ignore", invalid="ignore"):  # a score out of all proportion has no interval
        pseudo = pseudo_values(statistic, value, n_trials)
        if not np.isfinite(pseudo).all():
            return None
        center = float(pseudo.mean()) if statistic.corrects_bias else value
        return studentized(center, pseudo, resamples(len(pseudo), draws, seed))


def pseudo_values(statistic: Statistic, value: float, n_trials: int) -> Float[np.ndarray, " group"]:
    """n s - (n - 1) s_i with s the value and s_i that without group i of n; a group is a trial, or every 500th of many.

    NaN, or infinite, where one of these is.
    """
    groups = min(n_trials, MOST_GROUPS)
    member = np.arange(n_trials) % groups
    without = statistic.draws((member != np.arange(groups)[:, None]).astype(np.float64))
    return groups * value - (groups - 1) * without


def studentized(
    center: float, pseudo: Float[np.ndarray, " group"], weights: Float[np.ndarray, "draw group"]
) -> tuple[float, float] | None:
    """The interval [c - q e, c + q e] of `interval`; None where too many resamples have no spread."""
    number = len(pseudo)
    deviation = pseudo - pseudo.mean()
    error = np.sqrt((deviation**2).sum() / (number * (number - 1)))
    if error == 0:
        return center, center
    shift, square = weights @ deviation / number, weights @ deviation**2 / number
    spread = square - shift**2
    usable = spread > 1e-12 * square  # else only rounding is left: one trial again and again
    ratio = np.full(len(weights), np.inf)
    ratio[usable] = np.abs(shift[usable]) / np.sqrt(spread[usable] / (number - 1))
    half = error * np.quantile(ratio, COVERAGE, method="higher")
    return (float(center - half), float(center + half)) if np.isfinite(half) else None
