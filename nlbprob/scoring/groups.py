"""Names of the groups in the benchmark's files: a data set, and its bin width where that is not 5 ms."""

from collections.abc import Iterable

from nlbprob.data.nlb.facts import DATASETS, suffix
from nlbprob.errors import InputError, suggestion

#: The bin widths that the benchmark evaluates.
BIN_WIDTHS_MS = (5, 20)
#: Group -> its data set and bin width, in the order in which the benchmark evaluates.
GROUPS = {name + suffix(bin_ms): (name, bin_ms) for name in DATASETS for bin_ms in BIN_WIDTHS_MS}


def parse_group(group: str) -> tuple[str, int]:
    """The data set and the bin width (ms) of a group. Raises InputError where the benchmark has none of that name."""
    if group not in GROUPS:
        raise InputError(unknown(group))
    return GROUPS[group]


def unknown(group: str) -> str:
    """Why the benchmark has no group of that name."""
    dataset, _, width = group.rpartition("_")
    if dataset in DATASETS and width.replace(".", "").isdigit():
        return f"{group!r}: the benchmark evaluates bins of 5 and 20 ms, not of {width} ms."
    return f"{group!r} is no data set of the benchmark. {suggestion(group, GROUPS)}"


def other_width(group: str, present: Iterable[str]) -> str | None:
    """The group of the same data set in the other bin width, where it is among those present."""
    dataset, _ = parse_group(group)
    others = {dataset + suffix(bin_ms) for bin_ms in BIN_WIDTHS_MS} - {group}
    return next(iter(others.intersection(present)), None)
