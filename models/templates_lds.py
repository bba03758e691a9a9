"""Spike counts that follow one of a few canonical trajectories, with linear dynamics for how trials deviate from it.

In tasks with repeated conditions most of the structure is one mean trajectory a condition; the rest is what makes each
trial its own. A trial's template is inferred from its spikes: the conditions only say where the fit starts.
"""

import nlbprob as nlb


def model(
    *,
    components: int | None = None,  # number of templates; by default that of the conditions, or 8
    dim: int | None = None,  # number of latents; by default the square root of the number of neurons, at most 24
    smoothness_ms: float = 120.0,  # timescale of the templates
):
    """Poisson counts driven by templates and a linear dynamical system on the same latents."""
    templates = nlb.Templates(components, on="lds", smoothness_ms=smoothness_ms)
    return nlb.Model(latents=[templates, nlb.LDS(dim)])
