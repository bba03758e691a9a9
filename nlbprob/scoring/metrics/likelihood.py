"""Bits per spike: the Poisson log-likelihood gained over each neuron's mean rate, on plain arrays in float64.

Pei et al. (2021), Neural Latents Benchmark '21, arXiv 2109.04463.
"""

import dataclasses
import warnings

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from nlbprob.errors import InputError
from nlbprob.scoring.metrics.base import Statistic, Weights
from nlbprob.scoring.metrics.limits import LARGEST_RATE, SMALLEST_RATE


@dataclasses.dataclass(frozen=True)
class TrialSums:
    """All that bits per spike needs of a data set, one number for each trial and neuron.

    Attributes:
        log_likelihood: sum of k ln r - r over evaluated bins, in nats (ln k! cancels against the null's).
        spikes: sum of k.
        bins: number of evaluated bins.
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

    A rate of exactly 0 counts as 1e-9, with a warning, as in the benchmark.

    Args:
        rates: spikes/bin.
        counts: spikes per bin, NaN where not evaluated.
        seen: False where not evaluated either.

    Returns:
        The sums of each trial and neuron.

    Raises:
        InputError: an evaluated rate is NaN, negative or infinite, or a count is infinite.
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
    evaluated counts of each neuron themselves. co-bps on held-out neurons, fp-bps on the forward window. Pei et al.
    (2021), arXiv 2109.04463.

    Args:
        rates: spikes/bin.
        counts: spikes per bin, NaN where not evaluated.
        seen: False where not evaluated either.

    Returns:
        bits/spike; -inf where there is no spike.

    Raises:
        InputError: an evaluated rate is NaN or negative.
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


@dataclasses.dataclass(frozen=True)
class Likelihood(Statistic):
    """Bits per spike: of held-out neurons in the window (co-bps), or of all neurons in the forward window (fp-bps)."""

    sums: TrialSums
    corrects_bias = True

    @staticmethod
    def of(rates: Num[np.ndarray, "trial time neuron"], counts: Num[np.ndarray, "trial time neuron"]) -> "Likelihood":
        """Raises InputError where a scored rate is NaN or negative; warns where one is 0, which counts as 1e-9."""
        return Likelihood(trial_sums(rates, counts))

    @property
    def why_none(self) -> str:
        if not self.sums.bins.any():
            return "these neurons are not seen in these trials; score against what hide_heldout was given"
        return super().why_none if self.sums.spikes.any() else "these neurons have no spike in these trials"

    @property
    def value(self) -> float:
        return float(bits(self.sums, np.ones((1, len(self.sums.spikes))))[0])

    def draws(self, weights: Weights) -> Float[np.ndarray, " draw"]:
        """The value in each resample of trials."""
        return bits(self.sums, weights)

    def by_neuron(self) -> Float[np.ndarray, " neuron"]:
        """The value of each neuron on its own; NaN without a spike."""
        each = bits(self.sums, np.ones((1, len(self.sums.spikes))), by_neuron=True)[0]
        return np.where(self.sums.spikes.any(axis=0), each, np.nan)

    def of_trials(self, trials: Int[np.ndarray, "_"]) -> float:
        """The bits gained in some trials over the spikes in them, the null's rates being those of all trials.

        Averaged over disjoint sets, spikes as weights, these give the value of all. NaN without a spike.
        """
        spikes, bins = self.sums.spikes.sum(axis=0), self.sums.bins.sum(axis=0)
        null = np.maximum(spikes / np.maximum(bins, 1), SMALLEST_RATE)
        spikes_by_neuron = self.sums.spikes[trials].sum(axis=0)
        null_likelihood = spikes_by_neuron * np.log(null) - null * self.sums.bins[trials].sum(axis=0)
        gain = self.sums.log_likelihood[trials].sum() - null_likelihood.sum()
        return float(gain / spikes_by_neuron.sum() / np.log(2)) if spikes_by_neuron.any() else np.nan
