"""neo: a spike train, a list of them, a `Segment` or a `Block`."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from nlbprob.data.neighbours.quantities import seconds
from nlbprob.data.neighbours.segments import COLUMN, joined, laid_out
from nlbprob.data.neighbours.session import Session, Table
from nlbprob.data.neighbours.tables import scalar_columns, trial_table
from nlbprob.errors import InputError, suggestion

#: Annotations that hold the id of a unit.
IDS = ("id", "unit_id")


def takes(source: Any) -> bool:
    """Whether it is a Block, a Segment, or one or several spike trains."""
    if is_train(source) or (
        hasattr(source, "annotations") and (hasattr(source, "segments") or hasattr(source, "epochs"))
    ):
        return True
    several = isinstance(source, list | tuple) or type(source).__name__ == "SpikeTrainList"
    return several and len(source) > 0 and all(is_train(train) for train in source)


def is_train(thing: Any) -> bool:
    """Whether it is a spike train: times with a unit, between a start and a stop."""
    return hasattr(thing, "t_stop") and hasattr(thing, "left_sweep")


def loaded(thing: Any) -> Any:
    """The object itself, where only a place holder of it was read from a file."""
    return thing.load() if hasattr(thing, "load") else thing


def session(source: Any) -> Session:
    """The units of spike trains, each recorded from its t_start to its t_stop.

    Trials are the epochs of the segments or, where a block has several segments and no epoch, these.

    Raises:
        InputError: the segments differ in their units.
    """
    parts = segments_of(source)
    held = list(getattr(source, "segments", [source] if hasattr(source, "spiketrains") else []))
    spans = [observed(train)[0] for trains in parts for train in trains]
    number = len(parts[0])
    if not number or any(len(trains) != number for trains in parts):
        raise InputError(
            f"spike trains of the segments: {[len(trains) for trains in parts]}; all must hold the same units."
        )
    by_part = [spans[at : at + number] for at in range(0, len(spans), number)]
    offsets = laid_out([(float(np.min(part)), float(np.max(part))) for part in by_part])
    times = [joined([seconds(trains[unit], "spike train") for trains in parts], offsets) for unit in range(number)]
    intervals = [joined([observed(trains[unit]) for trains in parts], offsets) for unit in range(number)]
    return Session(
        f"neo {type(source).__name__}",
        columns_of_trains(parts),
        times,
        intervals,
        tables(held, by_part),
        lambda name: signal(held, name),
        offsets,
    )


def segments_of(source: Any) -> list[list[Any]]:
    """The spike trains of each segment, loaded."""
    if hasattr(source, "segments"):
        parts = [list(segment.spiketrains) for segment in source.segments]
    else:
        parts = [[source] if is_train(source) else list(getattr(source, "spiketrains", source))]
    if not any(parts):
        raise InputError("no spike trains; sort the spikes first, or hand over the segment that holds them.")
    return [[loaded(train) for train in trains] for trains in parts]


def observed(train: Any) -> Float[np.ndarray, "one 2"]:
    """The interval in which a spike train was recorded, in s."""
    return np.array([[float(train.t_start.rescale("s")), float(train.t_stop.rescale("s"))]])


def columns_of_trains(parts: Sequence[Sequence[Any]]) -> Table:
    """Annotations that every spike train has, and ids: an annotation, else the trains' names, else numbers from 0.

    Raises:
        InputError: the trains of a segment have other ids than those of the first.
    """
    tables = [columns_of_segment(trains) for trains in parts]
    for at, table in enumerate(tables):
        if not np.array_equal(table["id"], tables[0]["id"]):
            raise InputError(
                f"segment {at} holds other units than the first, or in another order; put them in one order."
            )
    return tables[0]


def columns_of_segment(trains: Sequence[Any]) -> Table:
    """Columns of the units of one segment."""
    number = len(trains)
    shared = [name for name in trains[0].annotations if all(name in train.annotations for train in trains)]
    columns = scalar_columns({name: [train.annotations[name] for train in trains] for name in shared}, number)
    names = [train.name for train in trains]
    if all(names):
        columns = {"name": np.array(names)} | columns
    ids = [columns[name] for name in (*IDS, "name") if name in columns and len(set(columns[name].tolist())) == number]
    return columns | {"id": ids[0] if ids else np.arange(number)}


def tables(held: Sequence[Any], spans: Sequence[Any]) -> dict[str, Table]:
    """Trials by the name of their epochs; or the segments themselves, with their annotations."""
    by_name: dict[str, list[Table]] = {}
    for at, segment in enumerate(held):
        for epoch in map(loaded, segment.epochs):
            if len(epoch):
                table = trial_table(epoch)
                marked = table | ({COLUMN: np.full(len(table["id"]), at)} if len(held) > 1 else {})
                by_name.setdefault(epoch.name or "trials", []).append(marked)
    if not by_name and len(held) > 1:
        shared = [name for name in held[0].annotations if all(name in segment.annotations for segment in held)]
        annotations = scalar_columns(
            {name: [segment.annotations[name] for segment in held] for name in shared}, len(held)
        )
        first, last = (np.array([pick(part) for part in spans], dtype=np.float64) for pick in (np.min, np.max))
        rows = {"id": np.arange(len(held)), COLUMN: np.arange(len(held)), "start_time": first, "stop_time": last}
        return {"trials": annotations | rows}
    return {name: stacked(parts) for name, parts in by_name.items()}


def stacked(parts: Sequence[Table]) -> Table:
    """The rows of several tables, with the columns that all have, numbered anew."""
    if len(parts) == 1:
        return parts[0]
    shared = [name for name in parts[0] if all(name in part for part in parts)]
    table = {name: np.concatenate([part[name] for part in parts]) for name in shared}
    return table | {"id": np.arange(len(table["start_time"]))}


def signal(held: Sequence[Any], name: str) -> Any:
    """The analog signal of that name, one for each segment. Raises InputError where a segment has none."""
    matching, every = [], []
    for segment in held:
        signals = [*segment.analogsignals, *segment.irregularlysampledsignals]
        every += [str(one.name) for one in signals]
        matching += [loaded(one) for one in signals if one.name == name][:1]
    if len(matching) != len(held) or not held:
        raise InputError(f"behavior: no signal {name!r} in each segment. {suggestion(name, dict.fromkeys(every))}")
    return matching[0] if len(matching) == 1 else matching
