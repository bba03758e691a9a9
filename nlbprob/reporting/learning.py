"""The bound while the model was fitted."""

import numpy as np
from jaxtyping import Float

from nlbprob.reporting import style
from nlbprob.reporting.parts import Panel, Section
from nlbprob.reporting.view import View


def section(view: View) -> Section:
    """The ELBO of both stages, each on its own scale."""
    history = view.posterior.history
    stage, elbo = np.asarray(history["stage"]), np.asarray(history["elbo"], float)
    seconds = np.asarray(history["seconds"], float)
    panels, words = [], ["The evidence lower bound (ELBO) on all training trials, by iteration."]
    if (stage == "em").any():
        values = elbo[stage == "em"]
        panels.append(variational_em(values, seconds[stage == "em"][-1]))
        words.append(
            "Variational EM finds the parameters; the curve should rise and flatten "
            f"(its last tenth gained {last_gain(values)}; the first leap is cut off)."
        )
    if (stage == "svi").any():
        panels.append(stochastic(elbo[stage == "svi"], seconds[-1] - seconds[stage != "svi"][-1:].sum()))
        words.append(
            "Stochastic steps then find how uncertain the parameters are: each dot is a noisy estimate from a few "
            "trials and one draw of the parameters, the line their running mean, which should be level at the end. "
            "This bound counts the parameters' uncertainty too, so its level lies below that of EM."
        )
    return Section("Fit", " ".join(words), panels)


def last_gain(values: Float[np.ndarray, " step"]) -> str:
    """The rise over the last tenth of the iterations, in nats and as a fraction of the total rise."""
    start = values[-1 - max(1, len(values) // 10)] if len(values) > 1 else values[0]
    rise = float(values[-1] - values[0])
    fraction = "" if rise <= 0 else f", {100 * (values[-1] - start) / rise:.2g}% of the total rise"
    return f"{values[-1] - start:.3g} nats{fraction}"


def variational_em(values: Float[np.ndarray, " step"], seconds: float) -> Panel:
    """The exact bound after each EM iteration, zoomed to the part after the first leap."""
    figure, axes = style.single(left=70)
    axes.plot(np.arange(1, len(values) + 1), values / 1000, color=style.MODEL, marker="o", markersize=3)
    visible = values[2:] if len(values) > 3 else values
    axes.set_ylim(style.limits(visible / 1000, 0.1))
    style.whole(axes.xaxis)
    axes.set_xlabel("iteration")
    axes.set_ylabel("ELBO (1000 nats)")
    heading = f"Variational EM, {seconds:.0f} s"
    return Panel(heading, figure, f"ELBO over {len(values)} EM iterations, ending at {values[-1]:.1f} nats")


def stochastic(values: Float[np.ndarray, " step"], seconds: float) -> Panel:
    """Noisy estimates of the bound, and their running mean over a tenth of the steps on either side."""
    figure, axes = style.single(left=70)
    steps, smooth = np.arange(1, len(values) + 1), running_mean(values, max(1, len(values) // 10))
    axes.plot(steps, values / 1000, "o", color=style.MUTED, markersize=3, alpha=0.6, markeredgewidth=0)
    axes.plot(steps, smooth / 1000, color=style.MODEL, linewidth=2)
    inner = np.quantile(values, [0.02, 0.98])
    axes.set_ylim(style.limits(np.concatenate([inner, smooth]) / 1000, 0.1))
    style.whole(axes.xaxis)
    axes.set_xlabel("step")
    axes.set_ylabel("ELBO (1000 nats)")
    heading = f"Stochastic steps, {seconds:.0f} s"
    return Panel(heading, figure, f"ELBO estimates over {len(values)} steps, mean at the end {smooth[-1]:.1f} nats")


def running_mean(values: Float[np.ndarray, " step"], reach: int) -> Float[np.ndarray, " step"]:
    """Mean of the values within `reach` steps, of fewer at both ends."""
    window = np.ones(2 * reach + 1)
    inside = np.convolve(np.ones(len(values)), window)[reach : reach + len(values)]
    return np.convolve(values, window)[reach : reach + len(values)] / inside
