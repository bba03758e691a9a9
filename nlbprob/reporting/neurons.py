"""Bits per spike of each held-out neuron."""

import numpy as np

from nlbprob.plot import style
from nlbprob.reporting.numbers import fixed, percent
from nlbprob.reporting.parts import Absent, Cell, Panel, Row, Section, Table
from nlbprob.reporting.view import View

TITLE = "Held-out neurons"


def section(view: View) -> Section | Absent:
    """Bits per spike of held-out neurons, sorted, over their spikes, and by area."""
    if not view.bits:
        return Absent(TITLE, "no neuron is held out" if not view.trials.heldout.any() else "none fired when scored")
    ids = view.trials.neurons["id"].astype(str)
    index = np.flatnonzero(np.isin(ids, list(view.bits)))
    bits, spikes = np.array([view.bits[ids[neuron]] for neuron in index]), view.spikes(index)
    silent = int(view.trials.heldout.sum()) - len(bits)
    reading = (
        f"co-bps of each held-out neuron alone, on {view.split}: 0 is no better than its mean rate, below 0 is worse. "
        "Neurons with few spikes scatter widely; the total, which the score pools, belongs to those on the right."
    ) + f" {silent} without a spike in these trials are left out." * bool(silent)
    panels = [ranked(bits), over_spikes(bits, spikes)]
    if view.areas is not None:
        panels.append(by_area(bits, view.areas[index]))
    return Section(TITLE, reading, panels, tables=[listed(view, index, bits, spikes)])


def listed(view: View, index: np.ndarray, bits: np.ndarray, spikes: np.ndarray) -> Table:
    """All of them, with their area where areas differ."""
    order = np.argsort(-bits, kind="stable")
    areas = [] if view.areas is None else [view.areas[index]]
    rows = [
        Row(
            f"neuron {view.trials.neurons['id'][index[place]]}",
            [
                *(Cell(str(area[place]), value=str(area[place])) for area in areas),
                Cell(f"{spikes[place]:,.0f}", value=float(spikes[place])),
                Cell(fixed(float(bits[place])), value=float(bits[place])),
            ],
        )
        for place in order
    ]
    columns = ["neuron", *["area"] * len(areas), "spikes scored", "co-bps (bits/spike)"]
    return Table(f"All {len(rows)} held-out neurons", columns, rows, folded=True)


def ranked(bits: np.ndarray) -> Panel:
    """Sorted values."""
    figure, axes = style.single(height=183)
    axes.plot(np.arange(1, len(bits) + 1), np.sort(bits)[::-1], "o", color=style.HELDOUT, markersize=2.7)
    axes.axhline(0, color=style.MUTED, linewidth=0.6, zorder=0)
    axes.set_ylim(trimmed(bits))
    style.whole(axes.xaxis)
    axes.set_xlabel("neuron, sorted")
    axes.set_ylabel("bits/spike")
    words = f"{int((bits > 0).sum())} of {len(bits)} neurons above 0"
    below = int((bits < trimmed(bits)[0]).sum())
    words += f", {below} below the range" * bool(below)
    best, middle, worst = (fixed(float(value)) for value in np.quantile(bits, [1, 0.5, 0]))
    seen = f"From {worst} to {best} bits per spike; median {middle}."
    return Panel(words, figure, f"Sorted bits per spike, {words}", seen)


def over_spikes(bits: np.ndarray, spikes: np.ndarray) -> Panel:
    """Values over the number of scored spikes."""
    figure, axes = style.single(height=183)
    style.log_axis(axes, "x", spikes)
    axes.plot(spikes, bits, "o", color=style.HELDOUT, markersize=2.7, alpha=0.8)
    axes.axhline(0, color=style.MUTED, linewidth=0.6, zorder=0)
    axes.set_ylim(trimmed(bits))
    axes.set_xlabel("spikes scored")
    axes.set_ylabel("bits/spike")
    most = np.argsort(-spikes)[: max(1, len(spikes) // 4)]
    part = percent(float(spikes[most].sum() / spikes.sum()))
    seen = (
        f"The quarter of these neurons with the most spikes fired {part} of them; the median there is "
        f"{fixed(float(np.median(bits[most])))} bits per spike."
    )
    return Panel("over the number of spikes", figure, "Bits per spike over the number of spikes scored", seen)


def by_area(bits: np.ndarray, areas: np.ndarray) -> Panel:
    """Values by area, the areas sorted by their median."""
    names = np.unique(areas)
    names = names[np.argsort([np.median(bits[areas == name]) for name in names])]
    figure, axes = style.single(height=max(92, 38 + 13 * len(names)), left=43)
    for place, name in enumerate(names):
        area_bits = bits[areas == name]
        axes.plot(area_bits, np.full(len(area_bits), place), "o", color=style.HELDOUT, markersize=2.7, alpha=0.6)
        axes.plot([np.median(area_bits)], [place], "|", color=style.INK, markersize=8.4, markeredgewidth=1.15)
    axes.axvline(0, color=style.MUTED, linewidth=0.6, zorder=0)
    axes.set_yticks(np.arange(len(names)), names)
    axes.set_xlim(trimmed(bits))
    axes.set_xlabel("bits/spike; line: median")
    ends = [f"{name} ({fixed(float(np.median(bits[areas == name])))})" for name in names[[-1, 0]]]
    seen = f"Highest median: {ends[0]}; lowest: {ends[1]}." if len(names) > 1 else ""
    return Panel("by area", figure, f"Bits per spike of held-out neurons in {len(names)} areas", seen)


def trimmed(bits: np.ndarray) -> tuple[float, float]:
    """A range that a neuron with hardly a spike does not stretch."""
    low, high = style.limits(bits)
    return max(low, -max(high, 0.1)), high
