"""SpikeInterface: a sorting or a sorting analyzer, whose properties are columns of neurons."""

from typing import Any

import numpy as np
from jaxtyping import Float

from nlbprob.data.neighbours.neurons import neuron_columns
from nlbprob.data.neighbours.segments import joined, laid_out
from nlbprob.data.neighbours.session import Session
from nlbprob.data.neighbours.tables import scalar_columns

GAP = 1.5  # samples further apart than this many sampling intervals have a gap between them


def takes(source: Any) -> bool:
    """Whether it is a sorting, or holds one as an analyzer does."""
    return hasattr(getattr(source, "sorting", source), "get_unit_spike_train")


def session(source: Any) -> Session:
    """The units of a sorting or an analyzer; quality metrics, where they were computed, are columns too."""
    sorting = getattr(source, "sorting", source)
    recording = recording_of(source)
    ids, segments = np.asarray(sorting.unit_ids), range(sorting.get_num_segments())
    times = [[spike_times(sorting, recording, unit, segment) for unit in ids] for segment in segments]
    observed = [None if recording is None else recorded(recording, segment) for segment in segments]
    spans = [span(*pair) for pair in zip(times, observed, strict=True)]
    offsets = laid_out(spans)
    trains = [joined([of_segment[unit] for of_segment in times], offsets) for unit in range(len(ids))]
    intervals = None if recording is None else joined([rows for rows in observed if rows is not None], offsets)
    columns = {name: sorting.get_property(name) for name in sorting.get_property_keys()}
    columns = scalar_columns(columns, len(ids)) | metrics(source, ids) | {"id": ids}
    kind = f"SpikeInterface {type(source).__name__}"
    return Session(kind, columns, trains, [intervals] * len(ids), offsets=offsets)


def recording_of(source: Any) -> Any:
    """The recording that was sorted, which knows the clock; None where it was not kept with the sorting."""
    if not source.has_recording():
        return None
    # A sorting has no public name for the recording registered with it.
    return source.recording if hasattr(source, "recording") else getattr(source, "_recording", None)


def spike_times(sorting: Any, recording: Any, unit: Any, segment: int) -> Float[np.ndarray, " spike"]:
    """Spike times of a unit in s on the segment's clock."""
    if recording is not None:
        frames = sorting.get_unit_spike_train(unit, segment_index=segment)
        return np.asarray(recording.sample_index_to_time(frames, segment_index=segment), dtype=np.float64)
    if hasattr(sorting, "get_unit_spike_train_in_seconds"):
        return np.asarray(sorting.get_unit_spike_train_in_seconds(unit, segment_index=segment))
    return np.asarray(sorting.get_unit_spike_train(unit, segment_index=segment, return_times=True))


def recorded(recording: Any, segment: int) -> Float[np.ndarray, "interval 2"]:
    """The intervals in which samples were taken, in s: one, or those between the gaps of a time vector."""
    step = 1 / recording.get_sampling_frequency()
    if not recording.has_time_vector(segment):
        last = recording.get_num_samples(segment) - 1
        first, end = (float(recording.sample_index_to_time(at, segment_index=segment)) for at in (0, last))
        return np.array([[first, end + step]])
    times = recording.get_times(segment_index=segment)
    breaks = np.flatnonzero(np.diff(times) > GAP * step)
    return np.column_stack([times[np.r_[0, breaks + 1]], times[np.r_[breaks, len(times) - 1]] + step])


def span(times: list[np.ndarray], observed: np.ndarray | None) -> tuple[float, float]:
    """First and last moment of a segment: of the recording, or of its spikes where it is not known."""
    ends = [train[[0, -1]] for train in times if len(train)] if observed is None else [observed.ravel()]
    return (float(np.min(ends)), float(np.max(ends))) if ends else (0.0, 0.0)


def metrics(source: Any, ids: np.ndarray) -> dict[str, np.ndarray]:
    """Quality metrics of an analyzer, by name."""
    extension = source.get_extension("quality_metrics") if hasattr(source, "get_extension") else None
    return {} if extension is None else neuron_columns(extension.get_data(), ids)
