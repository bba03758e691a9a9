"""The bound while the model was fitted."""

import numpy as np
from jaxtyping import Float

from nlbprob import plot
from nlbprob.plot import style
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
    panels = [
        Panel.of(one, f"{ends[name]}, last {elbo[stage == name][-1]:.1f} nats")
        for one, name in zip(axes, present, strict=True)
    ]
    words = ["The evidence lower bound (ELBO) on all training trials, by iteration."]
    if "em" in present:
        words.append(
            "Variational EM finds the parameters; the curve should rise and flatten "
            f"(its last tenth gained {last_gain(elbo[stage == 'em'])}; the first leap is cut off)."
        )
    if "svi" in present:
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
