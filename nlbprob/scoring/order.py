"""Whether rates are in the order of the spikes they predict: permutation tests over trials and over neurons."""

from collections.abc import Callable
from itertools import permutations

import numpy as np
from jaxtyping import Float, Num

#: Permutations that the order at hand is compared with, and the fraction of them that may do as well.
PERMUTATIONS = 200
LEVEL = 0.01
#: From this many trials or neurons on, permutations differ enough for the fraction to fall under LEVEL.
FEWEST = 6

Pairs = Float[np.ndarray, "item item"]


def trial_pairs(rates: Num[np.ndarray, "trial time neuron"], counts: Num[np.ndarray, "trial time neuron"]) -> Pairs:
    """How well the rates of trial i go with the spikes of trial j: their products about each bin's mean over trials.

    sum over (t, n) of (r_itn - mean_i r_itn) (k_jtn - mean_j k_jtn) / (s_n q_n), with s_n and q_n the root mean
    squares of neuron n's factors, so that the diagonal's sum over the number of its entries is an average correlation.
    What all trials share, as a PSTH over all of them, cancels.

    Args:
        rates: spikes/bin.
        counts: spikes per bin, NaN where not recorded.

    Returns:
        [trial, trial].
    """
    return (standardized(rates) @ standardized(counts).T).astype(np.float64)


def standardized(values: Num[np.ndarray, "trial time neuron"]) -> Float[np.ndarray, "trial feature"]:
    """Values about each bin's mean over trials, over each neuron's root mean square; 0 where NaN."""
    finite = ~np.isnan(values)
    filled = np.where(finite, values, 0).astype(np.float32)
    mean = filled.sum(axis=0) / np.maximum(finite.sum(axis=0), 1)
    centered = np.where(finite, filled - mean, 0).astype(np.float32)
    scale = np.sqrt((centered.astype(np.float64) ** 2).mean(axis=(0, 1)))
    # Rates that differ by rounding alone, as those of a model of the mean do, contain no information about order.
    noise = 1e-5 * np.abs(filled).mean(axis=(0, 1))
    centered *= np.divide(1, scale, out=np.zeros_like(scale), where=scale > noise).astype(np.float32)
    return centered.reshape(len(values), -1)


def neuron_pairs(
    rates: Num[np.ndarray, "trial time neuron"], counts: Num[np.ndarray, "trial time neuron"]
) -> Float[np.ndarray, "trial neuron neuron"]:
    """The log-likelihood (nats) of neuron j's spikes under neuron i's rates, less what does not depend on the pairing.

    It is the sum over t of k_j log r_i, of each trial.

    Args:
        rates: spikes/bin.
        counts: spikes per bin, NaN where not recorded.

    Returns:
        [trial, neuron i, neuron j].
    """
    return logs(rates).transpose(0, 2, 1) @ np.nan_to_num(counts).astype(np.float64)


def permutation_p_value(pairs: Pairs, seed: int = 0) -> float | None:
    """(1 + the number of permutations whose pairs add up to no less than the diagonal) / (1 + all 200 of them).

    None where all permutations come to the same, or there are too few items.
    """
    if len(pairs) < FEWEST:
        return None
    generator, place = np.random.default_rng(seed), np.arange(len(pairs))
    observed = float(np.trace(pairs))
    sums = np.array([pairs[generator.permutation(place), place].sum() for _ in range(PERMUTATIONS)])
    if np.ptp(np.append(sums, observed)) <= 1e-6 * float(np.abs(pairs).sum()) / len(pairs):
        return None
    return (1 + int((sums >= observed).sum())) / (1 + PERMUTATIONS)


def readout(
    heldin: Num[np.ndarray, "trial time heldin"], heldout: Num[np.ndarray, "trial time heldout"]
) -> Callable[[Num[np.ndarray, "other time heldin"]], Float[np.ndarray, "other time heldout"]]:
    """Log-rates of held-out neurons, linear in those of held-in neurons, learned from some trials by ridge regression.

    A model that predicts both from the same latents can be read like that, however well it does: it tells whether the
    two are in one order where no spikes do.
    """
    x, y = (logs(rates).reshape(-1, rates.shape[2]) for rates in (heldin, heldout))
    center, mean = x.mean(axis=0), y.mean(axis=0)
    x = x - center
    gram = x.T @ x
    gram += 1e-3 * np.trace(gram) / len(gram) * np.eye(len(gram)) + 1e-12 * np.eye(len(gram))
    weights = np.linalg.solve(gram, x.T @ (y - mean))
    return lambda rates: (logs(rates) - center) @ weights + mean


def logs(rates: Num[np.ndarray, "*axes"]) -> Float[np.ndarray, "*axes"]:
    """Logarithms of rates; zero counts as 1e-9."""
    return np.log(np.maximum(rates.astype(np.float64), 1e-9))


def best_of_all(pairs: Float[np.ndarray, "trial item item"]) -> bool:
    """Whether no other order of a few items goes better with the spikes: for tables too small for the test above.

    Of two neurons that fire alike chance decides which order is better. One counts as better that gains over the
    trials, on average, more than 2.33 standard errors of that mean: by chance, one in a hundred does.
    """
    observed = np.trace(pairs, axis1=1, axis2=2)
    for order in permutations(range(pairs.shape[1])):
        gain = sum(pairs[:, row, column] for column, row in enumerate(order)) - observed
        error = gain.std(ddof=1) / np.sqrt(len(gain)) if len(gain) > 1 else 0.0
        if gain.mean() > 2.33 * error + 1e-9 * np.abs(observed).mean():
            return False
    return True
