"""What a metric may read: the rates of the scored trials beside what they are to predict."""

import dataclasses

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from nlbprob.data.trials import Trials


class DoesNotApply(Exception):
    """There is nothing that a metric could score; the message is the reason, which tables show in its place."""


@dataclasses.dataclass(frozen=True, eq=False)
class Forecast:
    """Bins after the window: rates in spikes/bin, and counts, NaN where they are not scored."""

    rates: Num[np.ndarray, "trial ahead neuron"]
    counts: Num[np.ndarray, "trial ahead neuron"]


@dataclasses.dataclass(frozen=True, eq=False)
class Velocity:
    """Behavior in the window to be decoded linearly from rates, by one decoder for each column of the masks.

    Attributes:
        rates: of the scored trials, spikes/bin.
        behavior: of the scored trials; NaN in all channels where it is not known.
        mask: which scored trials each decoder is scored on.
        fitted_rates: of the trials that the decoders are fitted on, spikes/bin.
        fitted_behavior: of these trials; NaN in all channels where it is not known.
        fitted_mask: which of these trials each decoder is fitted on.
        note: what was left out, in words.
    """

    rates: Num[np.ndarray, "trial time neuron"]
    behavior: Num[np.ndarray, "trial time channel"]
    mask: Bool[np.ndarray, "trial decoder"]
    fitted_rates: Num[np.ndarray, "fitted time neuron"]
    fitted_behavior: Num[np.ndarray, "fitted time channel"]
    fitted_mask: Bool[np.ndarray, "fitted decoder"]
    note: str = ""


@dataclasses.dataclass(frozen=True, eq=False)
class ConditionAverages:
    """Averages by condition of one session to be predicted.

    Attributes:
        rates: of the scored trials of the session, spikes/bin.
        psth: the target in spikes/bin, NaN in bins that are not scored.
        members: of each condition, the positions of its trials in `trials`.
        trials: the positions of the session's trials among all scored ones.
        jitter: bins by which each trial's rates lie early in its window; None where there is none.
    """

    rates: Num[np.ndarray, "trial time neuron"]
    psth: Num[np.ndarray, "condition time neuron"]
    members: list[Int[np.ndarray, "_"]]
    trials: Int[np.ndarray, " trial"]
    jitter: Int[np.ndarray, " trial"] | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class ProducedIntervals:
    """Time intervals that an animal produced.

    Attributes:
        rates: of all neurons, spikes/bin, scored in the bins where counts[trial, :, 0] is not NaN.
        counts: of held-out neurons, NaN where not scored.
        behavior: columns is_eye, theta, is_short, ts, tp (ms), one row a trial.
    """

    rates: Num[np.ndarray, "trial time neuron"]
    counts: Num[np.ndarray, "trial time heldout"]
    behavior: Num[np.ndarray, "trial 5"]


class ScoredRates:
    """The rates of the scored trials, and what they are to predict.

    A part that there is not raises DoesNotApply with the reason, so that a metric reads what it needs and asks nothing.

    Attributes:
        rates: [trial, time, neuron], spikes/bin, in the window of the scored trials.
        counts: likewise, spikes per bin; NaN where they are not scored or, of the benchmark's held-in neurons, not
            known.
        heldout: [neuron], which neurons are held out.
        bin_ms: width of a bin.
    """

    rates: Num[np.ndarray, "trial time neuron"]
    counts: Float[np.ndarray, "trial time neuron"]
    heldout: Bool[np.ndarray, " neuron"]
    bin_ms: float

    @property
    def n_trials(self) -> int:
        """Number of scored trials."""
        return len(self.rates)

    @property
    def trials(self) -> Trials:
        """The scored trials themselves, in the order of `rates`, where rates are scored against `Trials`."""
        raise DoesNotApply("the benchmark's target files hold no trials")

    @property
    def forecast(self) -> Forecast:
        """Rates and counts of all neurons in the forward window."""
        raise DoesNotApply("there is no forward window")

    @property
    def velocity(self) -> Velocity:
        """Behavior to decode."""
        raise DoesNotApply("there is no behavior")

    @property
    def averages(self) -> list[ConditionAverages]:
        """Averages by condition to predict, one entry a session."""
        raise DoesNotApply("no condition is named")

    @property
    def produced(self) -> ProducedIntervals:
        """Intervals that an animal produced, of the benchmark's dmfc_rsg."""
        raise DoesNotApply("no produced interval is known")
