"""A sampled signal, such as the velocity of a hand."""

import dataclasses
import functools
import re
from typing import Any

import numpy as np
from jaxtyping import Float

from nlbprob.data.checks import channel_names
from nlbprob.errors import InputError


@dataclasses.dataclass(frozen=True, eq=False)
class Series:
    """Values of one or more channels at given times (s, ascending); NaN where a sample is missing."""

    name: str
    times: Float[np.ndarray, " sample"]
    values: Float[np.ndarray, "sample channel"]
    channels: tuple[str, ...]

    @functools.cached_property
    def interval_s(self) -> float:
        """The sampling interval: the median step between samples, so that gaps do not count."""
        return float(np.median(np.diff(self.times))) if len(self.times) > 1 else np.inf

    @classmethod
    def from_samples(cls, name: str, times: Any, values: Any, channels: tuple[str, ...] = ()) -> "Series":
        """A series from arrays, put in order of time. Raises InputError where the shapes do not belong together."""
        times, values = np.asarray(times, dtype=np.float64), np.asarray(values)
        if values.ndim == 1:
            values = values[:, None]
        if values.ndim != 2 or times.shape != values.shape[:1] or values.dtype.kind not in "buif":
            raise InputError(
                f"behavior {name!r}: expected numbers (sample, channel) with one time a sample, got values "
                f"{values.dtype} {values.shape} and times {times.shape}."
            )
        if not np.isfinite(times).all():
            raise InputError(f"behavior {name!r}: a sample's time is not finite; leave such samples out.")
        order = np.argsort(times, kind="stable") if np.any(np.diff(times) < 0) else slice(None)
        channels = channels or channel_names(values.shape[1])
        return cls(name, times[order], values[order].astype(np.float64), channels)


def channels_of(comments: str | None, number: int) -> tuple[str, ...]:
    """Channel names from a comment such as 'columns=[x,y]'; the usual names where there is none that fits."""
    found = re.search(r"columns=\[([^\]]*)\]", comments or "")
    names = tuple(name.strip().strip("'\"") for name in found[1].split(",")) if found else ()
    return names if len(set(names)) == number and all(names) else channel_names(number)
