"""Regimes of dynamics that switch."""

from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

import nlbprob.plot.style as style
from nlbprob.data.handed import check_trials
from nlbprob.data.trials import Trials
from nlbprob.plot.given import inferred
from nlbprob.plot.trials import average, shown_bins, spread, time_label, time_of

if TYPE_CHECKING:
    import xarray

    from nlbprob.posterior.posterior import Posterior

#: Single trials shown.
TRIALS = 12
#: How the lines of successive regimes are dashed, so that color is not needed.
DASHES = ("-", "--", "-.", ":")


@style.drawing
def regimes(
    posterior: "Posterior", trials: Trials, ax: Any = None, *, regimes: "xarray.Dataset | None" = None
) -> np.ndarray:
    """When each regime holds: its probability in single trials, and below on average over trials.

    Above, each strip is a trial, at most twelve, evenly spaced among them; in each bin it is divided among regimes by
    their probability given what is seen.

    Args:
        posterior: of a fit with dynamics that switch.
        trials: whose regimes to infer from what is seen of them.
        ax: two Axes for each block that switches, [block, (trials, average)]; None makes a figure 3.5 inches wide, with
            a legend.
        regimes: what `posterior.regimes` gives for these trials, where it is known already.

    Returns:
        The Axes, [block, (trials, average)].

    Raises:
        InputError: no block switches, the trials are not of this recording, or other Axes are needed.
    """
    check_trials(trials, "plot.regimes")
    found = inferred(posterior.regimes(trials) if regimes is None else regimes, (), trials, "plot.regimes", "regimes")
    array = style.placed(ax, (len(found), 2), "regimes", height=1.7)
    for (name, probability), (above, below) in zip(found.items(), array, strict=True):
        strips(above, trials, probability.values)
        averages(below, trials, probability.values)
        above.set_title(f"regimes of {name}")
    if ax is None:
        style.add_legend(array)
    return array


def strips(axes: Axes, trials: Trials, probability: Float[np.ndarray, "trial time regime"]) -> None:
    """A strip for each of some trials, divided among regimes by their probability."""
    time, rows = time_of(trials), spread(np.arange(len(trials)), TRIALS)
    for place, row in enumerate(rows):
        end = shown_bins(trials)[row]
        height = place + 0.9 * np.concatenate([np.zeros((end, 1)), probability[row, :end].cumsum(1)], 1)
        for regime in range(probability.shape[2]):
            color = style.CONDITIONS[regime % len(style.CONDITIONS)]
            axes.fill_between(time[:end], height[:, regime], height[:, regime + 1], color=color, linewidth=0)
    axes.set_ylim(len(rows), -0.1)
    axes.set_yticks([])
    axes.set_ylabel(f"{len(rows)} trials")
    axes.spines["left"].set_visible(False)
    axes.tick_params(labelbottom=False)


def averages(axes: Axes, trials: Trials, probability: Float[np.ndarray, "trial time regime"]) -> None:
    """Probabilities averaged over the trials that reach a bin."""
    mean = average(probability, shown_bins(trials))
    for regime, course in enumerate(mean.T):
        color, dashes = style.CONDITIONS[regime % len(style.CONDITIONS)], DASHES[regime % len(DASHES)]
        axes.plot(time_of(trials), course, color=color, linestyle=dashes, label=f"regime {regime + 1}")
    axes.set_ylim(-0.03, 1.03)
    axes.set_ylabel("probability")
    axes.set_xlabel(time_label(trials))
