"""What parts of a model contribute: to the score, and of the variables of a task to its latents."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes

import nlbprob.plot.style as style
from nlbprob.data.trials import Trials
from nlbprob.plot.given import inferred

if TYPE_CHECKING:
    import xarray

    from nlbprob.posterior.posterior import Posterior

#: Most latents that are shown, and variables that have a color of their own.
LATENTS, VARIABLES = 10, len(style.CONDITIONS)
#: What is drawn.
CONTRIBUTIONS, TUNING = ("bits", "lost", "latent_bits", "latent_lost", "score"), ("fraction", "chance", "p")
#: A p-value below which a dot is full.
SIGNIFICANT = 0.05


@style.drawing
def contributions(
    posterior: "Posterior",
    trials: Trials,
    ax: Any = None,
    *,
    on: str | Sequence[str] = "val",
    contributions: "xarray.Dataset | None" = None,
) -> np.ndarray:
    """Bits per spike of held-out neurons that each block and effect gives, and each of the ten leading latents.

    Dots are shares of the score, which sum to it; circles how much lower it is without the part. Bars are 90%
    intervals over trials. The title has the score.

    Args:
        posterior: of a fit.
        trials: with the held-out counts seen.
        ax: two Axes, for blocks and for latents; None makes a figure 3.5 inches wide, with a legend.
        on: the split or splits to predict and to score.
        contributions: what `posterior.contributions` gives for these, where it is known already.

    Returns:
        The Axes: of blocks, then of latents.

    Raises:
        InputError: the trials are not of this recording, no held-out spike is seen, or other Axes are needed.
    """
    array = style.placed(ax, (2,), "contributions", height=2.2)
    found = posterior.contributions(trials, on, progress=False) if contributions is None else contributions
    found = inferred(found, CONTRIBUTIONS, None, "plot.contributions", "contributions")
    leading = np.sort(np.argsort(-np.abs(found["latent_bits"].values), kind="stable")[:LATENTS])
    for axes, dim, prefix in zip(array, ("part", "latent"), ("", "latent_"), strict=True):
        rows = np.arange(found.sizes["part"]) if dim == "part" else leading
        shares = [found[f"{prefix}bits{end}"].values[rows] for end in ("", "_low", "_high")]
        lost = [found[f"{prefix}lost{end}"].values[rows] for end in ("", "_low", "_high")]
        place = np.arange(len(rows))
        with_intervals(axes, shares, place - 0.12, style.MODEL, "share of the score", full=True)
        with_intervals(axes, lost, place + 0.18, style.HELDOUT, "lost without it", full=False)
        axes.axvline(0, color=style.LINE, linewidth=0.8, zorder=0)
        axes.set_yticks(place, [str(name) for name in found[dim].values[rows]])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlim(*style.limits(np.concatenate([shares[0], lost[0], *within(shares), *within(lost), [0.0]])))
        axes.set_xlabel("bits per spike")
    ends = found["score_low"].item(), found["score_high"].item()
    interval = f" [{ends[0]:.3f}, {ends[1]:.3f}]" if np.isfinite(ends).all() else ""
    array[0].set_title(f"co-bps {found['score'].item():.3f}{interval}")
    array[1].set_title("by latent")
    if ax is None:
        style.add_legend(array)
    return array


def within(measured: list[np.ndarray]) -> list[np.ndarray]:
    """The ends of intervals, cut at three times the range of the values, so that one wide interval hides no other."""
    value, *ends = measured
    finite = value[np.isfinite(value)]
    most = 3 * max(np.ptp(np.append(finite, 0.0)), 1e-9)
    return [np.clip(end, -most, most) for end in ends]


def with_intervals(
    axes: Axes, measured: list[np.ndarray], place: np.ndarray, color: str, label: str, full: bool
) -> None:
    """Values as full or hollow dots on horizontal bars. measured: the values and both ends of their intervals."""
    value, low, high = measured
    known = np.isfinite(value)
    style.segments(axes, low[known], high[known], place[known], vertical=False, color=color, alpha=0.6)
    face = color if full else "none"
    axes.plot(value[known], place[known], "o", color=color, markerfacecolor=face, markersize=4, label=label)


@style.drawing
def tuning(posterior: "Posterior", trials: Trials, ax: Any = None, *, tuning: "xarray.Dataset | None" = None) -> Axes:
    """The fraction of the variance of the leading latents over trials that task variables explain.

    Each color and shape is a variable: full where p < 0.05 by permutation, hollow elsewhere; a short line is what a
    variable of noise explains.

    Args:
        posterior: of a fit.
        trials: whose latents are inferred from what is seen of them.
        ax: Axes to draw in; None makes a figure 3.5 inches wide, with a legend.
        tuning: what `posterior.tuning` gives for these, where it is known already; else of the condition's columns.

    Returns:
        The Axes.

    Raises:
        InputError: the trials are not of this recording, or have no condition.
    """
    axes = style.placed(ax, (1,), "tuning", height=2.9)[0]
    found = posterior.tuning(trials) if tuning is None else tuning
    found = inferred(found, TUNING, None, "plot.tuning", "tuning")
    count = min(LATENTS, found.sizes["latent"])
    names = found["variable"].values.tolist()[:VARIABLES]
    apart = 0.6 / len(names)
    for number, name in enumerate(names):
        row, color, marker = found.isel(variable=number), style.CONDITIONS[number], style.MARKERS[number]
        place = np.arange(count) + apart * (number - (len(names) - 1) / 2)
        fraction, chance = row["fraction"].values[:count], row["chance"].values[:count]
        significant = row["p"].values[:count] < SIGNIFICANT
        axes.plot(chance, place, "|", color=color, markersize=6, alpha=0.8)
        for rows, face in ((significant, color), (~significant, "none")):
            axes.plot(fraction[rows], place[rows], marker, color=color, markerfacecolor=face, markersize=4)
        axes.plot([], [], marker, color=color, markersize=4, label=str(name))
    axes.plot([], [], "|", color=style.MUTED, markersize=6, label="by chance")
    axes.set_yticks(np.arange(count), [str(name) for name in found["latent"].values[:count]])
    axes.set_ylim(count - 0.5, -0.5)
    shown = [found[name].values[: len(names), :count].ravel() for name in ("fraction", "chance")]
    axes.set_xlim(0, style.limits(np.concatenate(shown))[1])
    axes.set_xlabel("variance explained")
    if ax is None:
        style.add_legend(np.array([axes]))
    return axes
