"""Bootstrap over trials: a draw is how often each trial counts, and a score of a draw is a function of trial sums."""

import numpy as np
from jaxtyping import Float

#: Probability that an interval is to hold.
COVERAGE = 0.90


def resamples(n_trials: int, draws: int, seed: int) -> Float[np.ndarray, "draw trial"]:
    """How often each of `n_trials` comes in each of `draws` resamples with replacement; rows sum to n_trials."""
    generator = np.random.default_rng(seed)
    return generator.multinomial(n_trials, np.full(n_trials, 1 / n_trials), size=draws).astype(np.float64)


def interval(value: float, draws: Float[np.ndarray, " draw"]) -> tuple[float, float] | None:
    """The central 90% of the finite draws, moved so that their mean is `value`; None where there are fewer than two.

    None also where the value itself is not finite.

    Scores of a resample are biased: with repeated trials the null's rates fit too well and averages are noisier. The
    move takes that bias out, which would else put intervals beside the score itself.
    """
    finite = draws[np.isfinite(draws)]
    if finite.size < 2 or not np.isfinite(value):
        return None
    low, high = np.quantile(finite, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2]) + value - finite.mean()
    return float(low), float(high)
