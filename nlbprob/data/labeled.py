"""`Trials` as an xarray Dataset and back, every dimension named, every column a coordinate; tables as DataFrames."""

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from nlbprob.arguments import checked_keywords
from nlbprob.data.trials import Trials
from nlbprob.errors import InputError

if TYPE_CHECKING:
    import pandas
    import xarray

AXES = ("trial", "time", "neuron")
SCALARS = ("forward_bins", "condition", "behavior_name", "lag_ms", "source")


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
        variables["behavior"] = (("trial", "time", "channel"), trials.behavior, {"long_name": trials.behavior_name})
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
    scalars = {name: getattr(trials, name) for name in SCALARS}
    attributes = {"bin_ms": trials.bin_ms, "trials": json.dumps(scalars)}
    return xarray.Dataset(variables, coordinates, attributes)


def safe(name: str) -> str:
    """A name that netCDF takes for a variable."""
    return name.replace("/", "_")


@checked_keywords
def from_xarray(dataset: "xarray.Dataset") -> Trials:
    """The Trials that `to_xarray` made the dataset of.

    Args:
        dataset: what `to_xarray` returned; counts that became NaN since, by `where` say, are unseen.

    Raises:
        InputError: a part of it is missing.
    """
    missing = [name for name in ("counts", "seen", "trials", "bin_ms") if name not in {*dataset, *dataset.attrs}]
    if missing:
        raise InputError(f"dataset: {', '.join(missing)} is missing; hand over what Trials.to_xarray returned.")
    tables: dict[str, dict[str, np.ndarray]] = {axis: {"id": dataset[axis].values} for axis in ("neuron", "trial")}
    for coordinate in dataset.coords.values():
        if "column" in coordinate.attrs:
            tables[str(coordinate.dims[0])][coordinate.attrs["column"]] = coordinate.values
    behavior = dataset.get("behavior")
    counts, seen = (dataset[name].transpose(*AXES).values for name in ("counts", "seen"))
    has_count = ~np.isnan(counts) if counts.dtype.kind == "f" else np.ones(counts.shape, dtype=bool)
    return Trials(
        counts=np.where(has_count, counts, 0),
        seen=has_count & np.equal(seen, 1).astype(bool),  # a NaN among them is no 1
        bin_ms=float(dataset.attrs["bin_ms"]),
        neurons=tables["neuron"],
        table=tables["trial"],
        time_ms=dataset["time"].values,
        behavior=None if behavior is None else behavior.values,
        behavior_channels=() if behavior is None else tuple(map(str, dataset["channel"].values)),
        inputs={entry.attrs["input"]: entry.values for entry in dataset.values() if "input" in entry.attrs},
        **json.loads(dataset.attrs["trials"]),
    )
