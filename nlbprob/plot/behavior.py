"""Behavior as it was recorded and as it is decoded."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int

import nlbprob.plot.style as style
from nlbprob.data.handed import check_trials
from nlbprob.data.trials import Trials
from nlbprob.errors import InputError
from nlbprob.plot.given import positions
from nlbprob.plot.trials import SINGLE, shown_bins, spread, time_label, time_of

if TYPE_CHECKING:
    import xarray

    from nlbprob.posterior.posterior import Posterior

#: Channels that are shown, and points on a line.
CHANNELS, POINTS = 4, 6


@style.drawing
def decoded(
    posterior: "Posterior",
    trials: Trials,
    ax: Any = None,
    *,
    decoded: "xarray.Dataset | None" = None,
    which: Sequence[int] | Int[np.ndarray, " shown"] | None = None,
) -> np.ndarray:
    """Behavior of three single trials: recorded (dashed), and decoded with its intervals, at most four channels.

    Trials differ in the color of their lines, and in the shape of the points on these.

    Args:
        posterior: of a fit.
        trials: whose behavior is decoded from what is seen of them.
        ax: one Axes for each channel; None makes a figure 3.5 inches wide, with a legend.
        decoded: what `posterior.decoder(...).predict(trials)` gives; by default of a decoder learned from the split
            "train" of these trials.
        which: positions of the trials to draw.

    Returns:
        The Axes, [channel].

    Raises:
        InputError: the trials have no behavior, are not of this recording, or other Axes are needed.
    """
    check_trials(trials, "plot.decoded")
    found = posterior.decoder(trials).predict(trials) if decoded is None else decoded
    if found.sizes["trial"] != trials.n_trials or trials.behavior is None:
        raise InputError("plot.decoded: give the trials that were decoded, with their behavior.")
    names = found["channel"].values.tolist()[:CHANNELS]
    columns = min(2, len(names))
    array = style.placed(ax, (len(names),), "decoded", height=2.9 if columns == 1 else 1.7, columns=columns)
    rows = spread(np.arange(len(trials)), len(SINGLE))
    rows = rows if which is None else positions(which, len(trials), "plot.decoded", "which")[: len(SINGLE)]
    time, ends = time_of(trials), shown_bins(trials)
    for number, (axes, name) in enumerate(zip(array, names, strict=True)):
        recorded = trials.behavior[..., trials.behavior_channels.index(name)]
        for row, color, marker in zip(rows, SINGLE, style.MARKERS, strict=False):
            bins = slice(0, ends[row])
            points = {"marker": marker, "markevery": max(1, int(ends[row]) // POINTS), "markersize": 3.5}
            mean, low, high = (found[key].values[row, bins, number] for key in ("mean", "low", "high"))
            axes.fill_between(time[bins], low, high, color=color, alpha=0.22, linewidth=0)
            axes.plot(time[bins], mean, color=color, **points, label=f"trial {trials.table['id'][row]}")
            axes.plot(time[bins], recorded[row, bins], color=color, linewidth=0.9, linestyle="--")
        axes.plot([], [], color=style.MUTED, linewidth=0.9, linestyle="--", label="recorded")
        axes.set_xlabel(time_label(trials))
        axes.set_title(f"{found.attrs['behavior']} {name}")
    if ax is None:
        style.add_legend(array, columns=2)
    return array
