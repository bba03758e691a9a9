"""co-bps: how well held-out neurons are predicted from the others."""

import numpy as np
from jaxtyping import Float, Num

from nlbprob.scoring.metrics.base import Metric
from nlbprob.scoring.metrics.likelihood import Likelihood
from nlbprob.scoring.metrics.scored import DoesNotApply, ScoredRates


def heldout_likelihood(scored: ScoredRates) -> Likelihood:
    """Bits per spike of the held-out neurons in the window. Raises InputError where a scored rate is negative."""
    if not scored.heldout.any():
        raise DoesNotApply("no neuron is held out")
    return Likelihood.of(*heldout_entries(scored))


def heldout_entries(
    scored: ScoredRates,
) -> tuple[Num[np.ndarray, "trial time heldout"], Float[np.ndarray, "trial time heldout"]]:
    """Rates and counts of the held-out neurons, in C order: sums then do not depend on the source to the last digit."""
    return np.compress(scored.heldout, scored.rates, axis=2), np.compress(scored.heldout, scored.counts, axis=2)


CO_BPS = Metric(
    "co-bps",
    "bits/spike",
    "how well held-out neurons are predicted from the others, in bits per spike over their mean rate",
    heldout_likelihood,
)
