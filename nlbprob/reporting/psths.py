"""Averages over trials, recorded and predicted, of held-out neurons."""

import numpy as np
from jaxtyping import Float, Int

from nlbprob.reporting import style
from nlbprob.reporting.parts import Absent, Panel, Section
from nlbprob.reporting.view import View

#: Number of neurons shown.
SHOWN = 6


def section(view: View) -> Section | Absent:
    """PSTHs of the held-out neurons that the model predicts best."""
    neurons = informative(view)
    if not len(neurons):
        return Absent("Averages over trials", "no neuron is held out, so that no rate is a prediction")
    recorded, predicted = (view.smoothed(values, neurons) for values in (view.trials.counts, view.rates))
    scored = int(view.scored.sum())
    if view.has_conditions:
        reading = (
            "Each pair of plots is a held-out neuron: on the left its recorded average by condition over all "
            f"{view.trials.n_trials} trials, on the right the average of the rates that the model infers for it in the "
            f"{scored} {view.split} trials from the other neurons alone, both smoothed alike. "
            "The two should have the same shapes in the same order." + view.conditions_left_out
        )
        panels = [by_condition(view, n, recorded[..., i], predicted[..., i]) for i, n in enumerate(neurons)]
        return Section("Averages by condition", reading, panels, view.condition_key)
    reading = (
        f"Averages over the {scored} {view.split} trials of held-out neurons: recorded, and as the model infers them "
        "from the other neurons alone, both smoothed alike. No condition was named, so that all trials are averaged."
    )
    panels = [overall(view, n, recorded[..., i], predicted[..., i]) for i, n in enumerate(neurons)]
    return Section("Averages over trials", reading, panels, [(style.MUTED, "recorded"), (style.MODEL, "model")])


def informative(view: View) -> Int[np.ndarray, " neuron"]:
    """The held-out neurons with the most predicted bits, bits per spike times spikes."""
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


def by_condition(
    view: View,
    neuron: int | np.integer,
    recorded: Float[np.ndarray, "trial time"],
    predicted: Float[np.ndarray, "trial time"],
) -> Panel:
    """Recorded averages on the left, predicted ones on the right, on one scale."""
    height, width = 176, 128
    figure = style.blank(height)
    highest, pair = 0.0, []
    for place, (label, values) in enumerate((("recorded", recorded), ("model", predicted))):
        left = 42 + place * (width + 20)
        axes = style.axes_at(figure, left, 38, style.WIDTH - left - width, 22)
        for group in view.groups:
            rows = group.rows if not place else group.rows[view.scored[group.rows]]
            if len(rows):
                mean = view.average(values[..., None], rows)[:, 0]
                axes.plot(view.time, mean, color=group.color, linewidth=1.5)
                highest = max(highest, float(np.nanmax(mean, initial=0)))
        axes.set_title(label, loc="left", fontsize=10.5, color=style.MUTED, pad=4)
        axes.locator_params(axis="x", nbins=3)
        axes.locator_params(axis="y", nbins=4)
        pair.append(axes)
    edges = [axes.get_xlim() for axes in pair]
    for axes in pair:
        axes.set_ylim(0, 1.05 * highest or 1)
        axes.set_xlim(min(low for low, _ in edges), max(high for _, high in edges))
    pair[0].set_ylabel("Hz")
    pair[1].tick_params(labelleft=False)
    figure.text((42 + width + 10) / style.WIDTH, 6 / height, view.time_label, ha="center", fontsize=11)
    name = heading(view, int(neuron))
    return Panel(name, figure, f"Recorded and predicted averages by condition, {name}")


def overall(
    view: View,
    neuron: int | np.integer,
    recorded: Float[np.ndarray, "trial time"],
    predicted: Float[np.ndarray, "trial time"],
) -> Panel:
    """Recorded and predicted average of all scored trials."""
    figure, axes = style.single(height=160, left=42)
    rows = np.flatnonzero(view.scored)
    for values, color in ((recorded, style.MUTED), (predicted, style.MODEL)):
        axes.plot(view.time, view.average(values[..., None], rows)[:, 0], color=color)
    axes.set_ylim(0)
    axes.set_ylabel("Hz")
    axes.set_xlabel(view.time_label)
    name = heading(view, int(neuron))
    return Panel(name, figure, f"Recorded and predicted average over trials, {name}")
