"""One call for whatever holds a recording in memory: found by its kind, and binned as a file is."""

import dataclasses
from collections.abc import Iterable
from types import ModuleType
from typing import Any

import numpy as np

from nlbprob.data.assemble import assemble
from nlbprob.data.columns import Columns, demand
from nlbprob.data.neighbours import neo, plain, pynapple, spikeinterface, temporaldata
from nlbprob.data.neighbours.neurons import neuron_columns
from nlbprob.data.neighbours.segments import moved, moved_series
from nlbprob.data.neighbours.session import Session, Table
from nlbprob.data.neighbours.tables import trial_table
from nlbprob.data.opening import naming
from nlbprob.data.pieces import cut as cut_into_pieces
from nlbprob.data.series import Series
from nlbprob.data.trials import Trials
from nlbprob.data.units import Units
from nlbprob.errors import InputError

#: Each recognises its objects; containers of plain spike times come last, as others are containers too.
NEIGHBOURS: tuple[ModuleType, ...] = (spikeinterface, neo, pynapple, temporaldata, plain)
FORMS = (
    "a path, an address, an open binary file, h5py.File, NWBHDF5IO or NWBFile, {id: spike times in s}, a table of "
    "units, a pynapple TsGroup, a SpikeInterface sorting or analyzer, neo spike trains, or a temporaldata Data"
)


@dataclasses.dataclass(frozen=True)
class Given:
    """What is handed over beside the recording; None: what the recording itself holds."""

    trials: Any = None
    neurons: Any = None
    behavior: Any = None

    @property
    def anything(self) -> bool:
        """Whether anything is."""
        return any(value is not None for value in (self.trials, self.neurons, self.behavior))


def load_session(source: Any, options: dict[str, Any], inputs: Given) -> Trials:
    """The spikes of a recording in memory, in bins of its trials.

    Args:
        source: the recording.
        options: as `nlbprob.data.options.resolve` returns them.
        given: tables and signals given beside it.

    Raises:
        InputError: the object is of no kind that is known, or holds no trials and none are given; and as `assemble`
            does.
    """
    session = session_of(source)
    with naming(session.kind):
        units = with_columns(session.units(), inputs.neurons)
        if options["chunk_ms"] is None:
            table = table_of(session, inputs.trials, options)
        elif len(session.offsets) > 1:
            raise InputError("chunk_ms: the recording has several segments; hand over one, or give trials.")
        else:
            table = cut(units, inputs.trials, options)
        return assemble(units, table, series(session, inputs.behavior, options), options, None)


def session_of(source: Any) -> Session:
    """The object as a `Session`. Raises InputError where it is of no kind that is known."""
    if hasattr(source, "parent") and hasattr(source, "file"):
        raise InputError(
            f"a {type(source).__name__} is a part of a file, and its trials may lie in another; hand over the whole "
            "file, group.file, or its path."
        )
    for neighbour in NEIGHBOURS:
        if neighbour.takes(source):
            return neighbour.session(source)
    what = type(source).__name__
    if isinstance(source, list | tuple) and source:
        what += f" of {type(source[0]).__name__}"
    raise InputError(f"a recording is {FORMS}, not a {what}. {advice(source)}".rstrip())


def advice(source: Any) -> str:
    """What to do with an object that holds no spikes of units, where that is known."""
    if isinstance(source, Trials):
        return "These are Trials already."
    if isinstance(source, Iterable) and any(hasattr(entry, "spiketrains") for entry in source):
        return "Hand over the neo Block that holds the segments, or one segment."
    if hasattr(source, "get_ancestor"):
        return "Hand over the NWBFile that holds it."
    if isinstance(source, list | tuple):
        return "Load each file, and join the recordings with nlb.stitch."
    if hasattr(source, "get_traces"):
        return "Traces must be spike sorted first; hand over the sorting."
    if hasattr(source, "time_support") and hasattr(source, "t"):
        return "Put the spikes of each unit into a TsGroup."
    if isinstance(source, np.ndarray):
        return "Counts that are in bins already are taken by Trials.from_arrays."
    return ""


def with_columns(units: Units, neurons: Any) -> Units:
    """The units with the columns of a table, or None, that is handed over beside them."""
    if neurons is None:
        return units
    return dataclasses.replace(units, columns=units.columns | neuron_columns(neurons, units.columns["id"]))


def table_of(session: Session, trials: Any, options: dict[str, Any]) -> Table:
    """The trials that are handed over, or else those that the recording holds, on the recording's clock."""
    if isinstance(trials, str):
        raise InputError(f"trials: takes a table; a table {trials!r} inside the recording is named by intervals.")
    table = trial_table(session.table(options["intervals"]) if trials is None else trials)
    demand_columns(table, options)
    return moved(dict(table), session.offsets, options["align"])


def demand_columns(table: Columns, options: dict[str, Any]) -> None:
    """Raise InputError where an option names a column of trials without one value a row."""
    by_option = {name: [options[name]] for name in ("align", "split")} | {"condition": options["condition"]}
    demand(table, by_option, "the trials")


def cut(units: Units, trials: Any, options: dict[str, Any]) -> Table:
    """Pieces of the recording in place of trials. Raises InputError where there are trials too."""
    if trials is not None:
        raise InputError("chunk_ms: trials are given, so there is nothing to cut; leave out one of the two.")
    return cut_into_pieces(units, options["chunk_ms"], options["bin_ms"])


def series(session: Session, behavior: Any, options: dict[str, Any]) -> Series | None:
    """The signal that is handed over, or else the one of that name in the recording, on the recording's clock."""
    name = options["behavior"]
    if name is None:
        return None
    signal = session.signal(name) if behavior is None or isinstance(behavior, str) else behavior
    return moved_series(signal, name, session.offsets)
