"""How neurons read the latents."""

import numpy as np

from nlbprob import plot
from nlbprob.plot import style
from nlbprob.plot.courses import leading
from nlbprob.plot.readout import ROWS
from nlbprob.reporting.numbers import percent
from nlbprob.reporting.parts import Key, Panel, Section
from nlbprob.reporting.view import View

#: Latents whose loadings are shown neuron by neuron, without areas and with, so that rows of panels are filled.
SINGLE, SINGLE_BESIDE_AREAS = 2, 4


def section(view: View) -> Section:
    """All loadings as an image, by area where there are areas, and those of the leading latents with intervals."""
    fit = view.posterior, view.trials
    neurons = view.parameter_draws["loadings"].shape[1]
    reading = (
        f"How much a neuron's {view.predictor} moves when a latent moves by 1, its size over the trials. "
        "In the image a row is a neuron and a column a latent: orange raises the rate, blue lowers it"
    )
    if view.has_intervals:
        reading += "; loadings whose 90% interval holds 0 are pale. Bars in the other plots are 90% intervals"
    if neurons > ROWS:
        reading += f". The image shows the {ROWS} neurons with the strongest loadings"
    left = 23 if view.areas is None else 44
    axes = plot.loadings(*fit, style.single(244, left)[1])
    panels = [Panel.of(axes, "Loadings of neurons on latents, as colors", seen(view))]
    if view.areas is not None:
        label = "Root mean square loadings of the areas on each latent"
        panels.append(Panel.of(plot.loadings_by_area(*fit, style.single(244, 55)[1]), label, seen_by_area(view)))
    names = view.posterior.model.latent_names
    for latent in leading(view.posterior, SINGLE if view.areas is None else SINGLE_BESIDE_AREAS):
        axes = plot.loadings_of_latent(*fit, latent, style.single(244, 34)[1])
        label = f"Sorted loadings on {names[latent]} with intervals"
        panels.append(Panel.of(axes, label, seen_on(view, latent)))
    heldout = view.trials.heldout.any()
    of_points = [Key(style.HELDOUT, "held-out neurons", "triangle"), Key(style.HELDIN, "held-in neurons", "dot")]
    key = of_points if heldout else []
    return Section("Loadings", reading + ".", panels, key)


def signs(view: View) -> np.ndarray:
    """[neuron, latent]: 1 or -1 where the 90% interval of a loading lies above or below 0, else 0."""
    low, high = np.quantile(view.parameter_draws["loadings"], [0.05, 0.95], axis=0)
    return np.where(low > 0, 1, np.where(high < 0, -1, 0))


def seen(view: View) -> str:
    """How many loadings are told apart from 0."""
    if not view.has_intervals:
        return ""
    apart = signs(view) != 0
    none = int((~apart.any(1)).sum())
    return (
        f"{percent(float(apart.mean()))} of the loadings have an interval without 0; {none} of {len(apart)} neurons "
        "have none such."
    )


def seen_by_area(view: View) -> str:
    """The largest dot."""
    assert view.areas is not None
    names, mean = np.unique(view.areas), view.parameter_draws["loadings"].mean(0)
    size = np.stack([np.sqrt((mean[view.areas == name] ** 2).mean(0)) for name in names])
    area, latent = np.unravel_index(size.argmax(), size.shape)
    return f"Largest: {names[area]} on {view.posterior.model.latent_names[latent]}, {size.max():.2f}."


def seen_on(view: View, latent: int) -> str:
    """How many neurons a latent raises, and how many it lowers."""
    if not view.has_intervals:
        return ""
    sign = signs(view)[:, latent]
    up, down = int((sign > 0).sum()), int((sign < 0).sum())
    return f"It raises {up} neurons and lowers {down}; the interval of the other {len(sign) - up - down} includes 0."
