"""Forecasts of the baselines: how much of the last rate to carry into the forward window."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float

from nlbprob.data.trials import Trials
from nlbprob.scoring.inner import log_likelihood

#: Shares of the last rate that may be chosen; the rest is the mean rate.
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)


def with_forecast(
    predict: Callable[[Trials], Float[np.ndarray, "trial window neuron"]],
    visible: Trials,
    fitted: Bool[np.ndarray, " trial"],
    mean: Float[np.ndarray, " neuron"],
) -> Float[np.ndarray, "trial time neuron"]:
    """The rates of `predict` in the window, and in the forward window mean + share (last - mean), spikes/bin.

    The share is chosen on the fitted trials: the last bins of their windows are hidden, as many as there are forward
    bins, and predicted likewise. A window too short for that leaves the mean.
    """
    rates = predict(visible)
    if not visible.forward_bins:
        return rates
    share = carried_share(predict, visible, fitted, mean)
    forward = np.repeat(mean + share * (rates[:, -1:] - mean), visible.forward_bins, axis=1)
    return np.concatenate([rates, forward], axis=1)


def carried_share(
    predict: Callable[[Trials], Float[np.ndarray, "trial window neuron"]],
    visible: Trials,
    fitted: Bool[np.ndarray, " trial"],
    mean: Float[np.ndarray, " neuron"],
) -> float:
    """The share of the last rate under which the hidden end of the fitted trials' windows is likeliest."""
    cut, window = visible.window_bins - visible.forward_bins, visible.window_bins
    if cut < 1:
        return 0.0
    shortened = visible.replace(seen=visible.seen & (np.arange(visible.n_bins) < cut)[:, None])
    last = predict(shortened)[fitted, cut - 1 : cut]
    counts, seen = visible.counts[fitted, cut:window], visible.seen[fitted, cut:window]
    values = [
        log_likelihood(np.broadcast_to(mean + share * (last - mean), counts.shape), counts, seen) for share in SHARES
    ]
    return SHARES[int(np.argmax(values))]
