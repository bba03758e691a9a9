"""Numbers in words."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from nlbprob.posterior.units import digits


class Estimate(NamedTuple):
    """A value with its 90% interval; None where there is none."""

    value: float
    interval: tuple[float, float] | None = None

    @staticmethod
    def of(value: float, interval: Sequence[float] | None) -> "Estimate":
        """A value with an interval as JSON holds it."""
        return Estimate(value, None if interval is None else (interval[0], interval[1]))

    @staticmethod
    def of_draws(draws: Float[np.ndarray, " sample"], value: float | None = None) -> "Estimate":
        """The interval of draws, about their mean or another value; none where they do not differ."""
        low, high = np.quantile(draws, (0.05, 0.95)).tolist()
        return Estimate(float(draws.mean()) if value is None else value, (low, high) if np.ptp(draws) > 0 else None)

    @property
    def low(self) -> float:
        """The lower end of the interval; the value where there is none."""
        return self.value if self.interval is None else self.interval[0]

    @property
    def high(self) -> float:
        """The upper end, likewise."""
        return self.value if self.interval is None else self.interval[1]


def fixed(value: float) -> str:
    """Three digits after the point, with a true minus sign and without a negative zero."""
    return f"{value:z.3f}".replace("-", "−")


def bracketed(between: Sequence[float] | None) -> str:
    """An interval in brackets; nothing where there is none, or where no other trials would move the number."""
    return "" if between is None or between[0] == between[1] else f"[{fixed(between[0])}, {fixed(between[1])}]"


def percent(fraction: float) -> str:
    """A fraction as a whole percentage; what is not zero is never printed as 0%."""
    return f"{100 * fraction:.0f}%" if fraction > 0.005 or not fraction else "under 1%"


def counted(number: int, noun: str) -> str:
    """A number with its noun: 1 trial, 12,000 spikes."""
    return f"{number:,} {noun}" + "s" * (number != 1)


def joined(parts: Sequence[str]) -> str:
    """Words in a row: a, b and c."""
    return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))


def scored(estimate: Estimate, unit: str = "") -> str:
    """A score with its unit and interval."""
    interval = f" ({fixed(estimate.low)} to {fixed(estimate.high)})" if estimate.interval else ""
    return fixed(estimate.value) + unit + interval


def measured(estimate: Estimate, unit: str, most: float = float("inf")) -> str:
    """A quantity with its unit and interval, to three digits; what is above `most` is "over" it."""

    def number(value: float) -> str:
        return f"over {digits(most)}" if value > most else digits(value)

    interval = f" ({number(estimate.low)} to {number(estimate.high)})" if estimate.interval else ""
    return f"{number(estimate.value)} {unit}{interval}"
