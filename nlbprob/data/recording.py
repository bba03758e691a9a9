"""NWB files: the units, tables and signals in them, as arrays."""

import contextlib
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from nlbprob.data.checks import as_column
from nlbprob.data.series import Series, channels_of
from nlbprob.data.units import Units
from nlbprob.errors import InputError, suggestion

# pynwb makes the attributes of its classes at run time, so that no type checker knows them.
NWBFile = DynamicTable = TimeSeries = Any


@contextlib.contextmanager
def open_nwb(path: str | os.PathLike) -> Iterator[NWBFile]:
    """The file as pynwb reads it; nothing is loaded until it is asked for.

    Raises FileNotFoundError where there is no such file, InputError where it is no NWB file or is cut short.
    """
    import h5py

    file = Path(path)
    if file.is_dir():
        inside = sorted(p.name for p in file.glob("*.nwb"))
        raise InputError(f"{path}: is a folder; name a file in it. {suggestion(file.name, inside)}")
    if not file.is_file():
        beside = sorted(p.name for p in file.parent.glob("*.nwb")) if file.parent.is_dir() else []
        raise FileNotFoundError(f"{path}: there is no such file. {suggestion(file.name, beside)}")
    try:
        with h5py.File(file, "r") as opened:
            if opened.attrs.get("neurodata_type") != "NWBFile":
                raise InputError(f"{path}: an HDF5 file, but no NWB 2 file; convert the recording to NWB first.")
            with contextlib.closing(reader(opened)) as nwb:
                yield parsed(nwb, path)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read as HDF5 ({error}); it is cut short or of another format: fetch or write it again."
        ) from error


def reader(opened: Any) -> Any:
    """pynwb's reader of an open HDF5 file."""
    with quiet():
        from pynwb import NWBHDF5IO

        return NWBHDF5IO(file=opened, mode="r")


def parsed(nwb: Any, path: str | os.PathLike) -> NWBFile:
    """The whole tree of a file. Raises InputError where it does not follow the schema."""
    with quiet():
        try:
            return nwb.read()
        except OSError:
            raise
        except Exception as error:  # whatever part of pynwb or hdmf gave up, the file is at fault
            raise InputError(f"{path}: pynwb cannot read it ({error}); is it a valid NWB 2 file?") from error


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No warnings of pynwb and hdmf about a schema older or newer than theirs: who reads a file cannot change it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module=r"(pynwb|hdmf)\b")
        yield


@contextlib.contextmanager
def naming(place: str) -> Iterator[None]:
    """Put the place, such as a file, before the message of an InputError that does not name it yet."""
    try:
        yield
    except InputError as error:
        if str(error).startswith(place):
            raise
        raise InputError(f"{place}: {error}") from error.__cause__


def read_units(nwbfile: NWBFile) -> Units:
    """All sorted units. Raises InputError where the file has none, or no spike times."""
    table = nwbfile.units
    if table is None or "spike_times" not in table.colnames:
        raise InputError("no units table with spike_times; nlbprob needs sorted units, one a row.")
    columns = read_columns(table)
    observed = ragged(table, "obs_intervals") if "obs_intervals" in table.colnames else [None] * len(columns["id"])
    return Units.from_lists(columns, ragged(table, "spike_times"), observed)


def ragged(table: DynamicTable, name: str) -> list[np.ndarray]:
    """The entries of a column with any number of values a row."""
    index = table[name]
    return np.split(np.asarray(index.target.data[:]), np.asarray(index.data[:-1], dtype=np.int64))


def read_table(nwbfile: NWBFile, name: str) -> dict[str, np.ndarray]:
    """The intervals table `name`, such as "trials", by column. Raises InputError where the file has no such table."""
    if name not in nwbfile.intervals:
        raise InputError(
            f"no intervals table {name!r}; name another (intervals), or cut a continuous recording into pieces "
            f"(chunk_ms). {suggestion(name, nwbfile.intervals)}"
        )
    return read_columns(nwbfile.intervals[name])


def read_columns(table: DynamicTable) -> dict[str, np.ndarray]:
    """ "id" and the columns with one number, boolean or string a row; others, such as references, are left out."""
    from pynwb.core import DynamicTableRegion, VectorIndex

    number = len(table.id)
    columns = {"id": np.asarray(table.id.data[:])}
    for name in table.colnames:
        column = table[name]
        if isinstance(column, VectorIndex | DynamicTableRegion) or np.shape(column.data) != (number,):
            continue
        with contextlib.suppress(InputError):
            columns[name] = as_column(column.data[:], number, name)
    return columns


def read_series(nwbfile: NWBFile, name: str) -> Series:
    """The time series `name` of a processing module ("behavior" before others) or of acquisition.

    Raises InputError where the file has no such series.
    """
    every = list(all_series(nwbfile))
    series = next((series for series in every if series.name == name), None)
    if series is None:
        names = dict.fromkeys(series.name for series in every)
        raise InputError(f"behavior: no series {name!r} in processing or acquisition. {suggestion(name, names)}")
    values = np.asarray(series.data[:])
    if series.conversion != 1 or series.offset:
        values = values * series.conversion + series.offset
    channels = channels_of(series.comments, values.shape[1] if values.ndim > 1 else 1)
    return Series.from_samples(name, sample_times(series, len(values)), values, channels)


def all_series(nwbfile: NWBFile) -> Iterator[TimeSeries]:
    """Every time series in processing and acquisition, containers opened, in the order of preference."""
    modules = sorted(nwbfile.processing, key=lambda module: module != "behavior")
    for holder in [nwbfile.processing[module].data_interfaces for module in modules] + [nwbfile.acquisition]:
        for entry in holder.values():
            yield from series_in(entry)


def series_in(entry: Any) -> Iterator[TimeSeries]:
    """The entry itself where it is a time series, else those that it contains."""
    import pynwb

    if isinstance(entry, pynwb.TimeSeries):
        yield entry
    else:
        for child in entry.children:
            yield from series_in(child)


def sample_times(series: TimeSeries, number: int) -> Float[np.ndarray, " sample"]:
    """When each sample was taken, in s, from explicit timestamps or from the rate."""
    if series.timestamps is not None:
        return np.asarray(series.timestamps[:], dtype=np.float64)
    return (series.starting_time or 0.0) + np.arange(number) / series.rate
