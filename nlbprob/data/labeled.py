"""`Trials` as an xarray Dataset and back, every dimension named, every column a coordinate; tables as DataFrames."""

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from nlbprob.arguments import checked_keywords, described
from nlbprob.data.trials import Trials
from nlbprob.errors import InputError

if TYPE_CHECKING:
    import pandas
    import xarray

AXES = ("trial", "time", "neuron")
SIGNAL = ("trial", "time", "channel")
SCALARS = ("condition", "behavior_name", "lag_ms", "source")
#: Attributes of a dataset: the bin width, and the other scalars as JSON.
ATTRIBUTES = ("trials", "bin_ms")


@checked_keywords
def to_dataframe(trials: Trials) -> "pandas.DataFrame":
    """The table of trials as a DataFrame, a copy, whose index is the position of each trial.

    Args:
        trials: to describe.

    Returns:
        A row for each trial, with the columns of `Trials.table`; trials[frame.query("side == 'left'").index] selects.
    """
    import pandas

    return pandas.DataFrame({name: column.copy() for name, column in trials.table.items()})


@checked_keywords
def neurons_dataframe(trials: Trials) -> "pandas.DataFrame":
    """The table of neurons as a DataFrame, a copy, whose index is the position of each neuron.

    Args:
        trials: whose neurons to describe.

    Returns:
        A row for each neuron, with the columns of `Trials.neurons`.
    """
    import pandas

    return pandas.DataFrame({name: column.copy() for name, column in trials.neurons.items()})


@checked_keywords
def to_xarray(trials: Trials) -> "xarray.Dataset":
    """Counts and seen (trial, time, neuron), behavior (trial, time, channel) and inputs (trial, time, input).

    Coordinates are ids of trials and neurons, time in ms, the names of channels, and every other column of the two
    tables, under its own name or, where that is taken, after "trial_" or "neuron_". It can be written to netCDF.

    Args:
        trials: to convert.

    Returns:
        The labelled arrays; `from_xarray` makes the same trials of them.
    """
    import xarray

    variables: dict[str, Any] = {
        "counts": (AXES, trials.counts, {"units": "spikes/bin"}),
        "seen": (AXES, trials.seen, {"long_name": "recorded and not hidden"}),
    }
    coordinates: dict[str, Any] = {"time": ("time", trials.time_ms, {"units": "ms", "long_name": "left bin edge"})}
    if trials.behavior is not None:
        variables["behavior"] = (SIGNAL, trials.behavior, {"long_name": trials.behavior_name})
        coordinates["channel"] = ("channel", list(trials.behavior_channels))
    for name, values in trials.inputs.items():
        variable = safe(f"input_{name}")
        variables[variable] = (("trial", "time", f"{variable}_channel"), values, {"input": name})
    taken = {*AXES, "channel", *variables}
    for axis, table in (("trial", trials.table), ("neuron", trials.neurons)):
        coordinates[axis] = (axis, table["id"])
        for column, values in table.items():
            if column != "id":
                name = safe(column) if safe(column) not in taken else safe(f"{axis}_{column}")
                taken.add(name)
                coordinates[name] = (axis, values, {"column": column})
    forward_ms = trials.time_ms[trials.window_bins] if trials.forward_bins else None
    scalars = {name: getattr(trials, name) for name in SCALARS} | {"forward_ms": forward_ms}
    attributes = {"bin_ms": trials.bin_ms, "trials": json.dumps(scalars)}
    return xarray.Dataset(variables, coordinates, attributes)


def safe(name: str) -> str:
    """A name that netCDF takes for a variable."""
    return name.replace("/", "_")


@checked_keywords
def from_xarray(dataset: "xarray.Dataset") -> Trials:
    """The Trials that `to_xarray` made the dataset of, or of a part of it.

    Args:
        dataset: what `to_xarray` returned, its dimensions in any order; counts that became NaN since, by `where` say,
            are unseen.

    Raises:
        InputError: it is another dataset, or a part or a dimension of it is missing.
    """
    scalars = scalars_of(dataset)
    counts, seen = (values_of(dataset[name], AXES) for name in ("counts", "seen"))
    has_count = ~np.isnan(counts) if counts.dtype.kind == "f" else np.ones(counts.shape, dtype=bool)
    tables: dict[str, dict[str, np.ndarray]] = {axis: {"id": dataset[axis].values} for axis in ("neuron", "trial")}
    for coordinate in dataset.coords.values():
        if "column" in coordinate.attrs:
            tables[str(coordinate.dims[0])][coordinate.attrs["column"]] = coordinate.values
    inputs = {entry.attrs["input"]: entry for entry in dataset.values() if "input" in entry.attrs}
    channels = {"behavior": values_of(dataset["behavior"], SIGNAL)} if "behavior" in dataset else {}
    return Trials(
        counts=np.where(has_count, counts, 0),
        seen=has_count & np.equal(seen, 1).astype(bool),  # a NaN among them is no 1
        neurons=tables["neuron"],
        table=tables["trial"],
        time_ms=dataset["time"].values,
        behavior_channels=tuple(map(str, dataset["channel"].values)) if channels else (),
        inputs={name: values_of(entry, (*SIGNAL[:2], f"{entry.name}_channel")) for name, entry in inputs.items()},
        **channels,
        **scalars,
    )


def scalars_of(dataset: Any) -> dict[str, Any]:
    """The fields of Trials that stand in the attributes of a dataset. Raises InputError where it is another dataset."""
    of = "hand over what Trials.to_xarray returned"
    if not (hasattr(dataset, "data_vars") and hasattr(dataset, "coords")):
        raise InputError(f"dataset: is {described(dataset)}; {of}.")
    present = {*dataset.variables, *dataset.attrs}
    for names in (("counts", "seen", *ATTRIBUTES), AXES):
        if missing := [name for name in names if name not in present]:
            raise InputError(f"dataset: {', '.join(missing)} is missing; {of}.")
    try:
        scalars = dict(json.loads(dataset.attrs["trials"]))
        fields: dict[str, Any] = {"bin_ms": float(dataset.attrs["bin_ms"])}
        forward_ms = scalars.pop("forward_ms", None)
        if forward_ms is not None:  # a part of the bins has other forward bins than all of them
            fields["forward_bins"] = int((dataset["time"].values > forward_ms - fields["bin_ms"] / 2).sum())
    except (TypeError, ValueError):
        raise InputError(f"dataset: its attributes {', '.join(ATTRIBUTES)} are damaged; {of}.") from None
    return scalars | fields


def values_of(array: "xarray.DataArray", dims: tuple[str, str, str]) -> np.ndarray:
    """The values of an array with its dimensions in this order. Raises InputError where it has others."""
    if set(array.dims) != set(dims):
        raise InputError(
            f"dataset: {array.name} is of ({', '.join(map(str, array.dims))}), not of ({', '.join(dims)}); choose with "
            "a list, isel(trial=[3]), which keeps a dimension."
        )
    return array.transpose(*dims).values
