"""fp-bps: how well all neurons are forecast after the window."""

from nlbprob.scoring.metrics.base import Metric
from nlbprob.scoring.metrics.likelihood import Likelihood
from nlbprob.scoring.metrics.scored import ScoredRates


def forecast_likelihood(scored: ScoredRates) -> Likelihood:
    """Bits per spike of all neurons in the forward window. Raises InputError where a scored rate is negative."""
    return Likelihood.of(scored.forecast.rates, scored.forecast.counts)


FP_BPS = Metric(
    "fp-bps",
    "bits/spike",
    "how well all neurons are forecast after the window, in bits per spike",
    forecast_likelihood,
)
