"""How many directions the predicted rates of held-out neurons use."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from nlbprob.data.trials import Trials
from nlbprob.scoring.metrics.scored import DoesNotApply
from nlbprob.scoring.rates import in_splits


def participation_ratio(values: Float[np.ndarray, "row column"]) -> float:
    """(tr C)^2 / tr(C^2) with C the covariance of the columns: sums (s)^2 / sum s^2 of its eigenvalues s.

    It is k where k directions have equal variance and all others none; 1 where one direction has it all. Gao et al.
    (2017), A theory of multineuronal dimensionality, dynamics and measurement, bioRxiv 214262.

    Args:
        values: one row for each observation.

    Raises:
        DoesNotApply: no column varies.
    """
    centred = values - values.mean(0)
    covariance = centred.T @ centred / len(values)
    square = float((covariance**2).sum())
    if not square > 0:
        raise DoesNotApply("the rates do not vary")
    return float(np.trace(covariance) ** 2 / square)


def effective_dimension(
    rates: Float[np.ndarray, "trial time neuron"], trials: Trials, on: str | Sequence[str]
) -> float:
    """The participation ratio of the log rates of held-out neurons over all bins of the scored trials.

    It is not larger than the number of held-out neurons, and hardly than that of latents. Directions count by the
    variance that they give to log rates, so that many faint ones add little.

    Args:
        rates: spikes/bin, inferred from `trials.hide_heldout(on)`.
        trials: that the rates are of.
        on: the split or splits that are scored.

    Raises:
        DoesNotApply: no neuron is held out, or no rate varies.
    """
    if not trials.heldout.any():
        raise DoesNotApply("no neuron is held out")
    rows = window_rows(trials) & in_splits(trials, on, "on")[:, None]
    return participation_ratio(np.log(rates[:, : trials.window_bins][rows][:, trials.heldout].astype(np.float64)))


def window_rows(trials: Trials) -> np.ndarray:
    """Which bins of the window [trial, time] lie inside their trial."""
    return np.arange(trials.window_bins) < trials.lengths[:, None]
