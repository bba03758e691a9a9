"""Latent trajectories: time courses, and the state space."""

import numpy as np

from nlbprob import plot
from nlbprob.plot import style
from nlbprob.plot.courses import LATENTS, PAIRS
from nlbprob.plot.trials import SINGLE
from nlbprob.reporting.parts import Panel, Section
from nlbprob.reporting.view import View


def section(view: View) -> Section:
    """Time courses of the leading latents, and planes of two of them."""
    dim = view.parameter_draws["loadings"].shape[2]
    leading = f", the {LATENTS} of {dim} that carry most" if dim > LATENTS else ""
    lines = (
        "Thick lines are averages by condition, faint ones single trials"
        if view.has_conditions
        else "Each color is one trial with its 90% posterior interval, gray the average over trials"
    )
    reading = (
        f"The latents that the model infers{leading}, by their fraction of the {view.predictor}s' variance (the "
        f"percentage); each has unit size over a trial. {lines}; ± is the median posterior standard deviation of a "
        "single trial."
    )
    if dim > 1:
        reading += " The last plots draw two latents against each other, from the dot to the arrowhead."
    shown = view.trials.select(trials=view.latent_rows)
    which = np.searchsorted(view.latent_rows, view.examples)
    options = {"latents": view.latent_moments, "colors": view.colors, "which": which}
    courses = [style.single(130, 31)[1] for _ in range(min(LATENTS, dim))]
    plot.latents(view.posterior, shown, courses, **options)
    panels = [Panel.of(axes, f"Time course of latent {place + 1}") for place, axes in enumerate(courses)]
    planes = [style.single(229, 35)[1] for pair in PAIRS if max(pair) < dim]
    if planes:
        plot.trajectories(view.posterior, shown, planes, **options)
    panels += [Panel.of(axes, f"State space of {axes.get_title(loc='left')}") for axes in planes]
    examples = [(color, view.name_of(row)) for color, row in zip(SINGLE, view.examples, strict=False)]
    key = view.condition_key or [*examples, (style.MUTED, "average")]
    return Section("Latent trajectories", reading + view.conditions_left_out, panels, key)
