"""Names of the groups in the benchmark's files: a data set, and its bin width where that is not 5 ms."""

import re
from collections.abc import Iterable

from nlbprob.data.nlb.facts import DATASETS, suffix
from nlbprob.errors import InputError, suggestion

#: The bin widths that the benchmark evaluates.
BIN_WIDTHS_MS = (5, 20)
#: Group -> its data set and bin width, in the order in which the benchmark evaluates.
GROUPS = {name + suffix(bin_ms): (name, bin_ms) for name in DATASETS for bin_ms in BIN_WIDTHS_MS}
#: A group as people write it: mc_maze_5, MC_Maze-20ms, mc_rtt_5.0_ms, mc_maze_20_split.
LOOSE = re.compile(
    f"(?P<dataset>{'|'.join(sorted(DATASETS, key=len, reverse=True))})"
    r"(_?(?P<width>\d{1,6}(\.\d{1,6})?)(_?ms)?)?(_split)?"
)


def parse_group(group: str) -> tuple[str, int]:
    """The data set and the bin width (ms) of a group. Raises InputError where the benchmark has none of that name."""
    if group not in GROUPS:
        raise InputError(unknown(group))
    return GROUPS[group]


def unknown(group: str) -> str:
    """The message about a group that the benchmark does not have, with its probable name."""
    if meant := LOOSE.fullmatch(group.strip().lower().replace("-", "_").replace(" ", "_")):
        width = float(meant["width"] or 5)
        right = meant["dataset"] + suffix(width)
        if right in GROUPS:
            return f"{group!r}: call the group of {width:g} ms bins {right!r}."
        return f"{group!r}: the benchmark evaluates bins of 5 and 20 ms, not of {width:g} ms."
    return f"{group[:100]!r} is no data set of the benchmark. {suggestion(group[:100], GROUPS)}"


def other_width(group: str, present: Iterable[str]) -> str | None:
    """The group of the same data set in the other bin width, where it is among those present."""
    dataset, _ = parse_group(group)
    others = {dataset + suffix(bin_ms) for bin_ms in BIN_WIDTHS_MS} - {group}
    return next(iter(others.intersection(present)), None)
