"""Numbers with a unit, as libraries hold them, to plain arrays; times come out in seconds."""

import numbers
from typing import Any

import numpy as np
from jaxtyping import Float

from nlbprob.arguments import described
from nlbprob.data.stored import flat
from nlbprob.data.tables import as_numbers, is_missing, of_objects, unmasked
from nlbprob.errors import InputError

DATES = "holds dates; hand over seconds since the start of the recording"


def seconds(values: Any, field: str, aligned: bool = False) -> Float[np.ndarray, " time"]:
    """Times in s from plain numbers (s), quantities with a unit, time differences, or an object with times `t` (s).

    Args:
        values: the times.
        field: what messages call them.
        aligned: they belong to the rows of a table, or to samples: masked and missing ones become NaN. Otherwise masked
            ones are left out.

    Raises:
        InputError: they are not one list of times.
    """
    values = getattr(values, "t", values)
    if aligned:
        values = in_place(values, field)
    array = magnitude(values, field, time=True)
    if array.dtype.kind == "M":
        raise InputError(f"{field}: {DATES}.")
    if array.size == 0:
        return np.zeros(0)
    array = flat(array)
    if array.dtype.kind == "O":
        odd = next((value for value in array.flat if not isinstance(value, numbers.Real)), array.flat[0])
        if hasattr(odd, "isoformat"):
            raise InputError(f"{field}: {DATES}.")
        raise InputError(f"{field}: expected one list of times in s, got something {described(odd)}.")
    if array.ndim != 1 or array.dtype.kind not in "uif":
        raise InputError(f"{field}: expected one list of times in s, got {array.dtype} of shape {array.shape}.")
    return array.astype(np.float64)


def in_place(times: Any, field: str) -> Any:
    """Times in which masked and missing ones are NaN; as they are where there are none of these."""
    if isinstance(times, np.ma.MaskedArray) and not hasattr(times, "rescale"):
        return unmasked(times)
    plain = isinstance(times, list | tuple) or str(getattr(times, "dtype", "")) == "object"
    if plain and any(is_missing(time) for time in times):
        return of_objects(list(times), field)
    return times


def magnitude(values: Any, field: str, time: bool = False) -> np.ndarray:
    """The numbers of values with or without a unit; times, as quantities or time differences, in s.

    Args:
        values: the quantities.
        field: what messages call them.
        time: another unit than one of time is an error.

    Raises:
        InputError: the unit is none of time, or lists differ in length.
    """
    if issubclass(type(values), list | tuple) and any(hasattr(value, "rescale") for value in values):
        return np.array([magnitude(value, field, time) for value in values])
    if hasattr(values, "rescale"):
        try:
            return np.asarray(values.rescale("s").magnitude)
        except ValueError as error:
            if time:
                raise InputError(f"{field}: is in {values.dimensionality}, not in a unit of time.") from error
            return np.asarray(values.magnitude)
    if isinstance(values, np.ma.MaskedArray):
        values = values.compressed() if time else values
    try:
        array = np.asanyarray(values)
    except ValueError:
        raise InputError(f"{field}: holds lists that differ in length; expected one list of numbers.") from None
    if time and array.dtype.kind == "O":
        spans = all(hasattr(value, "total_seconds") for value in array.flat)
        array = np.vectorize(lambda span: span.total_seconds())(array) if spans and array.size else as_numbers(array)
    return array / np.timedelta64(1, "s") if array.dtype.kind == "m" else array
