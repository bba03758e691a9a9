"""Rates as they travel between models and scores: labeled arrays in spikes/bin, checked before they are used."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Num

from nlbprob.arguments import described
from nlbprob.data.handed import check_trials
from nlbprob.data.tables import as_numbers, unmasked
from nlbprob.data.trials import Trials
from nlbprob.errors import InputError, suggestion
from nlbprob.scoring.metrics.limits import LARGEST_RATE

if TYPE_CHECKING:
    import xarray

AXES = ("trial", "time", "neuron")
#: From this many bins a second on, rates in Hz and in spikes/bin are distinguished by their size.
FEWEST_BINS_A_SECOND = 4.0


def label_rates(rates: Float[np.ndarray, "trial time neuron"], trials: Trials) -> "xarray.DataArray":
    """Rates in spikes/bin as a DataArray (trial, time, neuron) with the ids of `trials` and time in ms."""
    import xarray

    return xarray.DataArray(
        rates,
        dims=AXES,
        coords={
            "trial": trials.table["id"],
            "time": ("time", trials.time_ms, {"units": "ms"}),
            "neuron": trials.neurons["id"],
        },
        name="rates",
        attrs={"units": "spikes/bin", "bin_ms": trials.bin_ms},
    )


def rate_array(
    rates: Any, trials: Trials, name: str = "rates", caller: str = "score"
) -> Float[np.ndarray, "trial time neuron"]:
    """Rates of every trial, bin (forward ones included) and neuron of `trials`, in float64 and in that order.

    Args:
        rates: a DataArray as of `label_rates`, or an array [trial, time, neuron], spikes/bin.
        trials: that the rates are of.
        name: what messages call the rates.
        caller: the function that took them, for messages.

    Raises:
        InputError: shape, ids, bin width or units are not those of `trials`.
    """
    check_trials(trials, caller)
    if isinstance(rates, Trials) or callable(getattr(rates, "rates", None)):
        raise InputError(f"{name}: {described(rates)}; hand over rates, posterior.rates(trials.hide_heldout('val')).")
    if hasattr(rates, "data_vars"):
        raise InputError(f"{name}: is {described(rates)} of xarray; hand over one of its arrays, dataset['rates'].")
    if hasattr(rates, "dims"):
        if set(rates.dims) != set(AXES):
            raise InputError(f"{name}: dimensions are {tuple(rates.dims)}; they must be {AXES}.")
        rates = rates.transpose(*AXES)
        check_labels(rates, trials, name)
    array = as_numbers(unmasked(rates))
    if array.shape != trials.counts.shape:
        raise InputError(
            f"{name}: shape {array.shape} is not that of the trials, {trials.counts.shape} (trial, time with "
            f"{trials.forward_bins} forward bins, neuron); give a rate for every entry."
        )
    if array.dtype.kind not in "uif":
        raise InputError(f"{name}: expected numbers, got {array.dtype}.")
    return array.astype(np.float64, copy=False)


def rates_to_score(
    rates: Any,
    trials: Trials,
    scored: Bool[np.ndarray, " trial"],
    name: str = "rates",
    caller: str = "score",
    dtype: type = np.float64,
) -> Float[np.ndarray, "trial time neuron"]:
    """`rate_array` of rates that can be expected spikes, and that were predicted without those that are scored.

    Args:
        rates: as `rate_array` takes them.
        trials: likewise.
        scored: which trials are scored.
        name: as `rate_array` takes it.
        caller: likewise.
        dtype: what they are rounded to before they are tested.

    Raises:
        InputError: as `rate_array` and `check_rates` do, and where rates say that they saw what they are to predict.
    """
    array = rate_array(rates, trials, name, caller).astype(dtype, copy=False)
    check_rates(array, trials.counts, trials.bin_ms, trials.seen, name)
    for coordinate, spikes in (("saw_heldout", "of held-out neurons"), ("saw_forward", "of the forward window")):
        saw = getattr(rates, "coords", {}).get(coordinate)
        informed = scored & (False if saw is None else np.asarray(saw, bool))
        if informed.any():
            raise InputError(
                f"{name}: those of {int(informed.sum())} of {int(scored.sum())} scored trials were predicted from the "
                f"very spikes {spikes} that they are scored on; predict them from trials.hide_heldout(), with the "
                "names of the splits that are scored."
            )
    return array


def check_labels(rates: "xarray.DataArray", trials: Trials, name: str) -> None:
    """Raise InputError where the coordinates of a DataArray are of other trials, neurons, bins or units."""
    for axis, ids in (("trial", trials.table["id"]), ("neuron", trials.neurons["id"])):
        if axis in rates.coords and not np.array_equal(rates[axis].values, ids):
            raise InputError(f"{name}: {axis} ids or their order are not those of the trials; select the same ones.")
    time = rates["time"].values if "time" in rates.coords else trials.time_ms
    comparable = time.shape == trials.time_ms.shape and time.dtype.kind in "uif"
    if comparable and not np.allclose(time, trials.time_ms, rtol=0, atol=trials.bin_ms / 100):
        raise InputError(f"{name}: times of bins or their order are not those of the trials; select the same ones.")
    if rates.attrs.get("units", "spikes/bin") != "spikes/bin":
        raise InputError(f"{name}: units are {rates.attrs['units']!r}; scores take spikes/bin.")
    bin_ms = rates.attrs.get("bin_ms", trials.bin_ms)
    if not np.isclose(bin_ms, trials.bin_ms):
        raise InputError(f"{name}: bins are {bin_ms:g} ms wide, those of the trials {trials.bin_ms:g} ms.")


def check_rates(
    rates: Num[np.ndarray, "trial time neuron"],
    counts: Num[np.ndarray, "trial time neuron"],
    bin_ms: float,
    seen: Bool[np.ndarray, "trial time neuron"] | None = None,
    name: str = "rates",
) -> None:
    """Refuse rates that cannot be expected spikes per bin.

    Rates look like Hz where, for the median neuron with spikes, mean rate over mean count is within a factor of two of
    the number of bins a second (tested at four bins a second or more).

    Args:
        rates: to be tested.
        counts: spikes per bin that the rates are to predict, NaN where unknown.
        bin_ms: width of a bin in ms.
        seen: False where counts are unknown too.
        name: what messages call the rates.

    Raises:
        InputError: a rate is NaN, infinite, zero or negative, or rates look like Hz.
    """
    for bad, problem, remedy in (
        (~(np.abs(rates) <= LARGEST_RATE), "not finite", "predict every trial, bin and neuron"),
        (rates < 0, "negative", "hand over rates, not log-rates or differences of rates"),
        (rates == 0, "exactly zero", "a spike there would be impossible; add a small floor, such as 1e-6"),
    ):
        if bad.any():
            where = tuple(int(i) for i in np.unravel_index(bad.argmax(), bad.shape))
            raise InputError(
                f"{name}: {int(bad.sum())} rates are {problem}, the first at (trial, bin, neuron) {where}; {remedy}."
            )
    used = ~np.isnan(counts) if seen is None else seen & ~np.isnan(counts)
    spikes = counts.sum(axis=(0, 1), where=used, dtype=np.float64)
    expected = rates.sum(axis=(0, 1), where=used, dtype=np.float64)
    per_second = 1000.0 / bin_ms
    if per_second < FEWEST_BINS_A_SECOND or not spikes.any():
        return
    ratio = float(np.median(expected[spikes > 0] / spikes[spikes > 0]))
    if per_second / 2 <= ratio <= per_second * 2:
        raise InputError(
            f"{name}: rates look like Hz: they are about {per_second:g} times the counts (median over neurons "
            f"{ratio:.3g}). Divide them by {per_second:g} to get spikes per bin of {bin_ms:g} ms."
        )


def split_names(splits: str | Sequence[str], field: str) -> tuple[str, ...]:
    """One split name or several, as a tuple. Raises InputError, naming `field`, on anything else."""
    names = (splits,) if isinstance(splits, str) else tuple(splits) if isinstance(splits, Iterable) else ()
    if not names or not all(isinstance(name, str) for name in names):
        raise InputError(
            f"{field}: {described(splits)} names no split; give a name or several, such as ('train', 'val')."
        )
    return names


def in_splits(trials: Trials, splits: str | Sequence[str], field: str) -> Bool[np.ndarray, " trial"]:
    """Which trials are in the named splits. Raises InputError, naming `field`, where one of them has no trial."""
    for split in split_names(splits, field):
        if split not in trials.splits:
            raise InputError(f"{field}: no trial is in split {split!r}. {suggestion(split, trials.splits)}")
    return np.isin(trials.table["split"], split_names(splits, field))
