"""The benchmark's metrics on plain arrays, in float64: what its `evaluate` computes from rates and counts.

Pei et al. (2021), Neural Latents Benchmark '21, arXiv 2109.04463. The velocity decoder is in `decoding`.
"""

import dataclasses
import warnings
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from nlbprob.errors import InputError

#: What the benchmark puts in the place of a rate of exactly zero, and of the null rate of a silent neuron.
SMALLEST_RATE = 1e-9
#: Larger numbers are no rates. Any float of 32 bits or more holds it.
LARGEST_RATE = 1e30
#: The squares of larger numbers, and of numbers smaller than one over it, may leave the range of floats.
LARGEST_SQUARED = 1e100


@dataclasses.dataclass(frozen=True)
class TrialSums:
    """All that bits per spike needs of a data set, one number for each trial and neuron.

    log_likelihood: sum of k ln r - r over evaluated bins, in nats (ln k! cancels against the null's);
    spikes: sum of k; bins: number of evaluated bins.
    """

    log_likelihood: Float[np.ndarray, "trial neuron"]
    spikes: Float[np.ndarray, "trial neuron"]
    bins: Float[np.ndarray, "trial neuron"]


def trial_sums(
    rates: Num[np.ndarray, "trial time neuron"],
    counts: Num[np.ndarray, "trial time neuron"],
    seen: Bool[np.ndarray, "trial time neuron"] | None = None,
) -> TrialSums:
    """Sums over time of the Poisson log-likelihood k ln r - r, spikes and bins, over the evaluated entries.

    rates: spikes/bin; counts: spikes per bin, NaN where not evaluated; seen: False where not evaluated either.
    A rate of exactly 0 counts as 1e-9, with a warning, as in the benchmark. Raises InputError where an evaluated rate
    is NaN, negative or infinite, or a count infinite.
    """
    if rates.shape != counts.shape:
        raise InputError(f"rates: shape {rates.shape} does not fit counts {counts.shape}; give one rate an entry.")
    used = ~np.isnan(counts) if seen is None else seen & ~np.isnan(counts)
    rates = np.where(used, rates, 1.0).astype(np.float64)
    counts = np.where(used, counts, 0).astype(np.float64)
    if not (rates >= 0).all():
        raise InputError("rates: an evaluated rate is NaN or negative; a rate is a positive number of spikes per bin.")
    if not (rates <= LARGEST_RATE).all() or np.isinf(counts).any():
        raise InputError("rates: an evaluated rate or count is infinite or beyond all bounds; both are spikes per bin.")
    zero = rates == 0
    if zero.any():
        warnings.warn(f"{zero.sum()} rates are exactly 0; each is scored as {SMALLEST_RATE:g}.", stacklevel=3)
        rates[zero] = SMALLEST_RATE
    terms = counts * np.log(rates) - rates
    return TrialSums(terms.sum(axis=1, where=used), counts.sum(axis=1), used.sum(axis=1).astype(np.float64))


def bits(
    sums: TrialSums, weights: Float[np.ndarray, "draw trial"], by_neuron: bool = False
) -> Float[np.ndarray, " draw"] | Float[np.ndarray, "draw neuron"]:
    """Bits per spike when trial i counts weights[draw, i] times; a bootstrap without touching a bin again.

    The null's rate is the neuron's weighted mean count, so its likelihood S ln(S / B) - S needs only the sums of
    spikes S and bins B, and is estimated anew in every draw. -inf or NaN where there is no spike.
    """
    spikes, bins = weights @ sums.spikes, weights @ sums.bins
    null_rate = np.divide(spikes, bins, out=np.zeros_like(spikes), where=bins > 0)
    null_rate[null_rate == 0] = SMALLEST_RATE
    gain = weights @ sums.log_likelihood - (spikes * np.log(null_rate) - null_rate * bins)
    with np.errstate(divide="ignore", invalid="ignore"):
        return gain / spikes / np.log(2) if by_neuron else gain.sum(axis=1) / spikes.sum(axis=1) / np.log(2)


def bits_per_spike(
    rates: Num[np.ndarray, "trial time neuron"],
    counts: Num[np.ndarray, "trial time neuron"],
    seen: Bool[np.ndarray, "trial time neuron"] | None = None,
) -> float:
    """Poisson log-likelihood gained over each neuron's mean rate, in bits per spike, pooled over neurons.

    (nll(null, k) - nll(r, k)) / sum(k) / ln 2 with nll(r, k) = sum of r - k ln r + ln k!, and null the mean of the
    evaluated counts of each neuron themselves. co-bps on held-out neurons, fp-bps on the forward window.
    rates: spikes/bin; counts: spikes per bin, NaN where not evaluated; seen: False where not evaluated either.
    -inf where there is no spike. Raises InputError where an evaluated rate is NaN or negative.
    Pei et al. (2021), arXiv 2109.04463.
    """
    return float(bits(trial_sums(rates, counts, seen), np.ones((1, rates.shape[0])))[0])


def bits_per_spike_by_neuron(
    rates: Num[np.ndarray, "trial time neuron"],
    counts: Num[np.ndarray, "trial time neuron"],
    seen: Bool[np.ndarray, "trial time neuron"] | None = None,
) -> Float[np.ndarray, " neuron"]:
    """`bits_per_spike` of each neuron on its own; NaN for a neuron without an evaluated spike."""
    sums = trial_sums(rates, counts, seen)
    values = bits(sums, np.ones((1, rates.shape[0])), by_neuron=True)[0]
    return np.where(sums.spikes.sum(axis=0) > 0, values, np.nan)


def r_squared(true: Num[np.ndarray, "row column"], predicted: Num[np.ndarray, "row column"]) -> float:
    """1 - residual / total sum of squares of each column about its own mean, averaged over columns.

    A constant column counts 1 where it is predicted exactly and 0 elsewhere, as in scikit-learn's r2_score. NaN where a
    value is NaN or infinite.
    """
    true, predicted = in_range(true.astype(np.float64), predicted.astype(np.float64))
    with np.errstate(over="ignore"):  # a prediction out of all proportion gives no number
        residual = ((true - predicted) ** 2).sum(axis=0)
    total = ((true - true.mean(axis=0)) ** 2).sum(axis=0)
    return float(r_squared_of_sums(residual, total).mean())


def r_squared_of_sums(
    residual: Float[np.ndarray, "*draw column"], total: Float[np.ndarray, "*draw column"]
) -> Float[np.ndarray, "*draw column"]:
    """1 - residual / total; where total is 0, 1 if residual is 0 too and else 0. NaN where either is not finite."""
    share = np.divide(residual, total, out=(residual > 0).astype(np.float64), where=total > 0)
    return np.where(np.isfinite(residual) & np.isfinite(total), 1.0 - share, np.nan)


def in_range(
    true: Float[np.ndarray, "*rows column"], predicted: Float[np.ndarray, "*rows column"]
) -> tuple[Float[np.ndarray, "*rows column"], Float[np.ndarray, "*rows column"]]:
    """Both in a unit in which the squares of the first neither overflow nor vanish."""
    exponent = exponent_of(true)
    return (np.ldexp(true, -exponent), np.ldexp(predicted, -exponent)) if exponent.any() else (true, predicted)


def exponent_of(values: Float[np.ndarray, "*rows column"]) -> Int[np.ndarray, " column"]:
    """The power of two that brings each column near 1, and changes no digit; 0 where its squares are in range as is."""
    largest = np.max(np.abs(values), axis=tuple(range(values.ndim - 1)), initial=0, where=np.isfinite(values))
    far = (largest > LARGEST_SQUARED) | (largest < 1 / LARGEST_SQUARED)
    return np.where(far, np.frexp(largest)[1], 0)


def psth_r2(
    rates: Num[np.ndarray, "trial time neuron"],
    psth: Num[np.ndarray, "condition time neuron"],
    members: Sequence[Int[np.ndarray, "_"]],
    jitter: Int[np.ndarray, " trial"] | None = None,
) -> float:
    """R2 of predicted condition averages, the mean over neurons.

    Each neuron's is taken about its own mean over conditions and time. The predicted PSTH of condition c is the mean of
    `rates` over the trials members[c]; conditions without trials are left out, and bins where psth[c, :, 0] is NaN.
    jitter: bins by which each trial's rates lie early in its window; they are moved back by as many before averaging.
    NaN where a rate in such a bin is NaN or infinite.
    Pei et al. (2021), arXiv 2109.04463.
    """
    moved = rates if jitter is None else np.stack([shifted(*pair) for pair in zip(rates, jitter.tolist(), strict=True)])
    true, predicted = [], []
    for target, trials in zip(psth, members, strict=True):
        if len(trials):
            bins = ~np.isnan(target[:, 0])
            true.append(target[bins])
            predicted.append(moved[trials][:, bins].astype(np.float64).mean(axis=0))
    return r_squared(np.concatenate(true), np.concatenate(predicted))


def shifted(rates: Num[np.ndarray, "time neuron"], bins: int) -> Float[np.ndarray, "time neuron"]:
    """Rates moved `bins` later, NaN where nothing is left."""
    moved = np.full(rates.shape, np.nan)
    moved[bins:] = rates[: len(rates) - bins]
    return moved


def speed_tp_correlation(
    rates: Num[np.ndarray, "trial time neuron"],
    counts: Num[np.ndarray, "trial time heldout"],
    behavior: Num[np.ndarray, "trial 5"],
) -> float:
    """How slowly rates move when an interval is produced late: mean over groups of the correlation of speed with tp.

    speed = mean over t of || r[t+1] - r[t] || over all neurons, in the bins where counts[trial, :, 0] is not NaN.
    behavior: columns is_eye, theta, is_short, ts, tp (ms); Pearson's r within each joint value of the first three;
    trials where one of these is not finite are left out. Good rates give a negative value.
    Pei et al. (2021), arXiv 2109.04463; Remington et al. (2018), Neuron 98, 1005.
    """
    kept = np.flatnonzero(np.isfinite(behavior).all(axis=1))
    scored = ~np.isnan(counts[..., 0])
    speed = [np.linalg.norm(np.diff(rates[i, scored[i]].astype(np.float64), axis=0), axis=1).mean() for i in kept]
    groups = np.unique(behavior[kept, :3], axis=0, return_inverse=True)[1].ravel()
    produced = behavior[kept, 4]
    return float(
        np.mean([np.corrcoef(np.array(speed)[groups == g], produced[groups == g])[0, 1] for g in np.unique(groups)])
    )
