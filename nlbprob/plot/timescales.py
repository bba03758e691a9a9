"""Timescales of latents that are no modes."""

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator

import nlbprob.plot.style as style
from nlbprob.errors import InputError
from nlbprob.plot.given import inferred

if TYPE_CHECKING:
    import xarray

    from nlbprob.posterior.posterior import Posterior

#: Over a wider range ticks are fewer, since names take half of the width.
WIDE = 20


@style.drawing
def timescales(posterior: "Posterior", ax: Any = None, *, timescales: "xarray.Dataset | None" = None) -> Axes:
    """Lengthscales, periods and decay times in ms, from the shortest: medians with 90% intervals.

    Args:
        posterior: of a fit with GPs, or with latents that only decay.
        ax: Axes to draw in; None makes a figure 3.5 inches wide.
        timescales: what `posterior.timescales` gives, where it is known already.

    Returns:
        The Axes.

    Raises:
        InputError: no block has a timescale in ms.
    """
    found = posterior.timescales() if timescales is None else timescales
    found = inferred(found, ("value",), None, "plot.timescales", "timescales")
    found = found.isel(timescale=found["units"].values == "ms")
    if not found.sizes["timescale"]:
        raise InputError("plot.timescales: no timescale is in ms; posterior.timescales() has the values.")
    low, middle, high = np.quantile(found["value"].values, (0.05, 0.5, 0.95), axis=0)
    order = np.argsort(middle, kind="stable")
    axes = style.placed(ax, (1,), "timescales", height=max(1.5, 0.7 + 0.17 * len(order)))[0]
    place = np.arange(len(order))
    style.segments(axes, low[order], high[order], place, vertical=False, color=style.MODEL, alpha=0.6)
    axes.plot(middle[order], place, "o", color=style.MODEL, markersize=4)
    axes.set_yticks(place, [str(name) for name in found["timescale"].values[order]])
    axes.set_ylim(len(order) - 0.5, -0.5)
    style.log_axis(axes, "x", np.concatenate([low, high]))
    if high.max() > WIDE * low.min():
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
    axes.set_xlabel("ms")
    return axes
