"""pynapple: a `TsGroup`, whose metadata are columns of neurons."""

from typing import Any

import numpy as np
from jaxtyping import Float

from nlbprob.data.neighbours.quantities import seconds
from nlbprob.data.neighbours.session import Session
from nlbprob.data.neighbours.tables import scalar_columns, untouched_ends


def takes(source: Any) -> bool:
    """Whether it is a TsGroup."""
    return hasattr(source, "time_support") and hasattr(source, "metadata_columns") and hasattr(source, "keys")


def session(source: Any) -> Session:
    """The units of a TsGroup, recorded in its time support; "rate" is left out, which is worked out again."""
    ids = np.asarray(source.index)
    columns = {name: np.asarray(source.get_info(name)) for name in source.metadata_columns if name != "rate"}
    times = [seconds(source[unit], f"unit {unit}") for unit in ids.tolist()]
    support = intervals(source.time_support)
    observed = [None if merely_spikes(support, times) else support] * len(ids)
    return Session("pynapple TsGroup", scalar_columns(columns, len(ids)) | {"id": ids}, times, observed)


def intervals(support: Any) -> Float[np.ndarray, "interval 2"]:
    """An IntervalSet as rows (start, stop)."""
    return np.column_stack([support.start, untouched_ends(support.start, support.end)])


def merely_spikes(support: Float[np.ndarray, "interval 2"], times: list[np.ndarray]) -> bool:
    """Whether the support only reaches from the first spike to the last, as it does where nobody stated it.

    A recording starts before its first spike: bins before that were seen, without a spike.
    """
    ends = np.concatenate([train[[0, -1]] for train in times if len(train)] or [np.zeros(0)])
    return len(ends) > 0 and np.array_equal(support, [[ends.min(), ends.max()]])
