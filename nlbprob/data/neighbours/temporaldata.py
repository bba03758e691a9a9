"""temporaldata: a `Data` with spikes, units, trials and signals."""

from typing import Any

import numpy as np

from nlbprob.data.neighbours.pynapple import merely_spikes
from nlbprob.data.neighbours.session import Session
from nlbprob.data.neighbours.signals import only_field
from nlbprob.data.neighbours.tables import scalar_columns
from nlbprob.errors import InputError, suggestion


def takes(source: Any) -> bool:
    """Whether it is a Data with spikes."""
    return hasattr(source, "domain") and hasattr(source, "spikes") and hasattr(source.spikes, "unit_index")


def session(source: Any) -> Session:
    """The spikes of a Data by unit, recorded in their domain, or that of all data.

    Raises:
        InputError: a spike is of a unit that is not listed.
    """
    owner, times = np.asarray(source.spikes.unit_index), np.asarray(source.spikes.timestamps, dtype=np.float64)
    units = getattr(source, "units", None)
    names = units.keys() if units is not None else []
    number = int(owner.max(initial=-1)) + 1 if units is None or not names else len(units)
    if owner.size and not 0 <= owner.min() <= owner.max() < number:
        raise InputError(f"spikes.unit_index: from {owner.min()} to {owner.max()}, for {number} units; count from 0.")
    columns = scalar_columns({name: getattr(units, name) for name in names}, number)
    trains = [times[owner == unit] for unit in range(number)]
    observed = [domain_of(source, trains)] * number
    columns = {"id": np.arange(number)} | columns
    return Session("temporaldata Data", columns, trains, observed, tables(source), lambda name: signal(source, name))


def domain_of(source: Any, trains: list[np.ndarray]) -> np.ndarray | None:
    """When spikes were recorded: the first domain stated, of the spikes or of all; None where neither was."""
    for domain in (source.spikes.domain, source.domain):
        if domain is None or not len(domain.start):
            continue
        rows = np.column_stack([domain.start, domain.end])
        if not merely_spikes(rows, [np.sort(train) for train in trains]):
            return rows
    return None


def tables(source: Any) -> dict[str, Any]:
    """The intervals that a Data holds at its top level, by name."""
    held = {name: getattr(source, name) for name in source.keys()}  # noqa: SIM118 an object without iteration
    return {name: value for name, value in held.items() if hasattr(value, "start") and hasattr(value, "select_by_mask")}


def signal(source: Any, name: str) -> Any:
    """A signal by its place, such as "cursor.vel", or "cursor" where that has one field.

    Raises:
        InputError: there is none.
    """
    parent, *last = name.rsplit(".", 1)
    for place, field in ((name, None), (parent, last[0] if last else None)):
        try:
            series = source.get_nested_attribute(place)
        except (AttributeError, KeyError):
            continue
        if hasattr(series, "timestamps"):
            field = field or only_field(series, place)
            if hasattr(series, field):
                return series.timestamps, getattr(series, field)
    every = [name for name in source.keys() if hasattr(getattr(source, name), "timestamps") and name != "spikes"]  # noqa: SIM118
    raise InputError(
        f"behavior: no signal {name!r}; name it by its place, as in 'cursor.vel'. {suggestion(name, every)}"
    )
