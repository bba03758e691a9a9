"""Averages over trials, recorded and predicted."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int, Num
from matplotlib.axes import Axes

import nlbprob.plot.style as style
from nlbprob.data.handed import check_trials
from nlbprob.data.trials import Trials
from nlbprob.plot.given import colors_of, positions
from nlbprob.plot.trials import Group, average, grouped, legend_label, shown_bins, time_label, time_of
from nlbprob.scoring.rates import in_splits, rate_array
from nlbprob.scoring.smoothing import smooth

if TYPE_CHECKING:
    from nlbprob.posterior.posterior import Posterior
    from nlbprob.selection.average import Committee

#: Number of neurons shown by default.
SHOWN = 6
#: Standard deviation of the Gaussian that smooths averages: in ms, but never below so many bins.
SMOOTHING_MS, SMOOTHING_BINS = 50.0, 1.5


@style.drawing_rates
def psths(
    posterior: "Posterior | Committee",
    trials: Trials,
    ax: Any = None,
    *,
    rates: Any = None,
    on: str | Sequence[str] | None = None,
    neurons: Sequence[int] | Int[np.ndarray, " shown"] | None = None,
    colors: dict[str, str] | None = None,
) -> np.ndarray:
    """Averages of single neurons over trials, in Hz: recorded, and as the model infers them from the other neurons.

    Both are smoothed alike (Gaussian, 50 ms). With conditions each neuron has two Axes on one scale: on the left the
    averages by condition of all trials, on the right those of the rates in the trials of `on`. Without, it has one Axes
    with the two averages over the trials of `on`.

    Args:
        posterior: of a fit, or a committee of several.
        trials: with the held-out counts seen.
        ax: [neuron, (recorded, model)], or with fewer than two conditions [neuron]; None makes a figure 3.5 inches
            wide, with a legend.
        rates: spikes/bin of all these trials, predicted with held-out neurons hidden, where they are known already.
        on: the split or splits whose rates are averaged; by default all.
        neurons: positions of neurons; by default the six held-out ones with the most spikes (of all neurons, where none
            is held out).
        colors: of the conditions to draw, by their labels; by default of the nine with the most trials.

    Returns:
        The Axes, as for `ax`.

    Raises:
        InputError: the trials or rates are not of this recording, or other Axes are needed.
    """
    check_trials(trials, "plot.psths")
    scored = np.ones(len(trials), bool) if on is None else in_splits(trials, on, "on")
    colors_of(colors, "plot.psths")
    chosen = busiest(trials)
    if neurons is not None:
        chosen = positions(neurons, trials.n_neurons, "plot.psths", "neurons", "neurons")
    if rates is None:
        values = np.zeros(trials.counts.shape)
        values[scored] = posterior.rates(trials[scored].hide_heldout()).values
    else:
        values = rate_array(rates, trials)
    recorded, predicted = (smoothed(trials, array, chosen) for array in (trials.counts, values))
    groups = grouped(trials, colors)
    shape = (len(chosen), 2) if len(groups) > 1 else (len(chosen),)
    array = style.placed(ax, shape, "psths", height=1.25, columns=2)
    for place, neuron in enumerate(chosen):
        name = neuron_name(trials, neuron)
        if len(groups) > 1:
            by_condition(array[place], trials, groups, scored, recorded[..., place], predicted[..., place])
            array[place][0].set_title(f"{name}\nrecorded")
        else:
            overall(array[place], trials, scored, recorded[..., place], predicted[..., place])
            array[place].set_title(name)
    for axes in array[-1] if len(groups) > 1 else array[-2:]:
        axes.set_xlabel(time_label(trials))
    if ax is None:
        style.add_legend(array)
    return array


def busiest(trials: Trials) -> Int[np.ndarray, " neuron"]:
    """The held-out neurons with the most spikes; of all neurons, where none is held out."""
    among = np.flatnonzero(trials.heldout) if trials.heldout.any() else np.arange(trials.n_neurons)
    spikes = trials.counts.sum(axis=(0, 1), where=trials.seen, dtype=float)[among]
    return among[np.argsort(-spikes, kind="stable")[:SHOWN]]


def neuron_name(trials: Trials, neuron: int | np.integer) -> str:
    """A neuron in words, with its area where areas differ."""
    column = trials.neurons.get("area")
    area = "" if column is None or len(np.unique(column)) < 2 else f" in {column[neuron]}"
    return f"neuron {trials.neurons['id'][neuron]}{area}"


def smoothed(
    trials: Trials, values: Num[np.ndarray, "trial time neuron"], neurons: Int[np.ndarray, " shown"]
) -> Float[np.ndarray, "trial time shown"]:
    """Counts or rates of these neurons where they were recorded, smoothed in time, in Hz."""
    width = max(SMOOTHING_MS / trials.bin_ms, SMOOTHING_BINS)
    return np.nan_to_num(smooth(values[..., neurons], trials.seen[..., neurons], width)) * 1000 / trials.bin_ms


def mean_of(trials: Trials, values: Float[np.ndarray, "trial time"], rows: Int[np.ndarray, " row"]) -> np.ndarray:
    """The average [time] over some trials, up to where at least half of them end."""
    return average(values[rows][..., None], shown_bins(trials)[rows])[:, 0]


def by_condition(
    pair: Sequence[Axes] | np.ndarray,
    trials: Trials,
    groups: list[Group],
    scored: Bool[np.ndarray, " trial"],
    recorded: Float[np.ndarray, "trial time"],
    predicted: Float[np.ndarray, "trial time"],
) -> None:
    """Recorded averages on the left, predicted ones on the right, on one scale."""
    highest, time = 0.0, time_of(trials)
    for axes, values, among in zip(pair, (recorded, predicted), (np.ones_like(scored), scored), strict=True):
        for group in groups:
            rows = group.rows[among[group.rows]]
            if len(rows):
                mean = mean_of(trials, values, rows)
                look = {"color": group.color, "linestyle": group.dashes, "linewidth": 1.15}
                axes.plot(time, mean, **look, label=legend_label(trials, group))
                highest = max(highest, float(np.nanmax(mean, initial=0)))
        axes.locator_params(axis="x", nbins=3)
        axes.locator_params(axis="y", nbins=4)
    edges = [axes.get_xlim() for axes in pair]
    for axes in pair:
        axes.set_ylim(0, 1.05 * highest or 1)
        axes.set_xlim(min(low for low, _ in edges), max(high for _, high in edges))
    pair[0].set_ylabel("Hz")
    pair[1].tick_params(labelleft=False)
    pair[1].set_title("model")


def overall(
    axes: Axes,
    trials: Trials,
    scored: Bool[np.ndarray, " trial"],
    recorded: Float[np.ndarray, "trial time"],
    predicted: Float[np.ndarray, "trial time"],
) -> None:
    """Recorded and predicted average of all scored trials."""
    rows = np.flatnonzero(scored)
    kinds = (recorded, style.MUTED, 1, "recorded"), (predicted, style.MODEL, 0, "model")
    for values, color, dashes, label in kinds:
        mean = mean_of(trials, values, rows)
        axes.plot(time_of(trials), mean, color=color, linestyle=style.DASHES[dashes], label=label)
    axes.set_ylim(0)
    axes.set_ylabel("Hz")
