"""What every recording in memory comes down to, whichever library holds it."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from nlbprob.data.tables import as_column
from nlbprob.data.units import Units
from nlbprob.errors import InputError, suggestion

Table = dict[str, np.ndarray]


def no_signal(name: str) -> Any:
    """For objects that hold spikes alone."""
    raise InputError(f"behavior: there is no signal {name!r} beside the spikes; hand the signal itself over.")


@dataclasses.dataclass(frozen=True, eq=False)
class Session:
    """The spikes of one recording, and what else the object holds.

    Attributes:
        kind: what the object is, for messages.
        neurons: "id" and other columns, one value a unit.
        spike_times: of each unit, in s.
        observed: of each unit, intervals [interval, (start, stop)] in s; None: recorded throughout.
        tables: tables of trials by name, in any form that `trial_table` takes.
        signal: a signal by its name, in any form that `series_of` takes.
        offsets: where each segment begins on the common clock, in s, for a recording in several segments.
    """

    kind: str
    neurons: Table
    spike_times: Sequence[np.ndarray]
    observed: Sequence[np.ndarray | None]
    tables: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    signal: Callable[[str], Any] = no_signal
    offsets: tuple[float, ...] = ()

    def units(self) -> Units:
        """The units. Raises InputError where their ids or times are of no use."""
        number = len(self.spike_times)
        columns = {name: as_column(values, number, f"neurons[{name!r}]") for name, values in self.neurons.items()}
        return Units.from_lists(columns, self.spike_times, self.observed)

    def table(self, name: str) -> Any:
        """The table of trials of that name, or the only one where the default name "trials" fits none.

        Raises:
            InputError: there is none.
        """
        if name in self.tables:
            return self.tables[name]
        if name == "trials" and len(self.tables) == 1:
            return next(iter(self.tables.values()))
        if self.tables:
            raise InputError(f"intervals: no table of trials {name!r}. {suggestion(name, self.tables)}")
        raise InputError(
            "no trials; hand them over (trials=a table with start_time and stop_time in s, or (starts, stops)), or cut "
            "the recording into pieces (chunk_ms=1000)."
        )
