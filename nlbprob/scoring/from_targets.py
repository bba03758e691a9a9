"""Rates of a submission scored against the benchmark's targets: what metrics read of them."""

from collections.abc import Callable

import numpy as np

from nlbprob.errors import InputError
from nlbprob.scoring.hdf5 import Tensors, array, require
from nlbprob.scoring.metrics.scored import (
    ConditionAverages,
    DoesNotApply,
    Forecast,
    ProducedIntervals,
    ScoredRates,
    Velocity,
)
from nlbprob.scoring.metrics.tp_corr import in_groups
from nlbprob.scoring.targets import MASKS, Targets


class RatesOfGroup(ScoredRates):
    """The rates of one group of a submission; counts of held-in neurons are not known, and NaN.

    Args:
        submission: the group's arrays.
        truth: its targets.
        bin_ms: its bin width.
        note: is called with what is left out of the targets, in words.

    Raises:
        InputError: an array is missing or of another shape than the targets', or a rate is infinite. So do the parts.
    """

    def __init__(self, submission: Tensors, truth: Targets, bin_ms: float, note: Callable[[str], None]):
        counts = truth.counts
        heldout = array(submission, "eval_rates_heldout", counts.shape)
        heldin = finite_rates(submission, "eval_rates_heldin", (*counts.shape[:2], heldin_neurons(truth)))
        finite(heldout, ~np.isnan(counts))
        # An infinite rate where no count is scored is as good as none: NaN is refused where it is used.
        self.rates = np.concatenate([heldin, np.where(np.isinf(heldout), np.nan, heldout)], axis=2)
        self.counts = np.concatenate([np.full(heldin.shape, np.nan), counts], axis=2)
        self.heldout = np.arange(self.rates.shape[2]) >= heldin.shape[2]
        self.submission, self.truth, self.bin_ms, self.note = submission, truth, bin_ms, note

    @property
    def forecast(self) -> Forecast:
        if "eval_rates_heldin_forward" not in self.submission:
            raise DoesNotApply("the submission has no forward rates")
        if self.truth.forward is None:
            raise DoesNotApply("the targets have no forward spikes")
        parts = [
            array(self.submission, f"eval_rates_{mask}_forward", spikes.shape)
            for mask, spikes in zip(MASKS, self.truth.forward, strict=True)
        ]
        counts = np.concatenate(self.truth.forward, axis=2)
        return Forecast(finite(np.concatenate(parts, axis=2), ~np.isnan(counts)), counts)

    @property
    def velocity(self) -> Velocity:
        """Raises InputError where the train rates do not fit the train behavior."""
        truth = self.truth
        if truth.train_behavior is None or truth.decoders is None:
            return super().velocity
        trials_and_bins = truth.train_behavior.shape[:2]
        train = [finite_rates(self.submission, f"train_rates_{mask}", (*trials_and_bins, None)) for mask in MASKS]
        require(self.rates, "eval_rates", (*truth.behavior.shape[:2], sum(part.shape[2] for part in train)))
        learned, scored = truth.decoders
        used = learned.any(axis=0) & scored.any(axis=0)
        if not used.any():
            raise InputError("train_decode_mask, eval_decode_mask: no decoder has trials of both; take other targets.")
        if not used.all():
            self.note(f"{(~used).sum()} of {len(used)} decoders have no trials and are left out; the benchmark stops.")
        return Velocity(
            rates=self.rates,
            behavior=truth.behavior,
            mask=scored[:, used],
            fitted_rates=np.concatenate(train, axis=2),
            fitted_behavior=truth.train_behavior,
            fitted_mask=learned[:, used],
        )

    @property
    def averages(self) -> list[ConditionAverages]:
        truth = self.truth
        if truth.psth is None or truth.members is None:
            raise DoesNotApply("the data set has no conditions")
        require(self.rates, "eval_rates", (None, *truth.psth.shape[1:]))
        return [ConditionAverages(self.rates, truth.psth, truth.members, np.arange(self.n_trials), truth.jitter)]

    @property
    def produced(self) -> ProducedIntervals:
        behavior = self.truth.behavior
        if self.truth.train_behavior is not None:
            return super().produced
        grouped, _ = in_groups(~np.isnan(self.truth.counts[..., 0]), behavior)
        if alone := int((~np.isnan(behavior).any(axis=1)).sum()) - len(grouped):
            self.note(f"{alone} trials alone in their group are left out of tp corr; the benchmark stops.")
        return ProducedIntervals(self.rates, self.truth.counts, behavior)


def heldin_neurons(truth: Targets) -> int | None:
    """The number of held-in neurons, where the targets have them."""
    if truth.psth is not None:
        return truth.psth.shape[2] - truth.counts.shape[2]
    return None if truth.forward is None else truth.forward[0].shape[2]


def finite_rates(rates: Tensors, key: str, shape: tuple[int | None, ...]) -> np.ndarray:
    """An array of rates without an infinite one. Raises InputError where there is one, or as `array` does."""
    values = array(rates, key, shape)
    if infinite := int(np.isinf(values).sum()):
        raise InputError(f"{key}: {infinite} rates are infinite; a rate is a positive number of spikes per bin.")
    return values


def finite(rates: np.ndarray, scored: np.ndarray) -> np.ndarray:
    """The rates. Raises InputError where a scored one is infinite; NaN is refused with the score."""
    if np.isinf(rates[scored]).any():
        raise InputError("a scored rate is infinite; a rate is a positive number of spikes per bin.")
    return rates
