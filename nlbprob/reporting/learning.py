"""The bound while the model was fitted."""

import numpy as np
from jaxtyping import Float

from nlbprob import plot
from nlbprob.plot import style
from nlbprob.posterior.units import digits
from nlbprob.reporting.parts import Panel, Section
from nlbprob.reporting.view import View

#: The stages of a fit, and what their steps are called.
STAGES = {"em": "EM iterations", "svi": "stochastic steps"}


def section(view: View) -> Section:
    """The ELBO of both stages, each on its own scale."""
    history = view.posterior.history
    stage, elbo = np.asarray(history["stage"]), np.asarray(history["elbo"], float)
    present = [name for name in ("em", "svi") if (stage == name).any()]
    axes = [style.single(left=53)[1] for _ in present]
    if present:
        plot.learning(view.posterior, axes)
    ends = {name: f"ELBO over {(stage == name).sum()} {words}" for name, words in STAGES.items()}
    seen = {"em": rising, "svi": level}
    panels = [
        Panel.of(one, f"{ends[name]}, last {elbo[stage == name][-1]:.1f} nats", seen[name](elbo[stage == name]))
        for one, name in zip(axes, present, strict=True)
    ]
    words = ["The evidence lower bound (ELBO) on all training trials, by iteration."]
    if "em" in present:
        words.append(
            "Variational EM finds the parameters; the curve should rise and flatten (the first leap is cut off)."
        )
    if "svi" in present:
        words.append(
            "Stochastic steps then find how uncertain the parameters are: each dot is a noisy estimate from a few "
            "trials and one draw of the parameters, the line their running mean, which should be level at the end. "
            "This bound counts the parameters' uncertainty too, so its level lies below that of EM."
        )
    return Section("Fit", " ".join(words), panels)


def rising(values: Float[np.ndarray, " step"]) -> str:
    """The rise over the last tenth of the iterations, in nats and as a fraction of the total rise."""
    start = values[-1 - max(1, len(values) // 10)] if len(values) > 1 else values[0]
    rise = float(values[-1] - values[0])
    fraction = "" if rise <= 0 else f", {100 * (values[-1] - start) / rise:.2g}% of the total rise"
    return f"The last tenth of the iterations gained {digits(values[-1] - start)} nats{fraction}."


def level(values: Float[np.ndarray, " step"]) -> str:
    """The mean of the last quarter of noisy estimates less that of the quarter before, beside how far they scatter."""
    quarter = len(values) // 4
    if quarter < 2:
        return "Too few steps to see whether the bound is level."
    before, last = values[-2 * quarter : -quarter], values[-quarter:]
    change = digits(last.mean() - before.mean()).replace("-", "−")
    scatter = f"single steps scatter by {digits(last.std())}"
    return f"From the third quarter of the steps to the last the mean changed by {change} nats; {scatter}."
