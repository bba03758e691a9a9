"""Intervals of scores: a bootstrap over trials, studentized, from the score without each trial."""

import functools

import numpy as np
from jaxtyping import Float

from nlbprob.scoring.metrics.base import Statistic

#: Probability that an interval is to hold.
COVERAGE = 0.90
#: Of fewer trials, one comes again and again in more than 10% of the resamples, whose spread is then unknown.
FEWEST_TRIALS = 4
#: Trials beyond this number are left out in groups, which bounds the cost and changes an interval by next to nothing.
MOST_GROUPS = 500
#: A score without a trial that differs from the score by no more, relative to it or to 1, differs by rounding alone.
ROUNDING = 1e-12


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
    trials are few, for which quantiles of the resampled score itself are too narrow. A score with a `highest` value h,
    such as 1 of R2, is replaced by -ln(h - s) throughout, and the ends are turned back into scores: errors that are
    large in a few trials skew s more than its logarithm, and no end lies above h.

    What it holds:

    - Bits per spike: the value of very many trials, whose null rates are their own means. Null rates fitted to few
      trials make the score too low, by about 1 / (2 ln 2) times the Fano factor of a neuron's counts by trial over its
      spikes; m is free of that, so that the score lies in the lower half of its interval, with few spikes even below
      it. In a difference of two scores on the same trials the null cancels.
    - vel R2: the value of very many trials, decoded by the same decoder.
    - psth R2: the value of as many other trials. It rises with the number of trials in a condition, which average away
      what predictions vary by from trial to trial.

    docs/validation.md counts how often it does so: from 16, 27 and 64 trials, intervals of co-bps in 88 to 91% of cases
    (quantiles of the resampled score: 72 to 88%), those of differences in 89 to 92%, of vel R2 whose errors have heavy
    tails in 85 to 87%, of psth R2 in 93 to 95%. Less often, in 80 to 84% of 16 trials, where gains of trials differ so
    much that a few trials have most of the spikes; BCa, Student's t, unequal tails, a jackknife in each resample and a
    second bootstrap were tried there, and gained three percent at most.
    Tukey (1958), Ann. Math. Stat. 29, 614 (pseudo-values); Hall (1988), J. R. Stat. Soc. B 50, 35 (symmetric
    bootstrap-t); Efron & Tibshirani (1993), An Introduction to the Bootstrap, sections 11.5 and 12.5 to 12.6 (change of
    scale).

    Args:
        statistic: the score.
        n_trials: number of scored trials.
        draws: number of resamples.
        seed: of the resamples.

    Returns:
        The interval; None without resamples, with fewer than four trials, where the score does not exist without one
        of the trials, or where so few of them differ that too many resamples have no spread.
    """
    if draws < 2 or n_trials < FEWEST_TRIALS:
        return None
    value = statistic.value
    without = scores_without(statistic, n_trials)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # a score out of all proportion has none
        if (np.abs(without - value) <= ROUNDING * max(1.0, abs(value))).all():
            return value, value
        scaled, *scaled_without = to_scale(np.array([value, *without]), statistic.highest)
        pseudo = pseudo_values(scaled, np.array(scaled_without))
        if not np.isfinite(pseudo).all():
            return None
        center = float(pseudo.mean() if statistic.corrects_bias else scaled)
        pseudo = pseudo[np.argsort(np.abs(pseudo - pseudo.mean()))]  # whatever the trials' order, and for -s as for s
        bounds = studentized(center, pseudo, resamples(len(pseudo), draws, seed))
    if bounds is None:
        return None
    return from_scale(bounds[0], statistic.highest), from_scale(bounds[1], statistic.highest)


def too_few(n_trials: int, draws: int) -> str:
    """Why so few trials have no interval, in words; empty where they may have one, or none is asked for."""
    if not draws or n_trials >= FEWEST_TRIALS:
        return ""
    scored = "1 trial is scored" if n_trials == 1 else f"{n_trials} trials are scored"
    return f"has no interval: {scored}, it takes {FEWEST_TRIALS}"


def scores_without(statistic: Statistic, n_trials: int) -> Float[np.ndarray, " group"]:
    """The score without each group; a group is a trial, or every 500th of many."""
    groups = min(n_trials, MOST_GROUPS)
    member = np.arange(n_trials) % groups
    return statistic.draws((member != np.arange(groups)[:, None]).astype(np.float64))


def to_scale(scores: Float[np.ndarray, " score"], highest: float) -> Float[np.ndarray, " score"]:
    """-ln(highest - score), or the score itself where there is no highest one."""
    return scores if np.isinf(highest) else -np.log(highest - scores)


def from_scale(scaled: float, highest: float) -> float:
    """The score of which `to_scale` gives this."""
    return scaled if np.isinf(highest) else float(highest - np.exp(-scaled))


def pseudo_values(value: float, without: Float[np.ndarray, " group"]) -> Float[np.ndarray, " group"]:
    """n s - (n - 1) s_i with s the value and s_i that without group i of n; not finite where one of these is not."""
    return len(without) * value - (len(without) - 1) * without


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
