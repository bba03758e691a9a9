"""Trials that share time: what is scored in one must not have been learned from in another."""

import numpy as np
from jaxtyping import Float, Int

from nlbprob.data.plausible import Table, ids
from nlbprob.data.windows import Windows, merge, touching_s
from nlbprob.errors import InputError


def keep_apart(table: Table, windows: Windows, drawn: bool, notes: list[str]) -> Table:
    """The table, its trials parted so that none lies inside one of another split; other shared time is noted.

    Args:
        table: with "id" and "split", one row a window.
        windows: of the trials, forward window included.
        drawn: whether the split was drawn, and may be changed: such trials are put into "train".
        notes: what was found is added.

    Raises:
        InputError: where a trial of one split repeats, or lies inside, one of another.
    """
    start, stop = windows.start, windows.scored_stop
    slack = windows.error_s + touching_s(stop, windows.single)
    outer = container(start, stop, slack, table["split"])
    if drawn:
        moved = np.zeros(len(start), dtype=bool)
        while (outer >= 0).any():
            inner = np.flatnonzero(outer >= 0)
            moved[np.r_[inner, outer[inner]]] |= table["split"][np.r_[inner, outer[inner]]] != "train"
            table = table | {"split": np.where(moved, "train", table["split"])}
            outer = container(start, stop, slack, table["split"])
        if moved.any():
            notes.append(f"{moved.sum()} trials share all their time with a trial of train, and are in train too")
    elif (outer >= 0).any():
        first, split = int(np.argmax(outer >= 0)), table["split"]
        raise InputError(
            f"split: trial {table['id'][first]} ({split[first]}) repeats or lies inside trial "
            f"{table['id'][outer[first]]} ({split[outer[first]]}), as do {(outer >= 0).sum()} trials in all, so that "
            "what is scored would be what was learned; give both one split, or leave one out (split 'none')."
        )
    note_repeats(table, windows, notes)
    note_shared(table, windows, slack, notes)
    return table


def container(
    start: Float[np.ndarray, " trial"],
    stop: Float[np.ndarray, " trial"],
    slack: Float[np.ndarray, " trial"],
    group: np.ndarray,
) -> Int[np.ndarray, " trial"]:
    """For each interval (s), give or take the slack, one of another group that it lies inside; -1 for none."""
    container_index = np.full(len(start), -1)
    for label in np.unique(group):
        inner, others = np.flatnonzero(group == label), np.flatnonzero(group != label)
        if not len(others):
            continue
        others = others[np.argsort(start[others], kind="stable")]
        reach = np.maximum.accumulate(stop[others])
        longest = np.maximum.accumulate(np.where(stop[others] == reach, np.arange(len(others)), 0))
        at = np.searchsorted(start[others], start[inner] + slack[inner], side="right") - 1
        inside = (at >= 0) & (reach[at] >= stop[inner] - slack[inner])
        container_index[inner[inside]] = others[longest[at[inside]]]
    return container_index


def note_repeats(table: Table, windows: Windows, notes: list[str]) -> None:
    """Note trials whose window is that of another trial."""
    spans = np.column_stack([windows.start, windows.stop])
    _, place, number = np.unique(spans, axis=0, return_inverse=True, return_counts=True)
    repeated = number[place.ravel()] > 1
    if repeated.any():
        notes.append(f"{repeated.sum()} trials have the same window as another: {ids(table, repeated)}")


def note_shared(table: Table, windows: Windows, slack: Float[np.ndarray, " trial"], notes: list[str]) -> None:
    """Note windows that reach into scored ones of another split, so that a score may be of bins that were learned."""
    scored, stop = np.column_stack([windows.start, windows.scored_stop]), windows.stop
    shared, forward = np.zeros((2, len(stop)))
    for split in np.unique(table["split"]):
        in_split = table["split"] == split
        learned = merge(scored[~in_split], 0.0)
        shared[in_split] = common_s(scored[in_split, 0], scored[in_split, 1], learned)
        forward[in_split] = common_s(scored[in_split, 1], stop[in_split], learned)
    for common, what, remedy in (
        (shared, "windows of {} trials overlap those", "scores there are of bins that were learned"),
        (
            forward,
            "forward windows of {} trials lie in windows",
            "forecasts there are scored on bins that were learned",
        ),
    ):
        some = common > slack
        if some.any():
            notes.append(
                f"{what.format(some.sum())} of another split, by up to {1000 * common.max():.4g} ms; {remedy}; choose "
                "shorter windows"
            )


def common_s(
    start: Float[np.ndarray, " trial"], stop: Float[np.ndarray, " trial"], merged: Float[np.ndarray, "interval 2"]
) -> Float[np.ndarray, " trial"]:
    """How long (s) each interval lies in the merged ones, which are ascending and apart."""
    if not len(merged):
        return np.zeros(len(start))
    length = np.diff(merged, axis=1).ravel()
    before = np.r_[0.0, np.cumsum(length)]

    def covered_until(times: np.ndarray) -> np.ndarray:
        at = np.searchsorted(merged[:, 0], times, side="right") - 1
        return np.where(at < 0, 0.0, before[at] + np.clip(times - merged[at, 0], 0, length[at]))

    return covered_until(stop) - covered_until(start)
