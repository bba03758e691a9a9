"""How well readouts of held-out neurons do that are learned from a few trials."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from nlbprob.parsimony.dimension import window_rows
from nlbprob.scoring.metrics.likelihood import bits_per_spike
from nlbprob.scoring.metrics.scored import DoesNotApply
from nlbprob.scoring.poisson_regression import fit_poisson
from nlbprob.scoring.rates import in_splits
from nlbprob.scoring.smoothing_regression import PrincipalAxes, bounded_rates

if TYPE_CHECKING:
    from nlbprob.data.trials import Trials
    from nlbprob.posterior.posterior import Posterior

#: On the squares of the weights of features of unit variance: the prior is a standard normal.
PENALTY = 1.0


def few_shot(
    posterior: "Posterior",
    trials: "Trials",
    fit: str | Sequence[str] = "train",
    on: str | Sequence[str] = "val",
    shots: int = 10,
    resamples: int = 10,
    seed: int = 0,
) -> Float[np.ndarray, " resample"]:
    """co-bps of Poisson regressions of held-out neurons on the latents, learned from `shots` trials of `fit`.

    Latents are posterior means given held-in neurons alone, scaled by one number to unit variance on average; weights
    have the prior N(0, 1). Latents that carry more than the neurons need make the regression from few trials worse:
    Dabholkar & Barak (2025), When predict can also explain, PLoS Comput. Biol. 21(12), e1013789, who compare models of
    nearly equal co-bps, and hold these neurons out of the fit of the model, too, which is not done here.

    Args:
        posterior: of a fit.
        trials: of both splits, held-out counts seen.
        fit: the split or splits that the few trials are drawn from.
        on: the split or splits that are scored.
        shots: trials for each regression.
        resamples: regressions, each on other trials.
        seed: of the draws of trials.

    Returns:
        bits/spike of each regression.

    Raises:
        DoesNotApply: no neuron is held out, or there are fewer trials.
    """
    if not trials.heldout.any():
        raise DoesNotApply("no neuron is held out")
    learned, scored = (np.flatnonzero(in_splits(trials, each, name)) for each, name in ((fit, "fit"), (on, "on")))
    if len(learned) < shots:
        raise DoesNotApply(f"{shots} trials to learn from are more than the {len(learned)} of the fit")
    used = trials.select(trials=np.concatenate([learned, scored]))
    latents = posterior.latents(used.hide_heldout())["mean"].values[:, : trials.window_bins].astype(np.float64)
    return regressions(latents, used, len(learned), shots, resamples, seed)


def regressions(
    latents: Float[np.ndarray, "trial time latent"],
    trials: "Trials",
    learned: int,
    shots: int,
    resamples: int,
    seed: int,
) -> Float[np.ndarray, " resample"]:
    """co-bps of each regression; the first `learned` trials may be learned from, the others are scored."""
    inside, heldout = window_rows(trials), trials.heldout
    counts = trials.counts[:, : trials.window_bins][..., heldout].astype(np.float64)
    seen = trials.seen[:, : trials.window_bins][..., heldout]
    axes, width = PrincipalAxes.of(latents[:learned][inside[:learned]]), latents.shape[2]
    features = axes(latents.reshape(-1, width)).reshape(latents.shape)
    random, results = np.random.default_rng(seed), []
    for _ in range(resamples):
        some = random.choice(learned, shots, replace=False)
        rows = inside[some]
        regression = fit_poisson(features[some][rows], counts[some][rows], seen[some][rows], PENALTY)
        largest = np.maximum(np.where(seen[some], counts[some], 0).max((0, 1)), 1.0)
        rates = bounded_rates(regression, features[learned:].reshape(-1, width), largest)
        shape = counts[learned:].shape
        results.append(bits_per_spike(rates.reshape(shape), counts[learned:], seen[learned:]))
    return np.array(results)
