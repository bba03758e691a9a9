"""tp corr: how slowly rates move when an interval is produced late."""

import dataclasses

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from nlbprob.errors import InputError
from nlbprob.scoring.metrics.base import Metric, Statistic, Weights
from nlbprob.scoring.metrics.limits import refuse
from nlbprob.scoring.metrics.scored import ProducedIntervals, ScoredRates


def speed_tp_correlation(
    rates: Num[np.ndarray, "trial time neuron"],
    counts: Num[np.ndarray, "trial time heldout"],
    behavior: Num[np.ndarray, "trial 5"],
) -> float:
    """How slowly rates move when an interval is produced late: mean over groups of the correlation of speed with tp.

    speed = mean over t of || r[t+1] - r[t] || over all neurons. Pei et al. (2021), arXiv 2109.04463; Remington et al.
    (2018), Neuron 98, 1005.

    Args:
        rates: spikes/bin, used in the bins where counts[trial, :, 0] is not NaN.
        counts: of held-out neurons.
        behavior: columns is_eye, theta, is_short, ts, tp (ms). A group is a joint value of the first three; trials
            where a column is not finite are left out.

    Returns:
        The mean of Pearson's r over groups; good rates give a negative value.
    """
    kept = np.flatnonzero(np.isfinite(behavior).all(axis=1))
    scored = ~np.isnan(counts[..., 0])
    speed = [np.linalg.norm(np.diff(rates[i, scored[i]].astype(np.float64), axis=0), axis=1).mean() for i in kept]
    groups = np.unique(behavior[kept, :3], axis=0, return_inverse=True)[1].ravel()
    produced = behavior[kept, 4]
    return float(
        np.mean([np.corrcoef(np.array(speed)[groups == g], produced[groups == g])[0, 1] for g in np.unique(groups)])
    )


@dataclasses.dataclass(frozen=True, eq=False)
class Timing(Statistic):
    """How slowly rates move when an interval is produced late: see `speed_tp_correlation`.

    Its trials are those with all five columns, in a group of at least two.

    Attributes:
        correlation: the value.
        speed: of each trial, spikes/bin a bin.
        produced: the interval tp of each trial, ms.
        group: the number of each trial's group.
        trial: the position of each trial among the scored ones.
    """

    correlation: float
    speed: Float[np.ndarray, " known"]
    produced: Float[np.ndarray, " known"]
    group: Int[np.ndarray, " known"]
    trial: Int[np.ndarray, " known"]

    @staticmethod
    def of(scored: ScoredRates) -> "Timing":
        """Raises InputError where a rate is not finite in a scored bin, or no group has two trials."""
        return Timing.from_intervals(scored.produced)

    @staticmethod
    def from_intervals(produced: ProducedIntervals) -> "Timing":
        """`of`, from the intervals that were produced."""
        rates, counts, behavior = produced.rates, produced.counts, produced.behavior
        scored = ~np.isnan(counts[..., 0])
        refuse(rates[scored], "rates", "in scored bins")
        trial, group = in_groups(scored, behavior)
        if not len(trial):
            raise InputError("behavior: no two trials share is_eye, theta and is_short, so nothing can be correlated.")
        speed = [np.linalg.norm(np.diff(rates[i, scored[i]].astype(np.float64), axis=0), axis=1).mean() for i in trial]
        with np.errstate(invalid="ignore"):  # rates that never move have no correlation: NaN, as in the benchmark
            correlation = speed_tp_correlation(rates[trial], counts[trial], behavior[trial])
        return Timing(correlation, np.array(speed), behavior[trial, 4].astype(np.float64), group, trial)

    @property
    def value(self) -> float:
        return self.correlation

    def draws(self, weights: Weights) -> Float[np.ndarray, " draw"]:
        """The value in each resample of trials; groups without two different trials in it are left out of a draw."""
        each = []
        for group in np.unique(self.group):
            in_group = self.group == group
            trial_weights = weights[:, self.trial[in_group]]
            trial_weights = trial_weights / np.maximum(trial_weights.sum(axis=1, keepdims=True), 1)
            x, y = (
                self.speed[in_group] - self.speed[in_group].mean(),
                self.produced[in_group] - self.produced[in_group].mean(),
            )
            x, y = x - (trial_weights @ x)[:, None], y - (trial_weights @ y)[:, None]
            variance_product = (trial_weights * x**2).sum(axis=1) * (trial_weights * y**2).sum(axis=1)
            product = (trial_weights * x * y).sum(axis=1)
            some = ((trial_weights > 0).sum(axis=1) > 1) & (variance_product > 0)
            each.append(
                np.divide(product, np.sqrt(variance_product), out=np.full(len(trial_weights), np.nan), where=some)
            )
        values = np.stack(each)
        finite = ~np.isnan(values)
        total = np.where(finite, values, 0).sum(axis=0)
        return np.divide(total, finite.sum(axis=0), out=np.full(len(total), np.nan), where=finite.any(axis=0))


def in_groups(
    scored: Bool[np.ndarray, "trial time"], behavior: Num[np.ndarray, "trial 5"]
) -> tuple[Int[np.ndarray, " known"], Int[np.ndarray, " known"]]:
    """The trials that have a speed, an interval and another such trial in their group.

    Args:
        scored: which bins are scored.
        behavior: of `ProducedIntervals`.

    Returns:
        The positions of the trials, and the number of each trial's group.
    """
    usable_trials = np.flatnonzero(np.isfinite(behavior).all(axis=1) & (scored.sum(axis=1) > 1))
    _, group, number = np.unique(behavior[usable_trials, :3], axis=0, return_inverse=True, return_counts=True)
    together = number[group.ravel()] > 1
    return usable_trials[together], group.ravel()[together]


TP_CORR = Metric(
    "tp corr", "", "how slowly rates move where an interval is produced late; here lower is better", Timing.of
)
