"""Angles between subspaces."""

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes

import nlbprob.plot.style as style
from nlbprob.data.trials import Trials

if TYPE_CHECKING:
    import xarray

    from nlbprob.posterior.posterior import Posterior

#: Most pairs that are shown one by one; more are an image of their mean angle.
PAIRS = 10


@style.drawing
def subspace_angles(
    posterior: "Posterior",
    trials: Trials | None = None,
    ax: Any = None,
    *,
    between: str = "block",
    angles: "xarray.Dataset | None" = None,
) -> Axes:
    """Principal angles between subspaces: of each pair a dot an angle with its 90% interval, and chance as a tick.

    More than ten pairs are an image of their mean angle, in degrees: the darker, the nearer.

    Args:
        posterior: of a fit.
        trials: whose neurons, or conditions, these are; not needed for blocks.
        ax: Axes to draw in; None makes a figure 3.5 inches wide, with a legend.
        between: "block", "condition" or a column of `trials.neurons`.
        angles: what `posterior.subspace_angles` or `nlb.subspace_angles` gives, where it is known already.

    Returns:
        The Axes.

    Raises:
        InputError: there are no two such subspaces.
    """
    found = posterior.subspace_angles(trials, between) if angles is None else angles
    axes = style.placed(ax, (1,), "subspace_angles", height=2.9)[0]
    names = [str(name) for name in found["subspace"].values]
    pairs = list(itertools.combinations(range(len(names)), 2))
    if len(pairs) > PAIRS:
        mean = np.nanmean(found["angle_deg"].values, axis=-1)
        axes.imshow(style.tinted(1 - mean / 90, style.NEGATIVE_IMAGE), aspect="equal")
        places = np.arange(len(names))
        axes.set_xticks(places, names, rotation=90)
        axes.set_yticks(places, names)
        for one, other in itertools.product(places, places):
            if one != other and len(names) <= PAIRS:
                axes.text(one, other, f"{mean[one, other]:.0f}", ha="center", va="center", fontsize=7.5)
        axes.set_title("mean angle (degrees)")
        return axes
    for row, (one, other) in enumerate(pairs):
        each = found.isel(subspace=one, subspace_2=other)
        known = np.isfinite(each["angle_deg"].values)
        angle, low, high, chance = (each[f"{name}_deg"].values[known] for name in ("angle", "low", "high", "chance"))
        place = row + 0.5 * (np.arange(len(angle)) - (len(angle) - 1) / 2) / max(len(angle), 2)
        style.segments(axes, low, high, place, vertical=False, color=style.MODEL, alpha=0.6)
        axes.plot(angle, place, "o", color=style.MODEL, markersize=4, label="found")
        axes.plot(chance, place, "|", color=style.MUTED, markersize=7, label="by chance")
    axes.set_yticks(np.arange(len(pairs)), [f"{names[one]}, {names[other]}" for one, other in pairs])
    axes.set_ylim(len(pairs) - 0.5, -0.5)
    axes.set_xlim(0, 92)
    axes.set_xticks([0, 30, 60, 90])
    axes.set_xlabel("principal angles (degrees)")
    if ax is None:
        style.add_legend(np.array([axes]))
    return axes
