"""The bound while a model was fitted."""

from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

import nlbprob.plot.style as style
from nlbprob.errors import InputError

if TYPE_CHECKING:
    from nlbprob.posterior.posterior import Posterior


@style.drawing
def learning(posterior: "Posterior", ax: Any = None) -> np.ndarray:
    """The evidence lower bound (ELBO) on all training trials by iteration, each stage on a scale of its own.

    Of EM the bound after each iteration, zoomed to what comes after the first leap; of stochastic steps the noisy
    estimate of each, and the mean over a tenth of the steps on either side.

    Args:
        posterior: of a fit.
        ax: Axes to draw in, one for each stage that the fit has; None makes a figure 3.5 inches wide.

    Returns:
        The Axes, "em" before "svi".

    Raises:
        InputError: the fit has no iteration of either stage.
    """
    stage, seconds = np.asarray(posterior.history["stage"]), np.asarray(posterior.history["seconds"], float)
    drawn = [name for name in ("em", "svi") if (stage == name).any()]
    if not drawn:
        raise InputError("plot.learning: the posterior was not iterated, so that it has no bound.")
    array = style.placed(ax, (len(drawn),), "learning", height=2.1)
    for axes, name in zip(array, drawn, strict=True):
        values = posterior.elbo[stage == name]
        if name == "em":
            variational_em(axes, values, seconds[stage == "em"][-1])
        else:
            stochastic(axes, values, seconds[-1] - seconds[stage != "svi"][-1:].sum())
        style.whole(axes.xaxis)
        axes.set_ylabel("ELBO (1000 nats)")
    return array


def variational_em(axes: Axes, values: Float[np.ndarray, " step"], seconds: float) -> None:
    """The bound after each EM iteration, zoomed to the part after the first leap."""
    axes.plot(np.arange(1, len(values) + 1), values / 1000, color=style.MODEL, marker="o", markersize=2.3)
    visible = values[2:] if len(values) > 3 else values
    axes.set_ylim(style.limits(visible / 1000, 0.1))
    axes.set_xlabel("iteration")
    axes.set_title(f"Variational EM, {seconds:.0f} s")


def stochastic(axes: Axes, values: Float[np.ndarray, " step"], seconds: float) -> None:
    """Noisy estimates of the bound, and their running mean over a tenth of the steps on either side."""
    steps, smooth = np.arange(1, len(values) + 1), running_mean(values, max(1, len(values) // 10))
    axes.plot(steps, values / 1000, "o", color=style.MUTED, markersize=2.3, alpha=0.6, markeredgewidth=0)
    axes.plot(steps, smooth / 1000, color=style.MODEL, linewidth=1.5)
    inner = np.quantile(values, [0.02, 0.98])
    axes.set_ylim(style.limits(np.concatenate([inner, smooth]) / 1000, 0.1))
    axes.set_xlabel("step")
    axes.set_title(f"Stochastic steps, {seconds:.0f} s")


def running_mean(values: Float[np.ndarray, " step"], reach: int) -> Float[np.ndarray, " step"]:
    """Mean of the values within `reach` steps, of fewer at both ends."""
    window = np.ones(2 * reach + 1)
    inside = np.convolve(np.ones(len(values)), window)[reach : reach + len(values)]
    return np.convolve(values, window)[reach : reach + len(values)] / inside
