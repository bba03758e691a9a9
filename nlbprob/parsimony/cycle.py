"""Whether latents come back from the counts that they give rise to."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float

from nlbprob.blocks.effects import History
from nlbprob.parsimony.dimension import window_rows
from nlbprob.scoring.metrics.scored import DoesNotApply

if TYPE_CHECKING:
    from nlbprob.data.trials import Trials
    from nlbprob.posterior.posterior import Posterior

#: Trials beyond this number make the measure no more certain, only slower.
MOST_TRIALS = 100


def cycle_consistency(posterior: "Posterior", visible: "Trials", draws: int = 4, seed: int = 0) -> float:
    """R2 of latents that are inferred from simulated counts, against the latents that the counts were simulated from.

    Parameters and latents x are drawn from their posterior given what is seen, counts from the rates at x, and
    latents x' = E[x | these counts] inferred of them: R2 = 1 - sum |x' - x|^2 / sum |x - mean x|^2 over draws, trials,
    bins and latents. Latents that no count reveals, and noise that a bin is too short for, lower it; it says nothing of
    whether the model is right. The Computation-through-Dynamics Benchmark (Versteeg et al. 2025, bioRxiv) asks the same
    of a network's latents and its rates, without counts between them.

    Args:
        posterior: of a fit.
        visible: trials with what may be seen of them, as `trials.hide_heldout("val").split("val")`; of more than 100
            as many, evenly.
        draws: of parameters and latents.
        seed: of all that is drawn.

    Raises:
        DoesNotApply: counts depend on earlier counts, or are no whole numbers.
    """
    if any(isinstance(effect, History) for effect in posterior.model.effects):
        raise DoesNotApply("rates depend on earlier counts, which a simulation would change")
    count = min(visible.n_trials, MOST_TRIALS)
    some = visible.select(trials=np.linspace(0, visible.n_trials - 1, count).astype(int))
    tree = posterior.to_arviz(some, draws, log_likelihood="trial", seed=seed)
    drawn, simulated = (np.asarray(tree[path])[0] for path in ("posterior/latents", "posterior_predictive/spikes"))
    again = []
    for spikes in simulated:
        if (spikes < 0).any() or (spikes != np.round(spikes)).any():
            raise DoesNotApply("the observation draws no whole numbers")
        counts = np.zeros(some.counts.shape, np.int64)
        counts[some.seen] = spikes
        again.append(posterior.latents(some.replace(counts=counts))["mean"].values)
    inside = np.zeros(some.counts.shape[:2], bool)
    inside[:, : some.window_bins] = window_rows(some)
    return recovered(drawn.astype(np.float64), np.array(again), inside)


def recovered(
    drawn: Float[np.ndarray, "draw trial time latent"],
    inferred: Float[np.ndarray, "draw trial time latent"],
    inside: Bool[np.ndarray, "trial time"],
) -> float:
    """1 - sum of squares of inferred less drawn, over that of drawn about its mean, of the bins inside."""
    drawn, inferred = drawn[:, inside], inferred[:, inside]
    total = ((drawn - drawn.mean((0, 1))) ** 2).sum()
    return float(1 - ((inferred - drawn) ** 2).sum() / total)
