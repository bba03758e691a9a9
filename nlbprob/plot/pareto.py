"""The Pareto front: accuracy beside parsimony."""

from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes

import nlbprob.plot.style as style
from nlbprob.arguments import one_of
from nlbprob.parsimony.classes import CLASSES
from nlbprob.parsimony.front import MEASURES, Front, FrontEntry, label

#: Width on the right for the names of published entries, over that of what is drawn.
ROOM = 0.5
#: How far above published entries the fits of a class stand, in rows.
LIFT = 0.28


class Shown(NamedTuple):
    """A fit that has a place in the figure: its number, its co-bps, and the fit."""

    number: str
    bits: float
    entry: FrontEntry


@style.drawing_front
def pareto(front: Front, ax: Any = None, *, measure: str = "effective_dimension") -> np.ndarray:
    """Accuracy (co-bps) across; above, a measure of parsimony of each fit; below, its class beside published entries.

    Fits have 90% intervals as bars, and numbers, which the legend explains. Filled ones are efficient: no other fit is
    as good in both and better in one; a line joins these. Of the published entries of a class, in gray, the best has
    its name.

    Args:
        front: what `nlb.pareto` returned.
        ax: two Axes to draw in; None makes a figure 3.5 inches wide.
        measure: "effective_dimension", "description_bits", "stability", "few_shot" or "cycle_consistency".

    Returns:
        The two Axes.

    Raises:
        InputError: there is no such measure.
    """
    measure = one_of(measure, MEASURES, "plot.pareto", "measure")
    above, below = array = style.placed(ax, (2,), "pareto", height=2.5)
    numbered = [(f"{place + 1}", each.co_bps, each) for place, each in enumerate(front.fits)]
    shown = [Shown(number, bits, each) for number, bits, each in numbered if bits is not None]
    draw_measure(above, front, shown, measure)
    draw_classes(below, front, shown)
    ends = [end for each in shown for end in (each.bits, *(each.entry.interval or ()))]
    low, high = style.limits([*ends, *(each.co_bps for each in front.published if each.co_bps is not None)])
    for axes in array:
        axes.set_xlim(low, high + ROOM * (high - low) * bool(front.published))
    below.set_xlabel("co-bps (bits/spike)")
    if ax is None:
        for each in shown:
            point(above, Shown("", np.nan, each.entry), np.nan, True, label=f"{each.number}  {each.entry.name}")
        style.add_legend(array, columns=2)
    return array


def draw_measure(axes: Axes, front: Front, shown: list[Shown], measure: str) -> None:
    """A measure over co-bps of each fit; the better end is at the top."""
    known = [each for each in shown if measure in each.entry.measures]
    efficient = front.efficient(measure)
    line = sorted((each.bits, each.entry.measures[measure]) for each in known if each.entry.name in efficient)
    if len(line) > 1:
        across, up = np.array(line).T
        axes.step(across, up, where="pre", color=style.LINE, linewidth=1.0, zorder=0)
    for each in known:
        point(axes, each, each.entry.measures[measure], each.entry.name in efficient)
    axes.set_ylim(style.limits([each.entry.measures[measure] for each in known], 0.15))
    if MEASURES[measure].less_is_better:
        axes.invert_yaxis()
    axes.set_ylabel(label(measure))
    axes.text(1, 1, "better \N{NORTH EAST ARROW}", transform=axes.transAxes, ha="right", va="top", color=style.MUTED)


def draw_classes(axes: Axes, front: Front, shown: list[Shown]) -> None:
    """The class over co-bps of each fit, and of published entries in gray."""
    present = {each.dynamics for each in [*front.published, *(each.entry for each in shown)]}
    rows = {name: -place for place, name in enumerate(name for name in CLASSES if name in present)}
    for name, height in rows.items():
        known = [(each.co_bps, each.name) for each in front.published if each.dynamics == name and each.co_bps]
        axes.plot([bits for bits, _ in known], [height] * len(known), "o", color=style.MUTED, markersize=3.2)
        if known:
            best, best_name = max(known)
            text = {"textcoords": "offset points", "va": "center", "fontsize": 7, "color": style.MUTED}
            axes.annotate(best_name, (best, height), (4, 0), **text)
    for each in shown:
        point(axes, each, rows[each.entry.dynamics] + LIFT * bool(front.published), True)
    axes.set_yticks(list(rows.values()), list(rows))
    axes.set_ylim(min(rows.values(), default=0) - 0.7, 0.7)
    axes.tick_params(axis="y", length=0)


def point(axes: Axes, each: Shown, height: float, filled: bool, **options: Any) -> None:
    """One fit with its interval and its number; hollow where it is not efficient."""
    if each.number and each.entry.interval is not None:
        axes.plot(each.entry.interval, [height, height], color=style.MODEL, alpha=0.6, linewidth=0.8)
    face = style.MODEL if filled else "none"
    axes.plot([each.bits], [height], "o", color=style.MODEL, markerfacecolor=face, markersize=4.2, **options)
    if each.number:
        axes.annotate(each.number, (each.bits, height), (3, 3), textcoords="offset points", fontsize=8)
