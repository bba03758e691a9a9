"""Spike trains that cannot be meant: trains or spikes that come twice, times in steps coarser than bins can divide.

Each check adds a note with numbers.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from nlbprob.data.clock import step_s
from nlbprob.data.plausible import NO_CHANCE
from nlbprob.data.units import Units

#: From such a fraction of a unit's spikes on, spikes at the time of another are worth a note.
OFTEN_TWICE = 0.05
#: So many of the last spikes show the step of a clock, which so many of their distances must be multiples of.
LAST, NEARLY_ALL = 1000, 0.95
#: Bins of so many steps, or more, hold nearly equal numbers of them.
MANY_STEPS = 20
#: How far a distance, or a bin, may be from a multiple of the step, in steps.
OFF = 0.05


def check_trains(units: Units, bin_ms: float | int, notes: list[str]) -> None:
    """Note units with equal spike times, spikes at equal times, and times in coarse steps."""
    names = units.columns["id"].tolist()
    trains = [times.tobytes() if len(times) >= NO_CHANCE else b"" for times in units.spike_times]
    notes.extend(alike(trains, names, "spike_times: units", "spike times"))
    twice = np.array([np.sum(np.diff(times) == 0) for times in units.spike_times])
    number = np.array([len(times) for times in units.spike_times])
    often = (twice >= NO_CHANCE) & (twice >= OFTEN_TWICE * number)
    if often.any():
        shown = ", ".join(str(names[unit]) for unit in np.flatnonzero(often)[:NO_CHANCE])
        notes.append(
            f"spike_times: {twice[often].sum()} of the {number[often].sum()} spikes of {often.sum()} units come at the "
            f"time of another spike of the unit, and count twice; were they merged twice? {shown}"
        )
    notes.extend(coarse(units.spike_times, bin_ms))


def alike(contents: Iterable[bytes], names: Sequence[object], what: str, of: str) -> list[str]:
    """A note about entries whose contents are equal, and not empty.

    Args:
        contents: of each entry.
        names: of the entries.
        what: what the note calls the entries.
        of: what the note calls their contents.
    """
    members: dict[bytes, list[str]] = {}
    for content, name in zip(contents, names, strict=True):
        members.setdefault(content, []).append(str(name))
    groups = [group for content, group in members.items() if content and len(group) > 1]
    if not groups:
        return []
    return [
        f"{what} {'; '.join(' and '.join(group) for group in groups[:NO_CHANCE])} have the same {of}; where one is "
        "held out and another is not, scores show what was copied: keep one of them"
    ]


def coarse(spike_times: Sequence[np.ndarray], bin_ms: float | int) -> list[str]:
    """A note about spike times (s) in steps of which bins hold unequal numbers."""
    last = np.unique(np.concatenate([times[-LAST:] for times in spike_times]))[-LAST:]
    apart = np.diff(last)
    apart = apart[apart > 4 * step_s(last[1:]).max(initial=0)]  # sums of decimals miss each other by a rounding
    step = float(apart.min(initial=np.inf))
    near = apart[apart < MANY_STEPS * step] / step
    share = bin_ms / 1000 / step
    if len(near) < LAST // 10 or share > MANY_STEPS or abs(share - max(round(share), 1)) < OFF:
        return []
    if np.mean(np.abs(near - np.round(near)) < OFF) < NEARLY_ALL:
        return []
    low = int(share)
    return [
        f"spike_times: come in steps of {1000 * step:.3g} ms, of which bins of {bin_ms:g} ms hold {low} or {low + 1}, "
        "so that counts rise and fall with them; choose a multiple of the step as bin_ms"
    ]
