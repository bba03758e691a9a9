"""What a metric is: a name, a unit, a meaning, and a statistic of the scored trials."""

import abc
import dataclasses
from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from nlbprob.arguments import checked_keywords, described
from nlbprob.errors import InputError
from nlbprob.scoring.metrics.scored import ScoredRates

Weights = Float[np.ndarray, "draw trial"]


class Statistic(abc.ABC):
    """A score as a function of how often each scored trial counts.

    Its value counts every trial once; an interval comes from the values without each of them, see `bootstrap.interval`.
    """

    #: What a reader has to know of the value, such as what was left out; empty where there is nothing.
    note: str = ""
    #: Whether its interval takes the bias out: where something is fitted to the scored trials, as null rates are.
    corrects_bias: bool = False
    #: The highest value there can be, as 1 of R2: its interval is made on the scale -ln(highest - score).
    highest: float = np.inf

    @property
    @abc.abstractmethod
    def value(self) -> float:
        """The score; not finite where the data give none."""

    @abc.abstractmethod
    def draws(self, weights: Weights) -> Float[np.ndarray, " draw"]:
        """The score of resamples of the trials.

        Args:
            weights: [draw, trial], how many times each trial counts.

        Returns:
            [draw]; NaN where a row gives no score.
        """

    @property
    def why_none(self) -> str:
        """Why the value is no finite number, in words."""
        return f"it comes out {self.value:g}, which is no score: rates or behavior are beyond all bounds"


@checked_keywords
@dataclasses.dataclass(frozen=True, eq=False)
class RatioOfSums(Statistic):
    """score = sum over trials of numerator / sum over trials of denominator.

    Means by bin, by spike or by trial and fractions of a sum of squares are of this form.

    Args:
        numerator: what each scored trial adds above.
        denominator: what it adds below, such as its bins; zero or more.
        note: what a reader has to know of the value.

    Raises:
        InputError: these are not two numbers for each trial.
    """

    numerator: Float[np.ndarray, " trial"]
    denominator: Float[np.ndarray, " trial"]
    note: str = ""

    def __post_init__(self) -> None:
        shapes = np.shape(self.numerator), np.shape(self.denominator)
        if len(shapes[0]) != 1 or shapes[0] != shapes[1]:
            raise InputError(f"RatioOfSums: shapes {shapes[0]} and {shapes[1]}; give two arrays of one number a trial.")

    @property
    def value(self) -> float:
        return float(self.draws(np.ones((1, len(self.numerator))))[0])

    def draws(self, weights: Weights) -> Float[np.ndarray, " draw"]:
        below = weights @ self.denominator
        return np.divide(weights @ self.numerator, below, out=np.full(len(below), np.nan), where=below != 0)


@checked_keywords
@dataclasses.dataclass(frozen=True)
class Metric:
    """A score of predicted rates.

    `score(..., metrics=[...])` and `evaluate(..., metrics=[...])` take it; table, metrics.json and report show its
    name, unit and meaning.

    Args:
        name: what tables call it, such as "co-bps".
        unit: such as "bits/spike"; empty where it has none.
        meaning: what it measures, in a few words, as they follow "co-bps: " in the report; with "lower is better"
            where that is so.
        statistic: a function of `ScoredRates` to the `Statistic`. Where the data have nothing to score it raises
            `DoesNotApply`, or reads a part of them that does; where rates are impossible, InputError.

    Example:
        >>> import numpy as np
        >>> import nlbprob as nlb
        >>> def surprise(scored):
        ...     loss = np.nansum(scored.rates - scored.counts * np.log(scored.rates), axis=(1, 2))
        ...     return nlb.RatioOfSums(loss, (~np.isnan(scored.counts)).sum(axis=(1, 2)).astype(float))
        >>> metric = nlb.Metric("loss", "nats/bin", "Poisson loss of all neurons without ln k!", surprise)
        >>> nlb.score(rates, trials, metrics=["co-bps", metric])  # doctest: +SKIP
    """

    name: str
    unit: str
    meaning: str
    statistic: Callable[[ScoredRates], Statistic]

    def __post_init__(self) -> None:
        if not callable(self.statistic):
            raise InputError(f"Metric: statistic is {described(self.statistic)}; give a function of the scored rates.")
