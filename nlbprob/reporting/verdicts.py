"""Whether one score is better than another, and how that is said."""

import enum
from collections.abc import Sequence
from typing import NamedTuple

from nlbprob.reporting.numbers import Estimate, fixed, joined


class Verdict(enum.Enum):
    """How one score compares with another."""

    BETTER = "better"
    OPEN = "not told apart"
    WORSE = "worse"
    UNKNOWN = "no interval"


def compared(score: Estimate, other: Estimate, difference: Estimate | None = None) -> Verdict:
    """Whether a score is better than another: by the interval of the difference, else by whether intervals are apart.

    Args:
        score: the first.
        other: the second.
        difference: the first less the second over the same trials, where that is known.
    """
    if difference is not None and difference.interval:
        low, high = difference.interval
    elif score.interval and other.interval:
        low, high = score.low - other.high, score.high - other.low
    else:
        return Verdict.UNKNOWN
    return Verdict.BETTER if low > 0 else Verdict.WORSE if high < 0 else Verdict.OPEN


class Baseline(NamedTuple):
    """The score of a baseline, and the score of the model less that over the same trials, where it is known."""

    name: str
    score: Estimate
    difference: Estimate | None = None

    def __str__(self) -> str:
        if self.difference is None:
            return f"{self.name} ({fixed(self.score.value)})"
        value, ends = self.difference
        between = f", {fixed(ends[0])} to {fixed(ends[1])}" if ends else ""
        return f"{self.name} ({fixed(self.score.value)}; difference {fixed(value)}{between})"


#: What is said of a model and the baselines with which it compares alike.
COMPARISONS = {
    Verdict.BETTER: "This beats {}.",
    Verdict.OPEN: "This is not shown to beat {}: the intervals do not tell them apart.",
    Verdict.WORSE: "This does not beat {}: it is worse.",
    Verdict.UNKNOWN: "Whether this beats {} is not known, for lack of intervals.",
}


def comparison(score: Estimate, baselines: Sequence[Baseline]) -> str:
    """A model's score against those of baselines: those that it beats, and those that it does not."""
    verdicts = {one.name: compared(score, one.score, one.difference) for one in baselines}
    texts = []
    for verdict, words in COMPARISONS.items():
        listed = [str(one) for one in baselines if verdicts[one.name] is verdict]
        texts += [words.format(joined(listed))] * bool(listed)
    return " ".join(texts)
