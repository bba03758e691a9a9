"""Spikes and inferred rates of single trials."""

import numpy as np
from jaxtyping import Float, Int

from nlbprob.reporting import style
from nlbprob.reporting.parts import Panel, Section
from nlbprob.reporting.view import View

#: Most rows of held-in and of held-out neurons, so that a row stays visible.
HELDIN_ROWS, HELDOUT_ROWS = 50, 25
#: Rows left empty between the two.
GAP = 2


def section(view: View) -> Section:
    """A raster above the rates of the same neurons, for a few scored trials."""
    heldin, heldout = chosen(view, ~view.trials.heldout, HELDIN_ROWS), chosen(view, view.trials.heldout, HELDOUT_ROWS)
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
    key = [(style.HELDOUT, "held-out neurons"), (style.HELDIN, "held-in neurons")] if len(heldout) else []
    panels = [panel(view, row, heldin, heldout) for row in view.examples]
    return Section("Single trials", reading, panels, key)


def chosen(view: View, among: np.ndarray, most: int) -> Int[np.ndarray, " neuron"]:
    """The neurons with the most spikes in the examples, sorted by when their mean rate there peaks."""
    spikes = view.trials.counts[view.examples].sum(axis=(0, 1), dtype=float)
    candidates = np.flatnonzero(among)
    kept = candidates[np.argsort(-spikes[candidates], kind="stable")[:most]]
    shortest = view.lengths[view.examples].min()
    peak = view.rates[view.examples, :shortest][..., kept].mean(0).argmax(0)
    return kept[np.argsort(peak, kind="stable")]


def stacked(
    values: Float[np.ndarray, "time neuron"], heldin: Int[np.ndarray, " heldin"], heldout: Int[np.ndarray, " heldout"]
) -> Float[np.ndarray, "row time four"]:
    """An image of values between 0 and 1: held-out neurons at the top, a gap, held-in neurons below."""
    below = style.tinted(values[:, heldin].T, style.HELDIN_IMAGE)
    if not len(heldout):
        return below
    above = style.tinted(values[:, heldout].T, style.HELDOUT_IMAGE)
    return np.concatenate([above, np.zeros((GAP, *above.shape[1:])), below])


def panel(view: View, row: int, heldin: Int[np.ndarray, " heldin"], heldout: Int[np.ndarray, " heldout"]) -> Panel:
    """One trial: its spikes, and the rates."""
    length = view.lengths[row]
    counts = np.where(view.trials.seen[row, :length], view.trials.counts[row, :length], 0).astype(float)
    peaks = view.rates[view.examples].max(axis=(0, 1))
    most = view.trials.counts[view.examples].max(axis=(0, 1))
    images = (
        stacked(counts / np.maximum(most, 1), heldin, heldout),
        stacked(view.rates[row, :length] / np.maximum(peaks, 1e-12), heldin, heldout),
    )
    rows = len(images[0])
    height = float(np.clip(2.6 * rows, 90, 190))
    figure = style.blank(2 * height + 66)
    edges = float(view.time[0]), float(view.time[length - 1])
    half = float(view.time[1] - view.time[0]) / 2 if len(view.time) > 1 else 0.5
    for place, (image, label) in enumerate(zip(images, ("spikes", "inferred rate"), strict=True)):
        bottom = 40 + (1 - place) * (height + 14)
        axes = style.axes_at(figure, 26, bottom, 10, 2 * height + 66 - bottom - height)
        axes.imshow(image, extent=(edges[0] - half, edges[1] + half, rows, 0))
        axes.set_yticks([])
        axes.set_ylabel(label)
        axes.spines[:].set_visible(False)
        axes.spines["bottom"].set_visible(True)
        if view.trials.forward_bins and length > view.trials.window_bins:
            axes.axvline(view.time[view.trials.window_bins] - half, color=style.MUTED, linewidth=1, linestyle="--")
        if place:
            axes.set_xlabel(view.time_label)
        else:
            axes.tick_params(labelbottom=False)
    name = view.name_of(row)
    words = f"Spikes and inferred rates of {len(heldin)} held-in and {len(heldout)} held-out neurons, {name}"
    return Panel(name, figure, words)
