"""How well weighted means of several models' rates predict held-out neurons, and the weights that do it best."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from nlbprob.data.trials import Trials
from nlbprob.errors import InputError
from nlbprob.scoring.bootstrap import interval
from nlbprob.scoring.comparison import Paired
from nlbprob.scoring.metrics.likelihood import Likelihood, TrialSums, bits
from nlbprob.scoring.metrics.limits import SMALLEST_RATE

if TYPE_CHECKING:
    import xarray

#: Resamples of the trials, for the intervals of what a member adds.
BOOTSTRAP = 1000
#: When the search for weights ends: by this gain in bits per spike.
TOLERANCE = 1e-10
#: The columns of `contributions`.
COLUMNS = ("weight", "score", "adds", "adds_low", "adds_high")


@dataclasses.dataclass(frozen=True, eq=False)
class Predictions:
    """What several models predict of held-out neurons, as far as bits per spike need it.

    Attributes:
        rates: of each member at the entries with spikes, spikes/bin.
        spikes: the counts there.
        pair: which (trial, neuron) each entry is of, as trial * neurons + neuron.
        expected: the sum of each member's rates over the seen bins of each trial and neuron.
        bins: the number of these bins.
    """

    rates: Float[np.ndarray, "member entry"]
    spikes: Float[np.ndarray, " entry"]
    pair: Int[np.ndarray, " entry"]
    expected: Float[np.ndarray, "member trial neuron"]
    bins: Float[np.ndarray, "trial neuron"]

    @staticmethod
    def of(rates: Sequence[Any], trials: Trials) -> "Predictions":
        """Those of the held-out neurons in the window.

        Args:
            rates: of each member, [trial, time, neuron] of the trials, spikes/bin.
            trials: with the held-out counts seen.

        Raises:
            InputError: no neuron is held out, or none of them has a spike that is seen.
        """
        chosen = np.ix_(np.arange(trials.n_trials), np.arange(trials.window_bins), trials.heldout)
        seen = trials.seen[chosen]
        counts = np.where(seen, trials.counts[chosen], 0)
        if not counts.any():
            raise InputError("No spike of a held-out neuron is seen in these trials; there is nothing to score by.")
        trial, _, neuron = places = np.nonzero(counts)
        predicted = [np.asarray(each, np.float64)[chosen] for each in rates]
        return Predictions(
            np.stack([each[places] for each in predicted]),
            counts[places].astype(np.float64),
            trial * counts.shape[2] + neuron,
            np.stack([each.sum(axis=1, where=seen) for each in predicted]),
            seen.sum(axis=1).astype(np.float64),
        )

    def sums(self, weights: Float[np.ndarray, " member"]) -> TrialSums:
        """What bits per spike needs of the weighted mean of the rates."""
        logs = self.spikes * np.log(np.maximum(weights @ self.rates, SMALLEST_RATE))
        size, shape = self.bins.size, self.bins.shape
        gain = np.bincount(self.pair, logs, size).reshape(shape) - np.tensordot(weights, self.expected, 1)
        return TrialSums(gain, np.bincount(self.pair, self.spikes, size).reshape(shape), self.bins)

    def score(self, weights: Float[np.ndarray, " member"]) -> float:
        """Bits per spike of the weighted mean of the rates, over each neuron's mean rate."""
        sums = self.sums(weights)
        return float(bits(sums, np.ones((1, len(sums.spikes))))[0])


def joined(parts: Sequence[Predictions]) -> Predictions:
    """The predictions of several sets of trials as those of one."""
    neurons = parts[0].bins.shape[1]
    before = np.cumsum([0, *(len(part.bins) for part in parts)])
    return Predictions(
        np.concatenate([part.rates for part in parts], 1),
        np.concatenate([part.spikes for part in parts]),
        np.concatenate([part.pair + start * neurons for part, start in zip(parts, before, strict=False)]),
        np.concatenate([part.expected for part in parts], 1),
        np.concatenate([part.bins for part in parts]),
    )


def best_weights(predictions: Predictions) -> Float[np.ndarray, " member"]:
    """The weights of the highest Poisson log-likelihood, that is of the most bits per spike.

    They maximise f(w) = sum of y log(sum_m w_m r_m) - sum_m w_m r_m over w_m >= 0 with sum_m w_m = 1. f is concave: its
    maximum is found by sequential quadratic programming with the exact gradient (Kraft 1988, DFVLR-FB 88-28).
    """
    from scipy.optimize import minimize

    rates, total = predictions.rates, predictions.expected.sum((1, 2))
    scale = predictions.spikes.sum() * np.log(2)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        mean = np.maximum(weights @ rates, SMALLEST_RATE)
        value = predictions.spikes @ np.log(mean) - weights @ total
        return -value / scale, -(rates @ (predictions.spikes / mean) - total) / scale

    count = len(rates)
    found = minimize(
        loss,
        np.full(count, 1 / count),
        jac=True,
        method="SLSQP",
        bounds=[(0.0, 1.0)] * count,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": lambda w: np.ones_like(w)},
        options={"ftol": TOLERANCE, "maxiter": 500},
    )
    weights = np.maximum(found.x, 0)
    return weights / weights.sum()


def without(weights: Float[np.ndarray, " member"], member: int) -> Float[np.ndarray, " member"]:
    """The weights without one member, scaled to sum to 1; equal ones where the others had none."""
    others = np.arange(len(weights)) != member
    kept = np.where(others, weights, 0.0)
    return kept / kept.sum() if kept.any() else others / others.sum()


def contributions(
    predictions: Predictions,
    names: Sequence[str],
    weights: Float[np.ndarray, " member"],
    bootstrap: int = BOOTSTRAP,
    seed: int = 0,
) -> "xarray.Dataset":
    """What each member adds: bits per spike of the committee less that of the others, their weights scaled to sum to 1.

    Args:
        predictions: of the members.
        names: of the members.
        weights: of the members, which sum to 1.
        bootstrap: resamples of the trials for the intervals; 0 for none.
        seed: of the resamples.

    Returns:
        By member: "weight", "score" (of the member alone, bits/spike), "adds" and the ends of its 90% interval over
        trials, which are paired, "adds_low" and "adds_high" (NaN where there is none); `attrs["score"]` is the
        committee's.
    """
    import xarray

    every, rows = predictions.sums(weights), []
    for place, weight in enumerate(weights):
        pair = Paired(Likelihood(every), Likelihood(predictions.sums(without(weights, place))))
        ends = interval(pair, len(predictions.bins), bootstrap, seed) or (np.nan, np.nan)
        rows.append((weight, predictions.score(np.eye(len(weights))[place]), pair.value, *ends))
    columns = zip(COLUMNS, np.array(rows).T, strict=True)
    values = {name: ("member", column, {} if name == "weight" else {"units": "bits/spike"}) for name, column in columns}
    return xarray.Dataset(values, {"member": list(names)}, {"score": predictions.score(weights)})


def rows_of(table: "xarray.Dataset") -> dict[str, dict[str, float | None]]:
    """A table of `contributions` as JSON takes it: by member, then by column; None for NaN."""
    return {
        name: {
            column: float(table[column].values[place]) if np.isfinite(table[column].values[place]) else None
            for column in COLUMNS
        }
        for place, name in enumerate(table["member"].values.tolist())
    }
