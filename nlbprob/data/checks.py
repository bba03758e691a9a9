"""What `Trials` demands of the arrays handed to it; every message names the field and the remedy."""

import operator
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, UInt

from nlbprob.data.tables import as_numbers, as_table, native, unmasked
from nlbprob.errors import InputError, printable, suggestion

COUNT_TYPES = (np.uint8, np.uint16, np.uint32)


def three_axes(counts: Any) -> tuple[int, int, int]:
    """Number of trials, bins and neurons. Raises InputError where the counts have other axes."""
    shape = np.shape(counts)
    if len(shape) != 3:
        raise InputError(f"counts: expected three axes (trial, time, neuron), got shape {shape}.")
    return shape


def as_counts(counts: Any, seen: Bool[np.ndarray, "trial time neuron"] | None) -> UInt[np.ndarray, "trial time neuron"]:
    """Spike counts in the smallest unsigned type that holds them.

    Args:
        counts: [trial, time, neuron], spikes per bin; floats are taken when they are whole.
        seen: same shape; where it is False a NaN is a missing entry and becomes 0. None: everything was recorded.

    Raises:
        InputError: a recorded count is negative, fractional, NaN or infinite.
    """
    array = as_numbers(np.asarray(counts))
    if array.dtype in COUNT_TYPES:
        return array
    if array.dtype.kind not in "buif":
        raise InputError(f"counts: expected numbers, got {array.dtype}; hand over spikes per bin.")
    if array.dtype.kind == "f":
        if seen is not None:
            array = np.where(seen, array, 0)
        refuse(~np.isfinite(array), array, "is not finite; mark missing entries in `seen` instead")
        refuse(array != np.floor(array), array, "is not whole; hand over spikes per bin, not rates or smoothed counts")
    if array.dtype.kind != "u":
        refuse(array < 0, array, "is negative; hand over spikes per bin, and mark missing entries in `seen`")
    largest = int(array.max(initial=0))
    for smallest in COUNT_TYPES:
        if largest <= np.iinfo(smallest).max:
            return array.astype(smallest)
    raise InputError(f"counts: {largest} in one bin is more than 32 bits hold; are these spikes per bin?")


def refuse(bad: Bool[np.ndarray, "trial time neuron"], counts: np.ndarray, problem: str) -> None:
    """Raise InputError at the first entry of `counts` that is `bad`, saying where it is and what is wrong."""
    if bad.any():
        trial, time, neuron = np.unravel_index(bad.argmax(), bad.shape)
        value = counts[trial, time, neuron]
        raise InputError(f"counts: {value} at trial {trial}, bin {time}, neuron {neuron} {problem}.")


def as_mask(values: np.ndarray, field: str) -> Bool[np.ndarray, " neuron"]:
    """A column of booleans, given as such or as 0 and 1. Raises InputError on anything else."""
    if values.dtype.kind == "b":
        return values
    if values.dtype.kind in "uif" and np.isin(values, (0, 1)).all():
        return values.astype(bool)
    raise InputError(f"{field}: expected booleans, got {values.dtype}; name a column of true and false.")


def as_index(chosen: Any, length: int, field: str) -> Int[np.ndarray, " chosen"]:
    """Positions named by a mask or an index array. Raises InputError where none is, or one lies outside."""
    if chosen is None:
        return np.arange(length)
    array = np.asarray(chosen)
    if array.dtype == bool:
        if array.shape != (length,):
            raise InputError(f"{field}: a mask of shape {array.shape} does not fit {length} {field}.")
        array = np.flatnonzero(array)
    if array.size == 0:
        raise InputError(f"{field}: none of the {length} {field} is selected; choose at least one.")
    if array.dtype.kind not in "ui" or array.ndim != 1 or array.min() < -length or array.max() >= length:
        raise InputError(f"{field}: expected a mask or whole numbers below {length}, one axis long.")
    return np.arange(length)[array]


def as_positions(chosen: Any, length: int) -> Int[np.ndarray, " chosen"]:
    """The trials that stand in brackets after `Trials`: one position, a slice, a mask or an array of positions.

    Raises:
        InputError: it is none of these, none is chosen, or one lies outside.
    """
    if isinstance(chosen, str | tuple) or chosen is None:
        raise InputError(
            f"trials[{chosen!r}]: give positions, a slice or a mask of trials; there are trials.split('train'), columns"
            " trials.table['id'], and trials.select(trials=..., neurons=...)."
        )
    if isinstance(chosen, slice):
        try:
            chosen = np.arange(length)[chosen]
        except (TypeError, ValueError) as error:  # ends that are no whole numbers, or a step of zero
            raise InputError(f"trials[{chosen}]: {error}; a slice counts positions, from 0 to {length}.") from None
    single = np.ndim(chosen) == 0 and np.asarray(chosen).dtype.kind in "ui"
    return as_index([chosen] if single else chosen, length, "trials")


def as_series(values: Any, shape: tuple[int, int], field: str) -> Float[np.ndarray, "trial time channel"]:
    """Covariates in bins, as floats [trial, time, channel]; NaN where masked. Raises InputError for other shapes."""
    array = native(as_numbers(unmasked(values)))
    if array.ndim != 3 or array.shape[:2] != shape or array.dtype.kind not in "buif":
        raise InputError(
            f"{field}: expected numbers of shape ({shape[0]}, {shape[1]}, channels), got {array.dtype} {array.shape}."
        )
    return array if array.dtype.kind == "f" else array.astype(np.float64)


def time_axis(time_ms: Any, n_bins: int, bin_ms: float | int) -> Float[np.ndarray, " time"]:
    """Left bin edges in ms. Raises InputError where they are not `n_bins` edges, `bin_ms` apart."""
    if not (np.isfinite(bin_ms) and bin_ms > 0):
        raise InputError(f"bin_ms: {bin_ms} is no bin width; give a positive number of ms.")
    try:
        edges = np.asarray(time_ms, dtype=np.float64)
    except (TypeError, ValueError):
        edges = np.zeros(0)
    if edges.shape != (n_bins,) or not np.allclose(np.diff(edges), bin_ms, atol=1e-6 * bin_ms):
        raise InputError(f"time_ms: expected {n_bins} left bin edges, {bin_ms:g} ms apart, as counts and bin_ms say.")
    return edges


def validated(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a `Trials`, checked against each other and in their final types; arrays are read-only views."""
    shape = n_trials, n_bins, n_neurons = three_axes(arguments["counts"])
    given_counts, seen = without_masked(arguments["counts"], arguments["seen"])
    if seen.dtype != bool or seen.shape != shape:
        raise InputError(f"seen: expected booleans of the shape of counts {shape}, got {seen.dtype} {seen.shape}.")
    counts = as_counts(given_counts, seen)
    if 0 in shape:
        raise InputError(f"counts: shape {shape} leaves no trial, bin or neuron; select at least one of each.")
    neurons = as_table(arguments["neurons"], n_neurons, "neurons", ("id", "heldout"))
    table = as_table(arguments["table"], n_trials, "table", ("id", "split"))
    if table["split"].dtype.kind != "U":
        raise InputError(f"table['split']: expected names such as 'train', got {table['split'].dtype}.")
    for name in arguments["condition"]:
        if name not in table:
            raise InputError(f"condition: no trials column {name!r}. {suggestion(name, table)}")
    forward_bins = whole(arguments["forward_bins"], "forward_bins")
    if not 0 <= forward_bins < n_bins:
        raise InputError(f"forward_bins: {forward_bins} leaves no scored bin of {n_bins}; give fewer.")
    inputs = arguments["inputs"] or {}
    fields = {
        "counts": counts,
        "seen": seen,
        "bin_ms": float(arguments["bin_ms"]),
        "neurons": neurons | {"heldout": as_mask(neurons["heldout"], "neurons['heldout']")},
        "table": table,
        "time_ms": time_axis(arguments["time_ms"], n_bins, arguments["bin_ms"]),
        "forward_bins": forward_bins,
        "condition": tuple(map(str, arguments["condition"])),
        "lag_ms": float(arguments["lag_ms"]),
        "inputs": {name: as_series(values, shape[:2], f"inputs[{name!r}]") for name, values in inputs.items()},
    }
    fields |= behavior_fields(
        arguments["behavior"], arguments["behavior_name"], tuple(arguments["behavior_channels"]), shape[:2]
    )
    source = jsonable(arguments["source"] or {})
    notes = []
    if fields["behavior"] is not None:
        fields["behavior"], number = finite(fields["behavior"], np.float64)
        notes += [f"behavior: {number} values of {fields['behavior_name']!r}"] if number else []
    for name, values in fields["inputs"].items():
        fields["inputs"][name], number = finite(values, np.float32)
        notes += [f"inputs[{name!r}]: {number} values"] if number else []
    if notes:
        infinite = [f"{note} are infinite, and count as missing" for note in notes]
        source |= {"notes": [*source.get("notes", []), *infinite]}
    return {name: frozen(value) for name, value in fields.items()} | {"source": source}


def without_masked(counts: Any, seen: Any) -> tuple[Any, np.ndarray]:
    """Counts without a mask, and `seen` without what was masked in either."""
    seen = np.ma.filled(np.asanyarray(seen), False)
    if not isinstance(counts, np.ma.MaskedArray):
        return counts, seen
    mask = np.ma.getmaskarray(counts)
    return np.where(mask, np.zeros((), counts.dtype), counts.data), seen & ~mask if seen.dtype == bool else seen


def whole(value: Any, field: str) -> int:
    """A whole number as Python's own. Raises InputError on anything else."""
    try:
        return operator.index(value)
    except TypeError:
        raise InputError(f"{field}: {value!r} is not a whole number.") from None


def jsonable(value: Any) -> Any:
    """What is known of a recording's origin, in types that JSON has; its text without control characters."""
    if isinstance(value, Mapping):
        return {printable(str(name)): jsonable(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [jsonable(entry) for entry in value]
    if isinstance(value, np.generic):
        return jsonable(value.item())
    return printable(os.fspath(value)) if isinstance(value, str | os.PathLike) else value


def behavior_fields(values: Any, name: str | None, channels: tuple[str, ...], shape: tuple[int, int]) -> dict[str, Any]:
    """Behavior with one name for each channel. Raises InputError where they disagree."""
    if values is None:
        return {"behavior": None, "behavior_name": name, "behavior_channels": ()}
    behavior = as_series(values, shape, "behavior")
    channels = tuple(printable(str(channel)) for channel in channels) or channel_names(behavior.shape[2])
    if len(channels) != behavior.shape[2] or len(set(channels)) != len(channels):
        raise InputError(f"behavior_channels: {channels} does not name {behavior.shape[2]} channels, each once.")
    return {"behavior": behavior, "behavior_name": printable(name or "behavior"), "behavior_channels": channels}


def finite(values: np.ndarray, kind: type[np.floating]) -> tuple[np.ndarray, int]:
    """A signal with NaN where it is infinite as numbers of this kind, and how often it was."""
    with np.errstate(over="ignore"):
        infinite = np.isinf(values.astype(kind))
    return (np.where(infinite, np.nan, values) if infinite.any() else values), int(infinite.sum())


def channel_names(number: int) -> tuple[str, ...]:
    """x, y, z for two or three channels; ch0, ch1, ... for any other number."""
    return tuple("xyz"[:number]) if number in (2, 3) else tuple(f"ch{index}" for index in range(number))


def frozen(value: Any) -> Any:
    """A read-only view of an array, or of the arrays in a mapping: what is shared must not change under its users."""
    if isinstance(value, dict):
        return {name: frozen(entry) for name, entry in value.items()}
    if not isinstance(value, np.ndarray):
        return value
    view = value.view()
    view.flags.writeable = False
    return view
