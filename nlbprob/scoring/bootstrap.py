"""Bootstrap over trials: a draw is how often each trial counts, and a score of a draw is a function of trial sums."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from nlbprob.scoring.metrics import in_range, r_squared_of_sums

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


def decoding_draws(
    behavior: Float[np.ndarray, "trial time channel"],
    decoded: Float[np.ndarray, "trial time channel"],
    weights: Float[np.ndarray, "draw trial"],
) -> Float[np.ndarray, " draw"]:
    """R2 of `decoded`, averaged over channels, in each resample of trials; bins of NaN behavior do not count.

    NaN where a channel is constant in a resample.
    """
    behavior, decoded = in_range(behavior, decoded)
    seen = ~np.isnan(behavior)
    with np.errstate(over="ignore", invalid="ignore"):  # a prediction out of all proportion gives no number
        residual = weights @ ((behavior - decoded) ** 2).sum(axis=1, where=seen)
    # About the overall mean, so that the difference of sums below loses no digits.
    centered = behavior - behavior.mean(axis=(0, 1), where=seen)
    squares = weights @ (centered**2).sum(axis=1, where=seen)
    sums = weights @ centered.sum(axis=1, where=seen)
    total = about_mean(squares, sums, weights @ seen.sum(axis=1))
    return np.where(total > 0, r_squared_of_sums(residual, total), np.nan).mean(axis=1)


def about_mean(
    squares: Float[np.ndarray, "draw column"],
    sums: Float[np.ndarray, "draw column"],
    number: Float[np.ndarray, "draw _"],
) -> Float[np.ndarray, "draw column"]:
    """Sum of squares about the mean; exactly 0 where only rounding is left, as for a neuron constant in a draw."""
    total = squares - sums**2 / np.maximum(number, 1)
    return np.where(total > 1e-10 * squares, total, 0.0)


def psth_draws(
    rates: Float[np.ndarray, "trial time neuron"],
    psth: Float[np.ndarray, "condition time neuron"],
    members: Sequence[Int[np.ndarray, "_"]],
    weights: Float[np.ndarray, "draw trial"],
) -> Float[np.ndarray, " draw"]:
    """`metrics.psth_r2` in each resample of trials; a condition none of whose trials is drawn is left out of that draw.

    With w the shares of a condition's trials, sum over t of (psth - sum_i w_i r_i)^2 is quadratic in w, so that a draw
    costs as many products as there are pairs of trials, whatever the number of bins.
    """
    center = np.nanmean(psth, axis=(0, 1))
    residual, squares, sums = np.zeros((3, len(weights), rates.shape[2]))
    bins = np.zeros((len(weights), 1))
    for target, trials in zip(psth, members, strict=True):
        scored = ~np.isnan(target[:, 0])
        true, own = target[scored] - center, rates[trials][:, scored] - center
        drawn = weights[:, trials].sum(axis=1, keepdims=True)
        share = weights[:, trials] / np.maximum(drawn, 1)
        by_neuron = np.moveaxis(own, 2, 0)
        products = by_neuron @ by_neuron.swapaxes(1, 2)
        spread = np.stack([((share @ pairs) * share).sum(axis=1) for pairs in products], axis=1)
        present = drawn > 0
        residual += present * ((true**2).sum(axis=0) - 2 * share @ np.einsum("tn,itn->in", true, own) + spread)
        squares += present * (true**2).sum(axis=0)
        sums += present * true.sum(axis=0)
        bins += present * scored.sum()
    return r_squared_of_sums(residual, about_mean(squares, sums, bins)).mean(axis=1)
