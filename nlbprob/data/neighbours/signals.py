"""Sampled signals, in whatever form they are held, to a `Series`."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from nlbprob.data.neighbours.quantities import magnitude, seconds
from nlbprob.data.series import Series
from nlbprob.data.tables import as_numbers
from nlbprob.errors import InputError

FORMS = (
    "(times in s, values [sample, channel]), a Tsd or TsdFrame of pynapple, an AnalogSignal of neo, a series of "
    "temporaldata, a data frame whose index is the time in s, or {name: one of these}"
)


def name_of(behavior: Any) -> str | None:
    """What a signal is called: as it is named, or "behavior"; None where there is none."""
    if behavior is None or isinstance(behavior, str):
        return behavior
    if isinstance(behavior, Mapping) and len(behavior) == 1:
        return str(next(iter(behavior)))
    own_name = None if hasattr(behavior, "iloc") else getattr(behavior, "name", None)
    return own_name if isinstance(own_name, str) and own_name else "behavior"


def series_of(signal: Any, name: str) -> Series:
    """A signal as a `Series` of that name. Raises InputError where the object is none, or its shapes do not fit."""
    times, values, channels = samples(unnamed(signal), name)
    values = magnitude(values, "behavior")
    if isinstance(values, np.ma.MaskedArray):
        values = np.ma.filled(values.astype(np.float64), np.nan)
    values = as_numbers(values)
    if len(channels) != (values.shape[1] if values.ndim > 1 else 1) or channels == counted(len(channels)):
        channels = ()
    return Series.from_samples(name, seconds(times, "behavior", aligned=True), values, channels)


def unnamed(signal: Any) -> Any:
    """The signal of {name: signal}; any other object as it is."""
    named = isinstance(signal, Mapping) and len(signal) == 1 and not hasattr(signal, "time_support")
    return next(iter(signal.values())) if named else signal


def samples(signal: Any, name: str) -> tuple[Any, Any, tuple[str, ...]]:
    """Times, values and names of channels (none: to be counted) of a signal. Raises InputError where it is none."""
    if issubclass(type(signal), tuple | list) and len(signal) == 2:
        return signal[0], signal[1], ()
    if hasattr(signal, "iloc") and hasattr(signal, "to_numpy"):
        return clock(signal.index), signal.to_numpy(), names(getattr(signal, "columns", ()))
    if hasattr(signal, "t") and hasattr(signal, "values"):
        return signal.t, np.asarray(signal.values), names(getattr(signal, "columns", ()))
    if hasattr(signal, "times") and hasattr(signal, "magnitude"):
        return signal.times, signal.magnitude, names(signal.array_annotations.get("channel_names", ()))
    if hasattr(signal, "timestamps") and hasattr(signal, "keys"):
        return signal.timestamps, getattr(signal, only_field(signal, name)), ()
    raise InputError(f"behavior: takes {FORMS}; got {type(signal).__name__}.")


def clock(index: Any) -> Any:
    """The index of a data frame as times. Raises InputError where it merely counts the rows."""
    if hasattr(index, "step"):
        raise InputError(
            "behavior: the frame's index counts its rows; make it the time in s (frame.set_index('time'))."
        )
    return index


def only_field(series: Any, name: str) -> str:
    """The one field of a series that has values. Raises InputError where there are several."""
    fields = [field for field in series.keys() if field != "timestamps"]  # noqa: SIM118 an object without iteration
    if len(fields) != 1:
        raise InputError(
            f"behavior: {name!r} has {len(fields)} fields ({', '.join(fields)}); give one of them, as "
            "(series.timestamps, series.FIELD) or, where the recording holds the series, by name ('series.FIELD')."
        )
    return fields[0]


def names(columns: Any) -> tuple[str, ...]:
    """Names of channels as strings."""
    return tuple(str(column) for column in columns)


def counted(number: int) -> tuple[str, ...]:
    """The names that channels without a name have elsewhere: "0", "1", ..."""
    return tuple(str(index) for index in range(number))
