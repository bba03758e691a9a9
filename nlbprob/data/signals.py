"""The time series of an NWB file: found by name or place, read with their times."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from nlbprob.data.series import Series, channels_of
from nlbprob.data.stored import flat, numeric, stored
from nlbprob.errors import InputError, printable, suggestion

# pynwb makes the attributes of its classes at run time, so that no type checker knows them.
NWBFile = Any
TimeSeries = Any


def read_series(nwbfile: NWBFile, name: str) -> Series:
    """The time series of a name, or at a place such as "Position/SpatialSeries", in processing or acquisition.

    value = data conversion + offset, for electrical series data conversion channel_conversion + offset

    Raises:
        InputError: the file has no such series, or several; it has more channels than samples; or neither timestamps
            nor a rate say when a sample was taken.
    """
    series = find_series(nwbfile, name)
    title = f"behavior {printable(series.name)!r}"
    if series.data is None:
        raise InputError(f"{title}: has no data in the file; name another series.")
    values = stored(series.data, title)
    values = numeric(values.astype(np.float64) if values.dtype.kind == "b" else values, title)
    values = flat(values) if values.ndim == 2 and values.shape[0] == 1 else values
    times = sample_times(series, len(values), title)
    refuse_transposed(values, times, title)
    for factor in (series.conversion, getattr(series, "channel_conversion", None)):
        if factor is not None and not np.all(np.asarray(factor[:] if np.ndim(factor) else factor) == 1):
            values = values * np.asarray(factor)
    if series.offset:
        values = values + series.offset
    channels = channels_of(printable(series.comments or ""), values.shape[1] if values.ndim > 1 else 1)
    return Series.from_samples(printable(series.name), times, values, channels)


def find_series(nwbfile: NWBFile, name: str) -> TimeSeries:
    """The one series whose place ends in `name`; the only one in a container of that name. Raises InputError else."""
    places = dict(all_places(nwbfile))
    wanted = name.strip("/").removeprefix("processing/")
    if wanted in places:
        return places[wanted]
    inside = {place.rpartition("/")[0]: None for place in places}
    matching = {place: series for place, series in places.items() if f"/{place}".endswith(f"/{wanted}")}
    if not matching:
        holders = [holder for holder in inside if f"/{holder}".endswith(f"/{wanted}")]
        matching = {place: series for place, series in places.items() if place.rpartition("/")[0] in holders}
    if not matching:
        names = places if "/" in wanted else dict.fromkeys(place.rpartition("/")[2] for place in places)
        raise InputError(f"behavior: no series {name!r} in processing or acquisition. {suggestion(wanted, names)}")
    if len({id(series) for series in matching.values()}) > 1:
        raise InputError(
            f"behavior: {len(matching)} series answer to {name!r}; name one by its place: "
            f"{', '.join(map(repr, matching))}."
        )
    return next(iter(matching.values()))


def all_places(nwbfile: NWBFile) -> Iterator[tuple[str, TimeSeries]]:
    """Every time series in processing and acquisition with its place, module "behavior" before others.

    A place is "module/container/name", or "acquisition/container/name".
    """
    modules = sorted(nwbfile.processing, key=lambda module: module != "behavior")
    holders = [(module, nwbfile.processing[module].data_interfaces) for module in modules]
    for place, holder in [*holders, ("acquisition", nwbfile.acquisition)]:
        for name, entry in holder.items():
            yield from series_in(entry, f"{place}/{name}")


def series_in(entry: Any, place: str) -> Iterator[tuple[str, TimeSeries]]:
    """The entry itself where it is a time series, else those that it contains, with their places."""
    import pynwb

    if isinstance(entry, pynwb.TimeSeries):
        yield place, entry
    else:
        for child in entry.children:
            yield from series_in(child, f"{place}/{child.name}")


def sample_times(series: TimeSeries, number: int, title: str) -> Float[np.ndarray, " sample"]:
    """When each sample was taken, in s, from explicit timestamps or from the rate."""
    if series.timestamps is not None:
        times = numeric(stored(series.timestamps, f"{title}: timestamps"), f"{title}: timestamps")
        return flat(times).astype(np.float64)
    if series.rate is None or not (np.isfinite(series.rate) and series.rate > 0):
        raise InputError(f"{title}: a rate of {series.rate} Hz and no timestamps; write one of the two.")
    return (series.starting_time or 0.0) + np.arange(number) / series.rate


def refuse_transposed(values: np.ndarray, times: Sequence[float] | np.ndarray, title: str) -> None:
    """Raise InputError where the first axis of the values is not time, as the format has it."""
    if values.ndim == 2 and values.shape[1] > values.shape[0] > 0 and len(times) in (values.shape[0], values.shape[1]):
        raise InputError(
            f"{title}: has {values.shape[0]} samples of {values.shape[1]} channels; is it transposed? The format has "
            "time first: write data[time, channel]."
        )
