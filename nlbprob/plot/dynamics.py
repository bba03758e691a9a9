"""The modes of the dynamics."""

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes

import nlbprob.plot.style as style
from nlbprob.arguments import real_number
from nlbprob.plot.given import inferred

if TYPE_CHECKING:
    import xarray

    from nlbprob.posterior.posterior import Posterior

#: Decay times beyond so many trials are no longer told apart.
FOREVER = 100.0
#: What is drawn of each mode.
SHOWN = ("mean_frequency_hz", "mean_decay_ms", "frequency_hz", "decay_ms")


@style.drawing
def modes(
    posterior: "Posterior",
    ax: Any = None,
    *,
    dynamics: "xarray.Dataset | None" = None,
    longest_ms: float | int | None = None,
) -> Axes:
    """Decay time over frequency of each mode, with 90% intervals as bars.

    A mode is an eigenvalue of the transition matrix: undisturbed, it turns at its frequency and fades to 37% in its
    decay time. Above the dashed line it outlasts the longest trial. Modes are numbered from 1, slowest first.

    Args:
        posterior: of a fit.
        ax: Axes to draw in; None makes a figure 3.5 inches wide.
        dynamics: what `posterior.dynamics()` gives, where it is known already.
        longest_ms: where the dashed line is, in ms; by default the longest training trial.

    Returns:
        The Axes.

    Raises:
        InputError: no block has a transition matrix of its own.
    """
    found = inferred(posterior.dynamics() if dynamics is None else dynamics, SHOWN, None, "plot.modes", "dynamics")
    axes = style.placed(ax, (1,), "modes", height=2.9)[0]
    longest = posterior.context.n_bins * posterior.context.bin_ms
    longest = longest if longest_ms is None else real_number(longest_ms, "plot.modes", "longest_ms", above=0)
    frequency, decay = found["mean_frequency_hz"].values, found["mean_decay_ms"].values
    widths = found["decay_ms"].values
    between = np.stack([decay, decay], 1)
    if np.ptp(widths, axis=0).any():
        across, between = bounds(found["frequency_hz"].values), bounds(widths)
        style.segments(axes, across[:, 0], across[:, 1], decay, vertical=False, color=style.MODEL, alpha=0.6)
        style.segments(axes, between[:, 0], between[:, 1], frequency, color=style.MODEL, alpha=0.6)
    axes.plot(frequency, decay, "o", color=style.MODEL, markersize=3.8)
    for mode, *place in zip(found["mode"].values, frequency, decay, strict=True):
        axes.annotate(f"{mode}", place, (4, 3), textcoords="offset points", fontsize=8)
    style.log_axis(axes, "y", np.clip([*decay, *between.ravel(), longest], None, FOREVER * longest))
    axes.axhline(longest, color=style.MUTED, linewidth=0.8, linestyle="--", zorder=0)
    axes.set_xlim(left=min(0.0, -0.04 * axes.get_xlim()[1]))
    axes.set_xlabel("frequency (Hz)")
    axes.set_ylabel("decay time (ms)")
    return axes


def bounds(draws: np.ndarray) -> np.ndarray:
    """The 90% interval [mode, (low, high)] of draws [sample, mode]."""
    return np.quantile(draws, (0.05, 0.95), axis=0).T
