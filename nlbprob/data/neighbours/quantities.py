"""Numbers with a unit, as libraries hold them, to plain arrays; times come out in seconds."""

from typing import Any

import numpy as np
from jaxtyping import Float

from nlbprob.errors import InputError


def seconds(values: Any, field: str) -> Float[np.ndarray, " time"]:
    """Times in s from plain numbers (s), quantities with a unit, time differences, or an object with times `t` (s).

    Masked times are left out.

    Raises:
        InputError: they are not one list of times.
    """
    values = getattr(values, "t", values)
    array = magnitude(values, field, time=True)
    if array.dtype.kind == "M":
        raise InputError(f"{field}: holds dates; hand over seconds since the start of the recording.")
    if array.size == 0:
        return np.zeros(0)
    array = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
    if array.ndim != 1 or array.dtype.kind not in "uif":
        raise InputError(f"{field}: expected one list of times in s, got {array.dtype} of shape {array.shape}.")
    return array.astype(np.float64)


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
    return array / np.timedelta64(1, "s") if array.dtype.kind == "m" else array
