"""Averages over trials, recorded and predicted, of held-out neurons."""

import numpy as np
from jaxtyping import Int

from nlbprob.reporting import style
from nlbprob.reporting.parts import Absent, Panel, Section
from nlbprob.reporting.view import View

#: Number of neurons shown.
SHOWN = 6


def section(view: View) -> Section | Absent:
    """PSTHs of the held-out neurons that the model tells most about."""
    neurons = informative(view)
    if not len(neurons):
        return Absent("Averages over trials", "no neuron is held out, so that no rate is a prediction")
    scored = int(view.scored.sum())
    recorded = view.smoothed(neurons)
    if view.has_conditions:
        reading = (
            f"Each pair of plots is a held-out neuron: on the left its recorded average over all {view.trials.n_trials} "
            f"trials of each condition (smoothed), on the right the average of the rates that the model infers for it "
            f"in the {scored} {view.split} trials from the other neurons alone. "
            "The two should have the same shape and the same order of colors." + view.conditions_left_out
        )
        panels = [by_condition(view, neuron, recorded[..., place]) for place, neuron in enumerate(neurons)]
        return Section("Averages by condition", reading, panels, view.condition_key)
    reading = (
        f"Averages over the {scored} {view.split} trials of held-out neurons: recorded (smoothed), and as inferred "
        "from the other neurons alone. No condition was named, so that all trials are averaged."
    )
    panels = [overall(view, neuron, recorded[..., place]) for place, neuron in enumerate(neurons)]
    return Section("Averages over trials", reading, panels, [(style.MUTED, "recorded"), (style.MODEL, "model")])


def informative(view: View) -> Int[np.ndarray, " neuron"]:
    """The held-out neurons of which the model tells the most bits in all, bits per spike times spikes."""
    heldout = np.flatnonzero(view.trials.heldout)
    ids = [str(identity) for identity in view.trials.neurons["id"][heldout]]
    total = np.array([view.bits.get(identity, -np.inf) for identity in ids]) * np.maximum(view.spikes(heldout), 1)
    return heldout[np.argsort(-total, kind="stable")[:SHOWN]]


def heading(view: View, neuron: int) -> str:
    """The neuron in words, with its bits per spike."""
    identity = str(view.trials.neurons["id"][neuron])
    area = "" if view.areas is None else f" in {view.areas[neuron]}"
    bits = f" · {view.bits[identity]:.2f} bits/spike" if identity in view.bits else ""
    return f"neuron {identity}{area}{bits}"


def by_condition(view: View, neuron: int, recorded: np.ndarray) -> Panel:
    """Recorded averages on the left, predicted ones on the right, on one scale."""
    figure = style.blank(176)
    predicted = view.rates[..., neuron] * view.per_second
    highest = 0.0
    pairs = []
    for place, (label, values) in enumerate((("recorded", recorded), ("model", predicted))):
        axes = style.axes_at(figure, 42 + 142 * place, 38, 146 - 138 * place, 22)
        for group in view.groups:
            rows = group.rows if not place else group.rows[view.scored[group.rows]]
            if len(rows):
                mean = view.average(values[..., None], rows)[:, 0]
                axes.plot(view.time, mean, color=group.color, linewidth=1.5)
                highest = max(highest, float(np.nanmax(mean, initial=0)))
        axes.set_title(label, loc="left", fontsize=10.5, color=style.MUTED, pad=4)
        axes.locator_params(axis="x", nbins=3)
        axes.locator_params(axis="y", nbins=4)
        pairs.append(axes)
    for axes in pairs:
        axes.set_ylim(0, 1.05 * highest or 1)
    pairs[0].set_ylabel("Hz")
    pairs[1].tick_params(labelleft=False)
    figure.text(0.5 + 21 / style.WIDTH, 6 / 176, view.time_label, ha="center", fontsize=11)
    return Panel(heading(view, neuron), figure, f"Recorded and predicted averages by condition, {heading(view, neuron)}")


def overall(view: View, neuron: int, recorded: np.ndarray) -> Panel:
    """Recorded and predicted average of all scored trials."""
    figure, axes = style.single(height=160, left=42)
    rows = np.flatnonzero(view.scored)
    for values, color in ((recorded, style.MUTED), (view.rates[..., neuron] * view.per_second, style.MODEL)):
        axes.plot(view.time, view.average(values[..., None], rows)[:, 0], color=color)
    axes.set_ylim(0)
    axes.set_ylabel("Hz")
    axes.set_xlabel(view.time_label)
    return Panel(heading(view, neuron), figure, f"Recorded and predicted average over trials, {heading(view, neuron)}")
