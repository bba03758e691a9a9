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
#: What is drawn of dynamics that switch.
SHOWN = ("occupancy", "dwell_ms", "next_probability", "probability")
#: Arrows to regimes that follow less often are left out.
FAINTEST = 0.02


@style.drawing
def regimes(
    posterior: "Posterior", trials: Trials, ax: Any = None, *, regimes: "xarray.Dataset | None" = None
) -> np.ndarray:
    """When each regime holds: its probability in single trials, and below on average over trials.

    Above, each strip is a trial, at most twelve, evenly spaced among them; in each bin it is divided among regimes by
    their probability given what is seen, the first at the top.

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
            color, hatch = style.CONDITIONS[regime % len(style.CONDITIONS)], style.HATCHES[regime % len(style.HATCHES)]
            filled = {"facecolor": color, "edgecolor": "white", "hatch": hatch, "linewidth": 0}
            axes.fill_between(time[:end], height[:, regime], height[:, regime + 1], **filled)
    axes.set_ylim(len(rows), -0.1)
    axes.set_yticks([])
    axes.set_ylabel(f"{len(rows)} trials")
    axes.spines["left"].set_visible(False)
    axes.tick_params(labelbottom=False)


def averages(axes: Axes, trials: Trials, probability: Float[np.ndarray, "trial time regime"]) -> None:
    """Probabilities averaged over the trials that reach a bin."""
    courses(axes, time_of(trials), average(probability, shown_bins(trials)).T)
    axes.set_xlabel(time_label(trials))


def courses(axes: Axes, x: Float[np.ndarray, " point"], probability: Float[np.ndarray, "regime point"]) -> None:
    """The probability of each regime as a line."""
    for regime, course in enumerate(probability):
        color, dashes = style.CONDITIONS[regime % len(style.CONDITIONS)], style.DASHES[regime % len(style.DASHES)]
        axes.plot(x, course, color=color, linestyle=dashes, label=f"regime {regime + 1}")
    axes.set_ylim(-0.03, 1.03)
    axes.set_ylabel("probability")


@style.drawing
def switching(
    posterior: "Posterior",
    trials: Trials,
    ax: Any = None,
    *,
    event: Any = None,
    switching: "xarray.Dataset | None" = None,
) -> np.ndarray:
    """How long regimes last, which follows which, and their probability around an event; bars and bands are of 90%.

    Above, a dot is a regime's mean stay, with the fraction of all bins that it takes. In the middle an arrow leads from
    each regime to those that follow it, as wide as it is frequent. Below, the probability of each regime over trials.

    Args:
        posterior: of a fit with dynamics that switch.
        trials: whose regimes to infer from what is seen of them.
        ax: three Axes; None makes a figure 3.5 inches wide, with a legend.
        event: a column of times or times in ms, as `posterior.switching` takes it; None for the time in the trial.
        switching: what `posterior.switching` gives, where it is known already.

    Returns:
        The Axes (stays, what follows, around the event).

    Raises:
        InputError: no block switches, the event lies in no trial, or other Axes are needed.
    """
    found = posterior.switching(trials, event) if switching is None else switching
    found = inferred(found, SHOWN, None, "plot.switching", "switching")
    array = style.placed(ax, (3,), "switching", height=1.7)
    stays(array[0], found)
    followers(array[1], found)
    lags, (low, middle, high) = found["lag"].values, np.quantile(found["probability"].values, (0.05, 0.5, 0.95), axis=0)
    courses(array[2], lags, middle)
    for line, *ends in zip(array[2].lines, low, high, strict=True):
        array[2].fill_between(lags, *ends, color=line.get_color(), alpha=0.2, linewidth=0)
    name = found.attrs.get("event", "event")
    array[2].set_xlabel(f"{name} (ms)" if name == "time in trial" else f"time from {name} (ms)")
    if name != "time in trial":
        array[2].axvline(0, color=style.LINE, linewidth=0.8, zorder=0)
    if ax is None:
        style.add_legend(array)
    return array


def stays(axes: Axes, found: "xarray.Dataset") -> None:
    """The mean stay in each regime with its interval, and the fraction of bins."""
    finite = np.where(np.isfinite(found["dwell_ms"].values), found["dwell_ms"].values, np.nan)
    place = np.arange(found.sizes["regime"])
    known = np.isfinite(finite).all(0)
    low, middle, high = np.quantile(finite[:, known], (0.05, 0.5, 0.95), axis=0)
    style.segments(axes, low, high, place[known], vertical=False, color=style.MODEL, alpha=0.6)
    axes.plot(middle, place[known], "o", color=style.MODEL, markersize=4)
    fraction = found["occupancy"].values.mean(0)
    labels = [f"regime {regime + 1}, {100 * fraction[regime]:.0f}%" for regime in place]
    axes.set_yticks(place, labels)
    axes.set_ylim(len(place) - 0.5, -0.5)
    if known.any():
        style.log_axis(axes, "x", np.concatenate([low, high]))
    for row in place[~known]:
        axes.annotate("not left", (0.5, row), xycoords=("axes fraction", "data"), ha="center", va="center")
    axes.set_xlabel("mean stay (ms)")


def followers(axes: Axes, found: "xarray.Dataset") -> None:
    """The regimes on a circle, with an arrow to each that follows, as wide as it is frequent."""
    count = found.sizes["regime"]
    share = np.nan_to_num(found["next_probability"].mean("sample", skipna=True).values)
    angle = 2 * np.pi * np.arange(count) / count + np.pi
    places = list(zip(2.2 * np.cos(angle), np.sin(angle), strict=True))
    for start, end in zip(*np.nonzero(share >= FAINTEST), strict=True):
        width = {"linewidth": 0.4 + 2.4 * share[start, end], "color": style.MUTED, "shrinkA": 9, "shrinkB": 9}
        arrow = {"arrowstyle": "-|>", "connectionstyle": "arc3,rad=0.18", **width}
        axes.annotate("", places[end], places[start], arrowprops=arrow)
    for regime, place in enumerate(places):
        color = style.CONDITIONS[regime % len(style.CONDITIONS)]
        axes.plot(*place, "o", color=color, markersize=15)
        axes.annotate(f"{regime + 1}", place, ha="center", va="center", color="white", fontweight="bold")
    axes.set(xlim=(-3, 3), ylim=(-1.6, 1.6), xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    axes.set_title("which regime follows")
