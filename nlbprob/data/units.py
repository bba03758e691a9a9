"""The units of a recording: their columns, spike times and observation intervals."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from nlbprob.data.windows import merge, without
from nlbprob.errors import InputError

#: A half percent of the spikes, and no more than so many, may be stray ones; of so few spikes none is.
MOST_STRAY, FEWEST_SPIKES = 1000, 20


@dataclasses.dataclass(frozen=True, eq=False)
class Units:
    """Sorted units, in the order of the file.

    Attributes:
        columns: "id" and every column with one number, boolean or string a unit.
        spike_times: of each unit, in s on the recording's clock, ascending.
        observed: intervals [interval, (start, stop)] in s in which each unit was recorded, ascending and apart; units
            with equal intervals share one array. None: recorded throughout.
        invalid: intervals in s in which no unit counts as recorded, ascending and apart.
    """

    columns: dict[str, np.ndarray]
    spike_times: tuple[np.ndarray, ...]
    observed: tuple[Float[np.ndarray, "_ 2"] | None, ...]
    invalid: Float[np.ndarray, "_ 2"] = dataclasses.field(default_factory=lambda: np.zeros((0, 2)))

    def __len__(self) -> int:
        return len(self.spike_times)

    @classmethod
    def from_lists(
        cls, columns: dict[str, np.ndarray], spike_times: Sequence[Any], observed: Sequence[Any], invalid: Any = ()
    ) -> "Units":
        """Units from spike times in any order and intervals as they come; an empty list of intervals states nothing.

        Raises:
            InputError: a time is not finite, or an interval ends before it starts.
        """
        arrays_by_content: dict[bytes, np.ndarray | None] = {}
        intervals, spikes = [], []
        for unit, times, of_unit in zip(columns["id"], spike_times, observed, strict=True):
            spikes.append(ascending(np.asarray(times, dtype=np.float64), unit))
            array = np.zeros((0, 2)) if of_unit is None else np.asarray(of_unit, dtype=np.float64)
            key = array.tobytes()
            if key not in arrays_by_content:
                arrays_by_content[key] = checked(array, unit) if array.size else None
            intervals.append(arrays_by_content[key])
        left_out = merge(np.asarray(invalid, dtype=np.float64).reshape(-1, 2))
        return cls(columns, tuple(spikes), tuple(intervals), left_out)

    @property
    def spike_count(self) -> int:
        return sum(map(len, self.spike_times))

    @property
    def firing(self) -> int:
        """How many units have a spike."""
        return sum(len(times) > 0 for times in self.spike_times)

    @functools.cached_property
    def spike_extent(self) -> tuple[float, float]:
        """First and last spike (s), stray ones apart (see `last_of_most`); (nan, nan) where there is none."""
        if not self.spike_count:
            return np.nan, np.nan
        middle = float(np.median([np.median(times) for times in self.spike_times if len(times)]))
        firsts = [-times[: MOST_STRAY + 1][::-1] for times in self.spike_times]
        lasts = [times[-MOST_STRAY - 1 :] for times in self.spike_times]
        number = self.spike_count
        return -last_of_most(firsts, number, -middle), last_of_most(lasts, number, middle)

    @functools.cached_property
    def extent(self) -> tuple[float, float]:
        """First and last moment (s) of any observation or spike, stray ones apart; (nan, nan) where there are none."""
        ends = [intervals[[0, -1], [0, 1]] for intervals in self.observed if intervals is not None]
        ends += [self.spike_extent] if self.spike_count else []
        return (float(np.min(ends)), float(np.max(ends))) if ends else (np.nan, np.nan)

    def spikes_between(self, start: float, stop: float) -> int:
        """How many spikes lie in [start, stop] (s)."""
        return sum(int(np.diff(np.searchsorted(times, [start, stop]))[0]) for times in self.spike_times)

    def stray(self) -> dict[int, Float[np.ndarray, " stray"]]:
        """The spikes outside `extent`, by the unit's position."""
        first, last = self.extent
        outside = {unit: times[(times < first) | (times > last)] for unit, times in enumerate(self.spike_times)}
        return {unit: times for unit, times in outside.items() if len(times)}

    def rates_hz(self) -> Float[np.ndarray, " neuron"]:
        """Spikes of each unit in its observed and valid time, a second; NaN where there is no such time.

        Where a unit has no observation intervals, its observed time is the extent of the recording.
        """
        extent = np.array([self.extent])
        rates = np.full(len(self), np.nan)
        for unit, (times, of_unit) in enumerate(zip(self.spike_times, self.observed, strict=True)):
            intervals = without(extent if of_unit is None else of_unit, self.invalid)
            observed_s = np.diff(intervals).sum()
            inside = np.searchsorted(times, intervals[:, 1], "right") - np.searchsorted(times, intervals[:, 0])
            if observed_s > 0:
                rates[unit] = inside.sum() / observed_s
        return rates

    def select(self, mask: Bool[np.ndarray, " neuron"]) -> "Units":
        """The units where mask is True."""
        chosen = np.flatnonzero(mask)
        return dataclasses.replace(
            self,
            columns={name: column[mask] for name, column in self.columns.items()},
            spike_times=tuple(self.spike_times[unit] for unit in chosen),
            observed=tuple(self.observed[unit] for unit in chosen),
        )


def last_of_most(lasts: Sequence[Float[np.ndarray, "_"]], number: int, middle: float) -> float:
    """The last spike (s) of all, without those few that follow a silence longer than all that came before.

    A clock's glitch or a sorter's excess spike would make the recording a thousand times as long.

    Args:
        lasts: the last spikes of each unit, one more than can be stray, in s, ascending.
        number: of spikes in all.
        middle: a time around which half of the recording lies, s.
    """
    few = min(MOST_STRAY, max(1, number // 200)) if number >= FEWEST_SPIKES else 0
    tail = np.sort(np.concatenate([times[-few - 1 :] for times in lasts]))[-few - 1 :]
    silent = np.flatnonzero(np.diff(tail) > 2 * np.maximum(tail[:-1] - middle, 0))
    return float(tail[silent[0]] if len(silent) else tail[-1])


def ascending(times: Float[np.ndarray, " spike"], unit: Any) -> Float[np.ndarray, " spike"]:
    """Spike times in order. Raises InputError where one is not finite."""
    if not np.isfinite(times).all():
        raise InputError(f"spike_times: unit {unit} has a spike at a time that is not finite; leave such spikes out.")
    return times if np.all(times[1:] >= times[:-1]) else np.sort(times)


def checked(intervals: np.ndarray, unit: Any) -> Float[np.ndarray, "interval 2"]:
    """Observation intervals in order and apart. Raises InputError where they are not pairs (start, stop) in s."""
    if intervals.ndim != 2 or intervals.shape[1] != 2 or not np.all(intervals[:, 0] <= intervals[:, 1]):
        raise InputError(f"obs_intervals: unit {unit} has one that does not end after it starts; give pairs in s.")
    return merge(intervals)
