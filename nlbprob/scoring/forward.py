"""Forecasts of the baselines: how much of the last rate to carry into the forward window."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float

from nlbprob.data.trials import Trials
from nlbprob.scoring.inner import log_likelihood

#: Weights of the last rate to choose from; the mean rate has the remaining weight.
LAST_RATE_WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)


def with_forecast(
    predict: Callable[[Trials], Float[np.ndarray, "trial window neuron"]],
    visible: Trials,
    fitted: Bool[np.ndarray, " trial"],
    mean: Float[np.ndarray, " neuron"],
) -> Float[np.ndarray, "trial time neuron"]:
    """The rates of `predict` in the window, and in the forward window mean + weight (last - mean), spikes/bin.

    The weight is chosen on the fitted trials: the last bins of their windows are hidden, as many as there are forward
    bins, and predicted likewise. A window too short for that leaves the mean.
    """
    rates = predict(visible)
    if not visible.forward_bins:
        return rates
    weight = last_rate_weight(predict, visible, fitted, mean)
    forward = np.repeat(mean + weight * (rates[:, -1:] - mean), visible.forward_bins, axis=1)
    return np.concatenate([rates, forward], axis=1)


def last_rate_weight(
    predict: Callable[[Trials], Float[np.ndarray, "trial window neuron"]],
    visible: Trials,
    fitted: Bool[np.ndarray, " trial"],
    mean: Float[np.ndarray, " neuron"],
) -> float:
    """The weight of the last rate for which the hidden end of the fitted trials' windows is likeliest."""
    cut, window = visible.window_bins - visible.forward_bins, visible.window_bins
    if cut < 1:
        return 0.0
    shortened = visible.replace(seen=visible.seen & (np.arange(visible.n_bins) < cut)[:, None])
    last = predict(shortened)[fitted, cut - 1 : cut]
    counts, seen = visible.counts[fitted, cut:window], visible.seen[fitted, cut:window]
    values = [
        log_likelihood(np.broadcast_to(mean + weight * (last - mean), counts.shape), counts, seen)
        for weight in LAST_RATE_WEIGHTS
    ]
    return LAST_RATE_WEIGHTS[int(np.argmax(values))]
