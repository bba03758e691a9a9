"""A sampled signal, such as the velocity of a hand."""

import dataclasses
import functools
import re
from typing import Any

import numpy as np
import scipy.ndimage
from jaxtyping import Bool, Float

from nlbprob.data.checks import channel_names
from nlbprob.data.clock import is_single
from nlbprob.errors import InputError

GAP = 1.5  # samples further apart than this many sampling intervals have a gap between them
HEADROOM = 2.0**-40  # a power of two changes no digit, and keeps sums of the largest numbers finite
NEIGHBORS = 11  # steps before, or after, from which the sampling interval at a time is taken


@dataclasses.dataclass(frozen=True, eq=False)
class Series:
    """Values of one or more channels at given times (s, ascending, each once); NaN where a sample is missing.

    Attributes:
        notes: what had to be done to the samples, for whoever reads the result.
    """

    name: str
    times: Float[np.ndarray, " sample"]
    values: Float[np.ndarray, "sample channel"]
    channels: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @functools.cached_property
    def interval_s(self) -> float:
        """The sampling interval: the median step between samples, so that gaps do not count."""
        return float(np.median(np.diff(self.times))) if len(self.times) > 1 else np.inf

    @functools.cached_property
    def single(self) -> bool:
        """Whether the times were stored as 32-bit floats."""
        return is_single(self.times)

    @functools.cached_property
    def gaps(self) -> Bool[np.ndarray, " step"]:
        """Where a sample is followed by a gap: the next is further than 1.5 sampling intervals, as they are there.

        The rate may change within a recording, so a step is measured by the steps before it and by those after it.
        """
        steps = np.diff(self.times)
        far = steps > GAP * self.interval_s
        if far.any():
            half = NEIGHBORS // 2
            around = [scipy.ndimage.median_filter(steps, NEIGHBORS, mode="nearest", origin=o) for o in (half, -half)]
            far &= steps > GAP * np.maximum(*around)
        return far

    @classmethod
    def from_samples(cls, name: str, times: Any, values: Any, channels: tuple[str, ...] = ()) -> "Series":
        """A series from arrays, put in order of time.

        Samples without a time are left out, those of one time averaged, infinite values missing; `notes` say how many.

        Raises:
            InputError: the shapes do not belong together, or no sample has a time.
        """
        times, values = np.asarray(times, dtype=np.float64), np.asarray(values)
        if values.ndim == 1:
            values = values[:, None]
        if values.ndim != 2 or times.shape != values.shape[:1] or values.dtype.kind not in "buif":
            raise InputError(
                f"behavior {name!r}: expected numbers (sample, channel) with one time a sample, got values "
                f"{values.dtype} {values.shape} and times {times.shape}."
            )
        if not values.size:
            raise InputError(f"behavior {name!r}: has no sample, or no channel: {values.shape}; name another series.")
        notes: list[str] = []
        times, values = timed(name, times, values.astype(np.float64), notes)
        infinite = np.isinf(values)
        if infinite.any():
            notes.append(f"behavior: {infinite.sum()} values of {name!r} are infinite, and count as missing")
            values[infinite] = np.nan
        times, values = once(name, times, values, notes)
        return cls(name, times, values, channels or channel_names(values.shape[1]), tuple(notes))


def timed(
    name: str, times: Float[np.ndarray, " sample"], values: Float[np.ndarray, "sample channel"], notes: list[str]
) -> tuple[Float[np.ndarray, " timed"], Float[np.ndarray, "timed channel"]]:
    """The samples that have a time, in its order. Raises InputError where none has."""
    finite = np.isfinite(times)
    if len(times) and not finite.any():
        raise InputError(f"behavior {name!r}: none of its {len(times)} samples has a finite time; give times in s.")
    if not finite.all():
        notes.append(f"behavior: {(~finite).sum()} of {len(times)} samples of {name!r} have no time, and are left out")
        times, values = times[finite], values[finite]
    back = int(np.sum(np.diff(times) < 0))
    if not back:
        return times, values
    notes.append(f"behavior: the times of {name!r} step back {back} times; its samples are put in order of time")
    order = np.argsort(times, kind="stable")
    return times[order], values[order]


def once(
    name: str, times: Float[np.ndarray, " sample"], values: Float[np.ndarray, "sample channel"], notes: list[str]
) -> tuple[Float[np.ndarray, " once"], Float[np.ndarray, "once channel"]]:
    """Each time once, with the mean of its samples that are not NaN."""
    opens = np.r_[True, np.diff(times) > 0][: len(times)]
    if opens.all():
        return times, values
    first, present = np.flatnonzero(opens), ~np.isnan(values)
    number = np.add.reduceat(present, first, axis=0, dtype=np.int64)
    total = np.add.reduceat(np.where(present, values, 0) * HEADROOM, first, axis=0)
    repeated = int(np.sum(np.diff(np.r_[first, len(times)]) > 1))
    notes.append(
        f"behavior: {repeated} times of {name!r} come more than once; their samples are averaged, {len(times)} to "
        f"{len(first)}"
    )
    mean = np.divide(total, number, out=np.full(total.shape, np.nan), where=number > 0) / HEADROOM
    return times[first], mean


def channels_of(comments: str | None, number: int) -> tuple[str, ...]:
    """Channel names from a comment such as 'columns=[x,y]'; the usual names where there is none that fits."""
    match = re.search(r"columns=\[([^\]]*)\]", comments or "")
    names = tuple(name.strip().strip("'\"") for name in match[1].split(",")) if match else ()
    return names if len(set(names)) == number and all(names) else channel_names(number)
