"""Averages over trials, recorded and predicted, of held-out neurons."""

import numpy as np
from jaxtyping import Int
from matplotlib.axes import Axes

from nlbprob import plot
from nlbprob.plot import style
from nlbprob.plot.averages import neuron_name
from nlbprob.plot.trials import time_label
from nlbprob.reporting.parts import Absent, Key, Panel, Section
from nlbprob.reporting.view import View

#: Number of neurons shown.
SHOWN = 6


def section(view: View) -> Section | Absent:
    """PSTHs of the held-out neurons that the model predicts best."""
    neurons = informative(view)
    if not len(neurons):
        return Absent("Averages over trials", "no neuron is held out, so that no rate is a prediction")
    options = {"rates": view.rates, "on": view.split.split("+"), "neurons": neurons, "colors": view.colors}
    scored = int(view.scored.sum())
    if view.has_conditions:
        reading = (
            f"Each pair of plots is one of the {len(neurons)} held-out neurons with the most predicted bits: on the "
            f"left its recorded average by condition over all {view.trials.n_trials} trials, on the right the average "
            f"of the rates that the model infers for it in the {scored} {view.split} trials from the other neurons "
            "alone, both smoothed alike. The two should have the same shapes in the same order."
            + view.conditions_left_out
        )
        pairs = plot.psths(view.fit, view.trials, [pair() for _ in neurons], **options)
        panels = [side_by_side(view, neuron, two) for neuron, two in zip(neurons, pairs, strict=True)]
        return Section("Averages by condition", reading, panels, view.condition_key)
    reading = (
        f"Averages over the {scored} {view.split} trials of the {len(neurons)} held-out neurons with the most "
        "predicted bits: recorded, and as the model infers them from the other neurons alone, both smoothed alike. No "
        "condition was named, so that all trials are averaged."
    )
    drawn = plot.psths(view.fit, view.trials, [style.single(122, 32)[1] for _ in neurons], **options)
    panels = [alone(view, neuron, axes) for neuron, axes in zip(neurons, drawn, strict=True)]
    key = [Key(style.MUTED, "recorded", place=1), Key(style.MODEL, "model")]
    return Section("Averages over trials", reading, panels, key)


def informative(view: View) -> Int[np.ndarray, " neuron"]:
    """The held-out neurons with the most predicted bits, bits per spike times spikes."""
    heldout = np.flatnonzero(view.trials.heldout)
    ids = [str(identity) for identity in view.trials.neurons["id"][heldout]]
    total = np.array([view.bits.get(identity, -np.inf) for identity in ids]) * np.maximum(view.spikes(heldout), 1)
    return heldout[np.argsort(-total, kind="stable")[:SHOWN]]


def heading(view: View, neuron: int | np.integer) -> str:
    """The neuron in words, with its bits per spike."""
    identity = str(view.trials.neurons["id"][neuron])
    bits = f" · {view.bits[identity]:.2f} bits/spike" if identity in view.bits else ""
    return neuron_name(view.trials, neuron) + bits


def pair() -> tuple[Axes, Axes]:
    """Axes beside each other."""
    figure = style.blank(134)
    left, right = (style.axes_at(figure, left, 29, style.WIDTH - left - 98, 17) for left in (32, 145))
    return left, right


def side_by_side(view: View, neuron: int | np.integer, two: np.ndarray) -> Panel:
    """The panel of a neuron's pair of axes."""
    for axes, label in zip(two, ("recorded", "model"), strict=True):
        axes.set_title(label, fontsize=8, color=style.MUTED, pad=3)
        axes.set_xlabel("")
    figure = style.figure_of(two[0])
    figure.text(138 / style.WIDTH, 5 / 134, time_label(view.trials), ha="center", fontsize=8.4)
    name = heading(view, neuron)
    recorded, predicted = ([line.get_ydata() for line in axes.lines] for axes in two)
    return Panel(name, figure, f"Recorded and predicted averages by condition, {name}", alike(recorded, predicted))


def alone(view: View, neuron: int | np.integer, axes: Axes) -> Panel:
    """The panel of a neuron's axes."""
    axes.set_title("")
    axes.set_xlabel(time_label(view.trials))
    name = heading(view, neuron)
    recorded, predicted = ([line.get_ydata()] for line in axes.lines)
    label = f"Recorded and predicted average over trials, {name}"
    return Panel(name, style.figure_of(axes), label, alike(recorded, predicted))


def alike(recorded: list, predicted: list) -> str:
    """The correlation of recorded and predicted averages, and the highest of each, in Hz."""
    if len(recorded) != len(predicted):
        return "Not every condition has a scored trial."
    pair = np.array([np.concatenate(recorded), np.concatenate(predicted)], float)
    pair = pair[:, np.isfinite(pair).all(0)]
    if pair.shape[1] < 2 or not np.ptp(pair, axis=1).all():
        return ""
    peaks = " and ".join(f"{peak:.1f}" for peak in pair.max(1))
    words = f"The two correlate at {np.corrcoef(pair)[0, 1]:.2f}; their peaks are {peaks} Hz."
    return words.replace("-", "−")
