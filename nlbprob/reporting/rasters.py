"""Spikes and inferred rates of single trials."""

import numpy as np
from matplotlib.axes import Axes

from nlbprob import plot
from nlbprob.plot import style
from nlbprob.plot.spikes import GAP, rows_shown
from nlbprob.reporting.numbers import counted
from nlbprob.reporting.parts import Key, Panel, Section
from nlbprob.reporting.view import View


def section(view: View) -> Section:
    """A raster above the rates of the same neurons, for a few scored trials."""
    heldin, heldout = rows_shown(view.trials.select(trials=view.examples), view.rates[view.examples])
    total = len(heldin) + len(heldout)
    most = f"the {total} neurons with the most spikes there" if total < view.trials.n_neurons else "all neurons"
    hidden = (
        f" The {len(heldout)} rows above the gap are held-out neurons: the model never saw these spikes, "
        "and infers their rates from the other neurons."
    )
    reading = (
        f"Single {view.split} trials: spikes above, the rates inferred for the same neurons below. A row is a neuron "
        f"({most}, those that peak early at the top); the stronger the color, the more spikes in the bin or the higher "
        "the rate, each row scaled to its own peak." + hidden * bool(len(heldout))
    )
    both = [Key(style.HELDOUT, "held-out neurons", "area"), Key(style.HELDIN, "held-in neurons", "area")]
    pairs = [two(len(heldin) + (GAP + len(heldout)) * bool(len(heldout))) for _ in view.examples]
    plot.rasters(view.fit, view.trials, pairs, rates=view.rates, which=view.examples)
    words = f"Spikes and inferred rates of {len(heldin)} held-in and {len(heldout)} held-out neurons"
    panels = [
        Panel.of(above, f"{words}, {above.get_title(loc='left')}", seen(view, row))
        for (above, _), row in zip(pairs, view.examples, strict=True)
    ]
    return Section("Single trials", reading, panels, both if len(heldout) else [])


def seen(view: View, row: int) -> str:
    """Spikes in a trial beside those that its rates expect, of the held-out neurons where there are any."""
    trials, heldout = view.trials, view.trials.heldout
    which = heldout if heldout.any() else np.ones_like(heldout)
    inside = trials.seen[row][:, which]
    fired = int(trials.counts[row][:, which].sum(where=inside, dtype=float))
    expected = float(view.rates[row][:, which].sum(where=inside))
    what = "Held-out neurons" if heldout.any() else "All neurons"
    return f"{what} fired {counted(fired, 'spike')} in this trial; their rates expect {expected:,.0f}."


def two(rows: int) -> tuple[Axes, Axes]:
    """Axes above each other, in which so many rows are visible."""
    height = float(np.clip(2 * rows, 69, 145))
    whole = 2 * height + 50
    figure = style.blank(whole)
    above, below = (style.axes_at(figure, 20, bottom, 8, whole - bottom - height) for bottom in (41 + height, 30))
    return above, below
