"""The benchmark's metrics of one group of a submission: value, what resampled trials give, and by condition."""

import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from nlbprob.errors import InputError
from nlbprob.scoring.bootstrap import decoding_draws, psth_draws
from nlbprob.scoring.decoding import fit_decoder, is_constant, recorded_rows
from nlbprob.scoring.metrics import (
    LARGEST_RATE,
    SMALLEST_RATE,
    TrialSums,
    bits,
    psth_r2,
    r_squared,
    shifted,
    speed_tp_correlation,
    trial_sums,
)

#: From this many trials of each decoder on, the spread of R2 over resamples means anything.
FEWEST_TRIALS = 5
Weights = Float[np.ndarray, "draw trial"]


@dataclasses.dataclass(frozen=True)
class Likelihood:
    """Bits per spike: of held-out neurons in the window (co-bps), or of all neurons in the forward window (fp-bps)."""

    sums: TrialSums

    @staticmethod
    def of(rates: Num[np.ndarray, "trial time neuron"], counts: Num[np.ndarray, "trial time neuron"]) -> "Likelihood":
        """Raises InputError where a scored rate is NaN or negative; warns where one is 0, which counts as 1e-9."""
        return Likelihood(trial_sums(rates, counts))

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
        own = self.sums.spikes[trials].sum(axis=0)
        null_likelihood = own * np.log(null) - null * self.sums.bins[trials].sum(axis=0)
        gain = self.sums.log_likelihood[trials].sum() - null_likelihood.sum()
        return float(gain / own.sum() / np.log(2)) if own.any() else np.nan


@dataclasses.dataclass(frozen=True)
class Decoding:
    """Velocity decoded from rates, by one decoder for each column of the mask.

    behavior, decoded: of the evaluated trials, NaN where not known; mask: which trials each decoder is scored on.
    """

    behavior: Float[np.ndarray, "trial time channel"]
    decoded: Float[np.ndarray, "trial time channel"]
    mask: Bool[np.ndarray, "trial decoder"]

    @staticmethod
    def of(
        train_rates: Num[np.ndarray, "train time neuron"],
        train_behavior: Num[np.ndarray, "train time channel"],
        train_mask: Bool[np.ndarray, "train decoder"],
        rates: Num[np.ndarray, "trial time neuron"],
        behavior: Num[np.ndarray, "trial time channel"],
        mask: Bool[np.ndarray, "trial decoder"],
    ) -> "Decoding":
        """Raises InputError where a rate is not finite in a bin with behavior, or too few bins have behavior."""
        for part, some, known in (("train", train_rates, train_behavior), ("eval", rates, behavior)):
            refuse(some[~np.isnan(known[..., 0])], f"{part} rates", "in bins where the behavior is known")
        decoded = np.full(behavior.shape, np.nan)
        for learned, scored in zip(train_mask.T, mask.T, strict=True):
            decoder = fit_decoder(train_rates[learned], train_behavior[learned])
            decoded[scored] = decoder.predict(rates[scored].astype(np.float64))
        return Decoding(behavior.astype(np.float64), decoded, mask)

    @property
    def value(self) -> float:
        """The mean R2 of the decoders."""
        return self.over(np.ones(self.behavior.shape[2], dtype=bool))

    def over(self, channels: Bool[np.ndarray, " channel"]) -> float:
        """The mean R2 of the decoders over some of the channels."""
        rows = [recorded_rows(self.decoded[own], self.behavior[own]) for own in self.mask.T]
        each = [
            r_squared(known[:, channels], decoded[:, channels]) if len(known) else np.nan for decoded, known in rows
        ]
        return float(np.mean(each))

    @property
    def remark(self) -> str:
        """What the value says of channels that never change; nothing where all do."""
        rows = [self.behavior[own][~np.isnan(self.behavior[own][..., 0])] for own in self.mask.T]
        constant = np.any([[is_constant(values) for values in known.T] for known in rows if len(known)], axis=0)
        if not np.any(constant):
            return ""
        others = f"without it {self.over(~constant):.4f}" if not constant.all() else "no other channel is left"
        listed = ", ".join(map(str, np.flatnonzero(constant)))
        return (
            f"counts channel {listed} of the behavior, which does not change in the evaluated trials, as 1 where it is "
            f"decoded exactly and else as 0, by the benchmark's convention; {others}"
        )

    def draws(self, weights: Weights) -> Float[np.ndarray, " draw"]:
        """The value in each resample of trials, the decoders as they are; NaN where a decoder has hardly any trials."""
        if self.mask.sum(axis=0).min() < FEWEST_TRIALS:
            return np.full(len(weights), np.nan)
        each = [decoding_draws(self.behavior[own], self.decoded[own], weights[:, own]) for own in self.mask.T]
        return np.mean(each, axis=0)


@dataclasses.dataclass(frozen=True)
class Averages:
    """Averages of rates by condition beside the target PSTH. members: the evaluated trials of each condition."""

    rates: Num[np.ndarray, "trial time neuron"]
    psth: Num[np.ndarray, "condition time neuron"]
    members: list[Int[np.ndarray, "_"]]

    @staticmethod
    def of(
        rates: Num[np.ndarray, "trial time neuron"],
        psth: Num[np.ndarray, "condition time neuron"],
        members: Iterable[Any],
        jitter: Int[np.ndarray, " trial"] | None,
    ) -> "Averages":
        """jitter: bins by which rates lie early in their window. Raises InputError where a scored one is not finite."""
        moved = (
            rates if jitter is None else np.stack([shifted(*pair) for pair in zip(rates, jitter.tolist(), strict=True)])
        )
        own = [np.asarray(trials, dtype=np.int64).reshape(-1) for trials in members]
        for target, trials in zip(psth, own, strict=True):
            refuse(moved[trials][:, ~np.isnan(target[:, 0])], "rates", "in bins where the PSTH is known")
        return Averages(moved, psth, own)

    @property
    def value(self) -> float:
        return psth_r2(self.rates, self.psth, self.members)

    def draws(self, weights: Weights) -> Float[np.ndarray, " draw"]:
        """The value in each resample of trials, the target as it is."""
        return psth_draws(self.rates.astype(np.float64), self.psth.astype(np.float64), self.members, weights)


@dataclasses.dataclass(frozen=True)
class Timing:
    """How slowly rates move when an interval is produced late: see `metrics.speed_tp_correlation`.

    speed, produced: of each trial with all five columns, in a group of at least two; group: its number.
    """

    value: float
    speed: Float[np.ndarray, " known"]
    produced: Float[np.ndarray, " known"]
    group: Int[np.ndarray, " known"]
    trial: Int[np.ndarray, " known"]

    @staticmethod
    def of(
        rates: Num[np.ndarray, "trial time neuron"],
        counts: Num[np.ndarray, "trial time heldout"],
        behavior: Num[np.ndarray, "trial 5"],
    ) -> "Timing":
        """Raises InputError where a rate is not finite in a scored bin, or no group has two trials."""
        scored = ~np.isnan(counts[..., 0])
        refuse(rates[scored], "rates", "in scored bins")
        known = np.flatnonzero(np.isfinite(behavior).all(axis=1) & (scored.sum(axis=1) > 1))
        _, group, number = np.unique(behavior[known, :3], axis=0, return_inverse=True, return_counts=True)
        together = number[group.ravel()] > 1
        trial, group = known[together], group.ravel()[together]
        if not len(trial):
            raise InputError("behavior: no two trials share is_eye, theta and is_short, so nothing can be correlated.")
        speed = [np.linalg.norm(np.diff(rates[i, scored[i]].astype(np.float64), axis=0), axis=1).mean() for i in trial]
        with np.errstate(invalid="ignore"):  # rates that never move have no correlation: NaN, as in the benchmark
            value = speed_tp_correlation(rates[trial], counts[trial], behavior[trial])
        return Timing(value, np.array(speed), behavior[trial, 4].astype(np.float64), group, trial)

    def draws(self, weights: Weights) -> Float[np.ndarray, " draw"]:
        """The value in each resample of trials; groups without two different trials in it are left out of a draw."""
        each = []
        for group in np.unique(self.group):
            own = self.group == group
            share = weights[:, self.trial[own]]
            share = share / np.maximum(share.sum(axis=1, keepdims=True), 1)
            x, y = self.speed[own] - self.speed[own].mean(), self.produced[own] - self.produced[own].mean()
            x, y = x - (share @ x)[:, None], y - (share @ y)[:, None]
            spread = (share * x**2).sum(axis=1) * (share * y**2).sum(axis=1)
            product = (share * x * y).sum(axis=1)
            some = ((share > 0).sum(axis=1) > 1) & (spread > 0)
            each.append(np.divide(product, np.sqrt(spread), out=np.full(len(share), np.nan), where=some))
        values = np.stack(each)
        known = ~np.isnan(values)
        total = np.where(known, values, 0).sum(axis=0)
        return np.divide(total, known.sum(axis=0), out=np.full(len(total), np.nan), where=known.any(axis=0))


def refuse(rates: Num[np.ndarray, "*axes"], which: str, where: str) -> None:
    """Raise InputError, with the words `which` and `where`, where a rate is NaN, infinite or beyond all bounds."""
    if np.isnan(rates).any():
        raise InputError(f"{which} are NaN {where}; predict every trial, bin and neuron.")
    if not (np.abs(rates) <= LARGEST_RATE).all():
        raise InputError(f"{which} are infinite or beyond all bounds {where}; a rate is a number of spikes per bin.")
