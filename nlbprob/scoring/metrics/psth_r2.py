"""psth R2: how well averages by condition are predicted."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int, Num

from nlbprob.scoring.metrics.base import Metric, Statistic, Weights
from nlbprob.scoring.metrics.limits import refuse
from nlbprob.scoring.metrics.r_squared import about_mean, r_squared, r_squared_of_sums
from nlbprob.scoring.metrics.scored import ConditionAverages, ScoredRates


def psth_r2(
    rates: Num[np.ndarray, "trial time neuron"],
    psth: Num[np.ndarray, "condition time neuron"],
    members: Sequence[Int[np.ndarray, "_"]],
    jitter: Int[np.ndarray, " trial"] | None = None,
) -> float:
    """R2 of predicted condition averages, the mean over neurons.

    Each neuron's is taken about its own mean over conditions and time. The predicted PSTH of condition c is the mean of
    `rates` over the trials members[c]; conditions without trials are left out, and bins where psth[c, :, 0] is NaN.
    Pei et al. (2021), arXiv 2109.04463.

    Args:
        rates: spikes/bin.
        psth: the target, spikes/bin.
        members: the trials of each condition.
        jitter: bins by which each trial's rates lie early in its window; they are moved back by as many before
            averaging.

    Returns:
        R2; NaN where a rate in a scored bin is NaN or infinite.
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


def psth_draws(
    rates: Float[np.ndarray, "trial time neuron"],
    psth: Float[np.ndarray, "condition time neuron"],
    members: Sequence[Int[np.ndarray, "_"]],
    weights: Float[np.ndarray, "draw trial"],
) -> Float[np.ndarray, " draw"]:
    """`psth_r2` in each resample of trials; a condition none of whose trials is drawn is left out of that draw.

    With w the weights of a condition's trials, sum over t of (psth - sum_i w_i r_i)^2 is quadratic in w, so that a draw
    costs as many products as there are pairs of trials, whatever the number of bins.
    """
    center = np.nanmean(psth, axis=(0, 1))
    residual, squares, sums = np.zeros((3, len(weights), rates.shape[2]))
    bins = np.zeros((len(weights), 1))
    for target, trials in zip(psth, members, strict=True):
        scored = ~np.isnan(target[:, 0])
        true, centered_rates = target[scored] - center, rates[trials][:, scored] - center
        drawn = weights[:, trials].sum(axis=1, keepdims=True)
        trial_weights = weights[:, trials] / np.maximum(drawn, 1)
        by_neuron = np.moveaxis(centered_rates, 2, 0)
        products = by_neuron @ by_neuron.swapaxes(1, 2)
        quadratic = np.stack([((trial_weights @ pairs) * trial_weights).sum(axis=1) for pairs in products], axis=1)
        present = drawn > 0
        residual += present * (
            (true**2).sum(axis=0) - 2 * trial_weights @ np.einsum("tn,itn->in", true, centered_rates) + quadratic
        )
        squares += present * (true**2).sum(axis=0)
        sums += present * true.sum(axis=0)
        bins += present * scored.sum()
    return r_squared_of_sums(residual, about_mean(squares, sums, bins)).mean(axis=1)


@dataclasses.dataclass(frozen=True, eq=False)
class SessionAverages:
    """Averages of rates by condition beside the target PSTH, of one session; its fields are those it was made from."""

    rates: Num[np.ndarray, "trial time neuron"]
    psth: Num[np.ndarray, "condition time neuron"]
    members: list[Int[np.ndarray, "_"]]
    trials: Int[np.ndarray, " trial"]

    @staticmethod
    def of(part: ConditionAverages) -> "SessionAverages":
        """Rates moved by their jitter. Raises InputError where one is not finite in a bin that is scored."""
        rates = part.rates
        if part.jitter is not None:
            rates = np.stack([shifted(*pair) for pair in zip(rates, part.jitter.tolist(), strict=True)])
        for target, trials in zip(part.psth, part.members, strict=True):
            refuse(rates[trials][:, ~np.isnan(target[:, 0])], "rates", "in bins where the PSTH is known")
        return SessionAverages(rates, part.psth, part.members, part.trials)

    @property
    def value(self) -> float:
        """R2, the mean over neurons."""
        return psth_r2(self.rates, self.psth, self.members)

    def draws(self, weights: Weights) -> Float[np.ndarray, " draw"]:
        """The value in each resample of all scored trials, the target as it is; NaN where none is of this session."""
        session_weights = weights[:, self.trials]
        values = psth_draws(self.rates.astype(np.float64), self.psth.astype(np.float64), self.members, session_weights)
        return np.where(session_weights.any(axis=1), values, np.nan)


@dataclasses.dataclass(frozen=True, eq=False)
class Averages(Statistic):
    """The mean over neurons, each in its own session: R2 of sessions averaged by their numbers of neurons."""

    sessions: list[SessionAverages]
    highest = 1.0

    @staticmethod
    def of(scored: ScoredRates) -> "Averages":
        """Raises InputError where a rate is not finite in a bin that is scored, DoesNotApply without conditions."""
        return Averages([SessionAverages.of(part) for part in scored.averages])

    @property
    def value(self) -> float:
        if len(self.sessions) == 1:
            return self.sessions[0].value
        return float(np.average([session.value for session in self.sessions], weights=self.neurons))

    @property
    def neurons(self) -> list[int]:
        """Number of neurons of each session."""
        return [session.psth.shape[2] for session in self.sessions]

    def draws(self, weights: Weights) -> Float[np.ndarray, " draw"]:
        """The value in each resample of trials, the targets as they are."""
        return np.average([session.draws(weights) for session in self.sessions], axis=0, weights=self.neurons)


PSTH_R2 = Metric("psth R2", "", "how well averages by condition are predicted", Averages.of)
