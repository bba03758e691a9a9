"""The flow of the dynamics in a plane of latents."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes

import nlbprob.plot.style as style
from nlbprob.plot.given import inferred

if TYPE_CHECKING:
    import xarray

    from nlbprob.posterior.posterior import Posterior

#: What is drawn.
SHOWN = ("velocity", "velocity_sd", "fixed_point", "stable")
#: Stream lines are wider where the flow is faster, up to this many points.
WIDEST = 1.6


@style.drawing
def flow(
    posterior: "Posterior",
    ax: Any = None,
    *,
    latents: Sequence[int] = (0, 1),
    flow: "xarray.Dataset | None" = None,
) -> np.ndarray:
    """The flow of the dynamics in a plane of two latents: lines that a state without noise would follow.

    Lines are wider where the flow is faster, and pale where its direction is uncertain: where its length is less than
    twice its standard deviation. A full dot is a stable fixed point, a hollow one an unstable one.

    Args:
        posterior: of a fit.
        ax: one Axes for each regime, or one; None makes a figure 3.5 inches wide, with a legend.
        latents: positions of two latents of one block.
        flow: what `posterior.flow` gives, where it is known already.

    Returns:
        The Axes, [regime]; of dynamics that do not switch a single one.

    Raises:
        InputError: these are not two latents of one block that has a flow, or other Axes are needed.
    """
    found = inferred(posterior.flow(latents) if flow is None else flow, SHOWN, None, "plot.flow", "flow")
    count = found.sizes["regime"]
    columns = min(2, count)
    array = style.placed(ax, (count,), "flow", height=2.9 if columns == 1 else 1.9, columns=columns)
    x, y = found["x"].values, found["y"].values
    for regime, axes in enumerate(array):
        velocity, deviation = (found[name].values[regime] for name in ("velocity", "velocity_sd"))
        speed = np.linalg.norm(velocity, axis=-1)
        width = 0.3 + WIDEST * speed / max(speed.max(), 1e-30)
        certain = speed > 2 * np.linalg.norm(deviation, axis=-1)
        for lines, color in ((certain, style.MODEL), (~certain, style.LINE)):
            shown = np.where(lines[..., None], velocity, np.nan)
            if lines.any():
                arrows = {"color": color, "linewidth": width, "arrowsize": 0.7, "density": 0.9}
                axes.streamplot(x, y, shown[..., 0], shown[..., 1], **arrows)
        fixed(axes, found.isel(regime=regime))
        axes.set_xlim(x[0], x[-1])
        axes.set_ylim(y[0], y[-1])
        axes.set_aspect("equal", adjustable="box")
        axes.set_xlabel(str(found["axis"].values[0]))
        axes.set_ylabel(str(found["axis"].values[1]), labelpad=0)
        if count > 1:
            axes.set_title(f"regime {regime + 1}")
    if ax is None:
        style.add_legend(array)
    return array


def fixed(axes: Axes, found: "xarray.Dataset") -> None:
    """The fixed points that lie in the plane's range."""
    places = found["fixed_point"].sel(latent=found["axis"].values).values
    inside = (np.abs(places) <= found["x"].values[-1]).all(1)
    for stable, face, label in ((True, style.INK, "stable fixed point"), (False, "white", "unstable fixed point")):
        rows = inside & (found["stable"].values == stable)
        if rows.any():
            axes.plot(
                *places[rows].T, "o", color=style.INK, markerfacecolor=face, markersize=5.5, label=label, zorder=5
            )
