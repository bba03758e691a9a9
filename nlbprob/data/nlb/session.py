"""The train and the test file of a data set as one recording, on the benchmark's clock of 1 ms."""

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from nlbprob.data.nlb.facts import Dataset, facts
from nlbprob.data.nlb.files import find_pair
from nlbprob.data.nlb.part import Part, read_part
from nlbprob.errors import InputError


@dataclasses.dataclass(frozen=True, eq=False)
class Session:
    """Both recordings one after the other: the test file from 0 ms, then the train file, a gap between them.

    Attributes:
        files: the test and the train file.
        length_ms: length of the clock.
        neurons: columns of the units of the train file, in ascending order of "id": the order of the benchmark's
            arrays.
        spikes: of each unit, the number of the millisecond of every spike, ascending.
        recorded: of held-in (row 0) and held-out units (row 1), whether each millisecond lies in their obs_intervals.
        table: trials of the test file, then of the train file; "id" counts through both, "split" and other columns.
            What a file does not have is NaN or ''.
        times: the trials' columns of times, as timedelta64[ns] on this clock; NaT where there is none.
        behavior: the data set's time series, NaN where there is no sample.
        channels: their names, in ascending order.
    """

    dataset: Dataset
    files: tuple[Path, Path]
    length_ms: int
    neurons: dict[str, np.ndarray]
    spikes: tuple[Int[np.ndarray, " _"], ...]
    recorded: Bool[np.ndarray, "2 millisecond"]
    table: dict[str, np.ndarray]
    times: dict[str, np.ndarray]
    behavior: Float[np.ndarray, "millisecond channel"] | None
    channels: tuple[str, ...]

    @property
    def heldout(self) -> Bool[np.ndarray, " neuron"]:
        return self.neurons["heldout"]

    def mask(self, *splits: str) -> Bool[np.ndarray, " trial"]:
        """The trials of the named splits. Raises InputError where there is none."""
        mask = np.isin(self.table["split"], splits)
        if not mask.any():
            present = ", ".join(np.unique(self.table["split"]))
            raise InputError(f"{self.files[1]}: no trial is in split {' or '.join(splits)}; there are: {present}.")
        return mask

    def values(self, name: str) -> Float[np.ndarray, " trial"]:
        """A column of numbers or booleans as float64, NaN where it is missing."""
        column = self.table[name]
        if column.dtype.kind == "U":
            raise InputError(f"{self.files[1]}: the trials column {name!r} is text; the benchmark has numbers there.")
        return column.astype(np.float64)


def read(folder: str | os.PathLike, dataset: str) -> Session:
    """The recording of a data set, from a folder with its two files.

    Raises:
        FileNotFoundError: a file is missing.
        InputError: a file is of another data set, or lacks a column or series that the data set needs; the message
            names file, field and remedy.
    """
    dataset_facts = facts(dataset)
    train_file, test_file = find_pair(folder, dataset_facts)
    return join(
        dataset_facts, read_part(test_file, dataset_facts, "test"), read_part(train_file, dataset_facts, "train")
    )


def join(dataset: Dataset, test: Part, train: Part) -> Session:
    """The test recording, a gap, the train recording.

    The second begins at the next tenth of a second that is at least 50 ms after the last millisecond of the first.
    """
    begin_ms = int(np.ceil(((test.length_ms - 1) / 1000 + 0.05) * 10) * 100)
    length_ms = begin_ms + train.length_ms
    order = np.argsort(train.neurons["id"], kind="stable")
    spikes = [np.concatenate([times, train.spikes[unit] + begin_ms]) for unit, times in matched(test, train, order)]
    recorded = np.zeros((2, length_ms), dtype=bool)
    recorded[:, : test.length_ms] = test.recorded
    recorded[:, begin_ms:] = train.recorded
    behavior = None
    if train.behavior is not None:
        behavior = np.full((length_ms, train.behavior.shape[1]), np.nan)
        behavior[begin_ms:] = train.behavior
    shift = np.timedelta64(begin_ms, "ms")
    return Session(
        dataset=dataset,
        files=(test.file, train.file),
        length_ms=length_ms,
        neurons={name: column[order] for name, column in train.neurons.items()},
        spikes=tuple(spikes),
        recorded=recorded,
        table=stacked(test.table, train.table | {"id": train.table["id"] + len(test.table["id"])}),
        times=stacked(test.times, {name: column + shift for name, column in train.times.items()}),
        behavior=behavior,
        channels=train.channels,
    )


def matched(
    test: Part, train: Part, order: Int[np.ndarray, " neuron"]
) -> Iterator[tuple[int, Int[np.ndarray, " spike"]]]:
    """The units of the train file in the given order, each with its spikes in the test file.

    Raises:
        InputError: a unit of the test file is unknown, or one that is held in is missing there.
    """
    in_test = dict(zip(test.neurons["id"].tolist(), test.spikes, strict=True))
    for unit in order:
        name = train.neurons["id"][unit]
        if name not in in_test and not train.neurons["heldout"][unit]:
            raise InputError(
                f"{test.file}: unit {name}, held in in {train.file.name}, is missing; is it another session?"
            )
        yield int(unit), in_test.pop(name, train.spikes[unit][:0])
    for name in in_test:
        raise InputError(f"{test.file}: unit {name} is not in {train.file.name}; is it of another session?")


def stacked(above: dict[str, np.ndarray], below: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Two tables as one, NaN, NaT or '' where one of them lacks a column."""
    return {
        name: np.concatenate([filled(above, below, name), filled(below, above, name)]) for name in {**below, **above}
    }


def filled(table: dict[str, np.ndarray], other: dict[str, np.ndarray], name: str) -> np.ndarray:
    """A column of a table; where only the other has it, one without values."""
    if name in table:
        return table[name]
    number, kind = len(next(iter(table.values()))), other[name].dtype.kind
    if kind == "U":
        return np.full(number, "")
    return np.full(number, np.timedelta64("NaT", "ns") if kind == "m" else np.nan)
