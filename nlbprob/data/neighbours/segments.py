"""Recordings in several segments, each with a clock of its own: one clock for all."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from nlbprob.data.neighbours.session import Table
from nlbprob.data.neighbours.signals import series_of, unnamed
from nlbprob.data.series import Series
from nlbprob.errors import InputError

#: What separates a segment from the next one on the common clock, in s.
APART_S = 1.0
#: The column of trials with the number of the segment of a trial, from 0.
COLUMN = "segment"


def laid_out(spans: Sequence[tuple[float, float]]) -> tuple[float, ...]:
    """What is added to the times of each segment, in s, so that each begins after the last one ended.

    Args:
        spans: first and last moment of each segment on its own clock, in s. The first segment keeps its clock.
    """
    offsets, end = [], -np.inf
    for first, last in spans:
        offsets.append(0.0 if not offsets else float(np.ceil(end + APART_S - first)))
        end = last + offsets[-1]
    return tuple(offsets)


def joined(segments: Sequence[np.ndarray], offsets: Sequence[float]) -> np.ndarray:
    """Times, or intervals, of all segments on the common clock."""
    return np.concatenate([values + offset for values, offset in zip(segments, offsets, strict=True)])


def moved(table: Table, offsets: Sequence[float], align: str) -> Table:
    """The trials on the common clock: their start, end and align event are moved with their segment.

    Raises:
        InputError: the column "segment" is missing or names no segment.
    """
    if len(offsets) < 2:
        return table
    number = len(offsets)
    if COLUMN not in table:
        raise InputError(
            f"trials: the recording has {number} segments, each with a clock of its own; give the trials a column "
            f"{COLUMN!r} (0 to {number - 1}), or hand over one segment."
        )
    segment = table[COLUMN]
    if segment.dtype.kind not in "iu" or not np.isin(segment, range(number)).all():
        raise InputError(f"trials: the column {COLUMN!r} must hold numbers from 0 to {number - 1}.")
    times = {name for name in ("start_time", "stop_time", align) if name in table}
    return table | {name: table[name] + np.asarray(offsets)[segment] for name in times}


def moved_series(signal: Any, name: str, offsets: Sequence[float]) -> Series:
    """A signal on the common clock: of several segments, a list with one for each.

    Raises:
        InputError: it is not one for each.
    """
    if len(offsets) < 2:
        return series_of(signal, name)
    signal = unnamed(signal)
    if not isinstance(signal, list) or len(signal) != len(offsets):
        raise InputError(f"behavior: give a list with one signal for each of the {len(offsets)} segments.")
    parts = [series_of(part, name) for part in signal]
    if len({part.channels for part in parts}) > 1:
        raise InputError("behavior: the signals of the segments differ in their channels.")
    times = joined([part.times for part in parts], offsets)
    return Series.from_samples(name, times, np.concatenate([part.values for part in parts]), parts[0].channels)
