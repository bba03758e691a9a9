"""Whether what is handed over in memory is of the kind that is expected, before anything is made of it."""

import numbers
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from nlbprob.arguments import described
from nlbprob.data.tables import is_missing
from nlbprob.errors import InputError

PAIR = "behavior=(times in s, values [sample, channel])"


def as_given(values: Any, field: str) -> np.ndarray:
    """An array of what was handed over; a mask and units stay. Raises InputError where it makes none."""
    try:
        return np.asanyarray(values)
    except (TypeError, ValueError):
        raise InputError(f"{field}: its entries differ in shape or in kind; give one array of numbers.") from None


def entries(values: Any, field: str, remedy: str) -> list[Any]:
    """The entries of a list, a tuple or an array. Raises InputError, which says the remedy, on anything else."""
    single = isinstance(values, str | bytes | Mapping) or getattr(values, "ndim", 1) == 0
    if single or not isinstance(values, Iterable):
        raise InputError(f"{field}: is {described(values)}; give {remedy}.")
    return list(values)


def check_times(values: Any, field: str, axes: tuple[int, ...] = (1,)) -> None:
    """Raise InputError unless they are numbers or durations, with one of these numbers of axes."""
    array = as_given(values, field)
    if array.dtype.kind == "O" and array.ndim in axes:
        odd = [one for one in array.ravel() if not is_missing(one) and not isinstance(one, numbers.Real)]
        if odd:
            raise InputError(f"{field}: expected times in s, and one is {described(odd[0])}; give numbers.")
    elif array.size and array.dtype.kind not in "uifm":
        what = {"M": "dates", "U": "text", "S": "text", "b": "booleans"}.get(array.dtype.kind, "other things")
        raise InputError(f"{field}: expected times in s, got {what}; give seconds from the start of the recording.")
    if array.ndim not in axes and array.size:
        given = f"of shape {array.shape}" if array.ndim else "a single number"
        raise InputError(f"{field}: expected a list of times in s, got {given}.")


def check_spike_times(
    spike_times: Any, start_time: Any, stop_time: Any, obs_intervals: Any, behavior: Any, channels: Any
) -> None:
    """Raise InputError where an argument of `from_spike_times` is of another kind than the times that it takes."""
    if isinstance(spike_times, Mapping):
        raise InputError(
            "spike_times: is a mapping; give a list of its values, or load it with its ids, nlb.load(spike_times, "
            "trials=(starts, stops), bin_ms=...)."
        )
    for unit, times in enumerate(entries(spike_times, "spike_times", "a list with the spike times of each unit")):
        check_times(times, f"spike_times of unit {unit}")
    for name, times in (("start_time", start_time), ("stop_time", stop_time)):
        check_times(times, name, (0, 1))
    if obs_intervals is not None:
        of_units = entries(obs_intervals, "obs_intervals", "a list with the intervals (start, stop) of each unit")
        for unit, intervals in enumerate(of_units):
            if intervals is not None:
                check_times(intervals, f"obs_intervals of unit {unit}", (2,))
    if behavior is not None:
        if not isinstance(behavior, list | tuple) or len(behavior) != 2:
            raise InputError(f"behavior: is {described(behavior)}; give {PAIR}.")
        check_times(behavior[0], "behavior: times")
        as_given(behavior[1], "behavior: values")
    entries(channels, "behavior_channels", "the names of the channels, ('x', 'y')")
