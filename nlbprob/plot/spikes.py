"""Spikes and inferred rates of single trials."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes

import nlbprob.plot.style as style
from nlbprob.data.handed import check_trials
from nlbprob.data.trials import Trials
from nlbprob.plot.given import positions
from nlbprob.plot.trials import shown_bins, spread, time_label, time_of, trial_name
from nlbprob.scoring.rates import rate_array

if TYPE_CHECKING:
    from nlbprob.posterior.posterior import Posterior
    from nlbprob.selection.average import Committee

#: Most rows of held-in and of held-out neurons, so that a row stays visible.
HELDIN_ROWS, HELDOUT_ROWS = 50, 25
#: Rows left empty between the two.
GAP = 2
#: Trials shown by default.
EXAMPLES = 2


@style.drawing_rates
def rasters(
    posterior: "Posterior | Committee",
    trials: Trials,
    ax: Any = None,
    *,
    rates: Any = None,
    which: Sequence[int] | Int[np.ndarray, " shown"] | None = None,
) -> np.ndarray:
    """Spikes of single trials, and below them the rates inferred for the same neurons.

    A row is a neuron, at most 50 held in and 25 held out, those with the most spikes; neurons that peak early are at
    the top. The stronger the color, the more spikes or the higher the rate, each row scaled to its own peak. Held-out
    neurons are in orange above the gap; their rates are inferred from the other neurons.

    Args:
        posterior: of a fit, or a committee of several.
        trials: with the held-out counts seen.
        ax: two Axes for each trial, [trial, (spikes, rates)]; None makes a figure 3.5 inches wide.
        rates: what `posterior.rates` gives for `trials.hide_heldout()`, where it is known already.
        which: positions of the trials to show; by default two.

    Returns:
        The Axes, [trial, (spikes, rates)].

    Raises:
        InputError: the trials or rates are not of this recording, or other Axes are needed.
    """
    check_trials(trials, "plot.rasters")
    rows = spread(np.arange(len(trials)), EXAMPLES)
    rows = rows if which is None else positions(which, len(trials), "plot.rasters", "which")
    some = trials[rows]
    values = (
        rate_array(posterior.rates(some.hide_heldout()), some) if rates is None else rate_array(rates, trials)[rows]
    )
    heldin, heldout = rows_shown(some, values)
    new = None if ax is not None else style.placed(None, (2, len(some)), "rasters", height=1.6, columns=len(some)).T
    array = style.placed(ax if new is None else new, (len(some), 2), "rasters", height=1.6)
    for position, pair in enumerate(array):
        one_trial(pair, some, values, position, heldin, heldout)
    return array


def rows_shown(
    trials: Trials, rates: Float[np.ndarray, "trial time neuron"]
) -> tuple[Int[np.ndarray, " heldin"], Int[np.ndarray, " heldout"]]:
    """Held-in and held-out neurons with the most spikes in these trials, sorted by when their mean rate peaks."""
    spikes, shortest = trials.counts.sum(axis=(0, 1), dtype=float), shown_bins(trials).min()
    chosen = []
    for among, most in ((trials.heldin, HELDIN_ROWS), (trials.heldout, HELDOUT_ROWS)):
        candidates = np.flatnonzero(among)
        kept = candidates[np.argsort(-spikes[candidates], kind="stable")[:most]]
        peak = rates[:, :shortest][..., kept].mean(0).argmax(0)
        chosen.append(kept[np.argsort(peak, kind="stable")])
    return chosen[0], chosen[1]


def stacked(
    values: Float[np.ndarray, "time neuron"], heldin: Int[np.ndarray, " heldin"], heldout: Int[np.ndarray, " heldout"]
) -> Float[np.ndarray, "row time four"]:
    """An image of values between 0 and 1: held-out neurons at the top, a gap, held-in neurons below."""
    below = style.tinted(values[:, heldin].T, style.HELDIN_IMAGE)
    if not len(heldout):
        return below
    above = style.tinted(values[:, heldout].T, style.HELDOUT_IMAGE)
    return np.concatenate([above, np.zeros((GAP, *above.shape[1:])), below])


def one_trial(
    pair: Sequence[Axes] | np.ndarray,
    trials: Trials,
    rates: Float[np.ndarray, "trial time neuron"],
    position: int,
    heldin: Int[np.ndarray, " heldin"],
    heldout: Int[np.ndarray, " heldout"],
) -> None:
    """The spikes of a trial, and its rates."""
    length, time = shown_bins(trials)[position], time_of(trials)
    counts = np.where(trials.seen[position, :length], trials.counts[position, :length], 0).astype(float)
    peaks, most = rates.max(axis=(0, 1)), trials.counts.max(axis=(0, 1))
    images = (
        stacked(counts / np.maximum(most, 1), heldin, heldout),
        stacked(rates[position, :length] / np.maximum(peaks, 1e-12), heldin, heldout),
    )
    half = float(time[1] - time[0]) / 2 if len(time) > 1 else 0.5
    for axes, image, label in zip(pair, images, ("spikes", "inferred rate"), strict=True):
        axes.imshow(image, extent=(float(time[0]) - half, float(time[length - 1]) + half, len(image), 0))
        axes.set_yticks([])
        axes.set_ylabel(label)
        axes.spines[:].set_visible(False)
        axes.spines["bottom"].set_visible(True)
        if trials.forward_bins and length > trials.window_bins:
            axes.axvline(time[trials.window_bins] - half, color=style.MUTED, linewidth=0.8, linestyle="--")
    pair[0].tick_params(labelbottom=False)
    pair[0].set_title(trial_name(trials, position))
    pair[1].set_xlabel(time_label(trials))
