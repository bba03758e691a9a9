"""How neurons read the latents."""

from nlbprob import plot
from nlbprob.plot import style
from nlbprob.plot.readout import ROWS
from nlbprob.reporting.parts import Panel, Section
from nlbprob.reporting.view import View

#: Latents whose loadings are shown neuron by neuron, without areas and with, so that rows of panels are filled.
SINGLE, SINGLE_BESIDE_AREAS = 2, 4


def section(view: View) -> Section:
    """All loadings as an image, by area where there are areas, and those of the leading latents with intervals."""
    fit = view.posterior, view.trials
    neurons, latents = view.parameter_draws["loadings"].shape[1:]
    reading = (
        f"How much a neuron's {view.predictor} moves when a latent moves by one standard deviation. "
        "In the image a row is a neuron and a column a latent: orange raises the rate, blue lowers it"
    )
    if view.has_intervals:
        reading += "; loadings whose 90% interval holds 0 are pale. Bars in the other plots are 90% intervals"
    if neurons > ROWS:
        reading += f". The image shows the {ROWS} neurons with the strongest loadings"
    left = 23 if view.areas is None else 44
    panels = [Panel.of(plot.loadings(*fit, style.single(244, left)[1]), "Loadings of neurons on latents, as colors")]
    if view.areas is not None:
        label = "Root mean square loadings of the areas on each latent"
        panels.append(Panel.of(plot.loadings_by_area(*fit, style.single(244, 55)[1]), label))
    for latent in range(min(SINGLE if view.areas is None else SINGLE_BESIDE_AREAS, latents)):
        axes = plot.loadings_of_latent(*fit, latent, style.single(244, 34)[1])
        panels.append(Panel.of(axes, f"Sorted loadings on latent {latent + 1} with intervals"))
    heldout = view.trials.heldout.any()
    key = [(style.HELDOUT, "held-out neurons"), (style.HELDIN, "held-in neurons")] if heldout else []
    return Section("Loadings", reading + ".", panels, key)
