"""Spike counts that follow one of a few canonical trajectories, with linear dynamics for how trials deviate from it.

In tasks with repeated conditions most of the structure is one mean trajectory a condition; the rest is what makes each
trial its own. A trial's template is inferred from its spikes: the conditions only set where the fit starts.
"""

import nlbprob as nlb


def model(
    *,
    components: int | None = None,  # number of templates; by default that of the conditions, or 8
    template_dim: int | None = None,  # latents of the templates; by default 0.8 sqrt(neurons), at most 10
    dim: int = 5,  # latents of the deviations, which are simpler than the templates
    smoothness_ms: float = 120.0,  # timescale of the templates
    temperature: float = 8.0,  # the higher, the less certain a trial's template, where it is predicted
    loading_scale: float = 0.25,  # size of one latent's effect on a log rate: the effects of all latents add up
):
    """Poisson counts driven by templates, and by a linear dynamical system with latents of its own."""
    templates = nlb.Templates(components, dim=template_dim, smoothness_ms=smoothness_ms, temperature=temperature)
    return nlb.Model(latents=[templates, nlb.LDS(dim)], readout=nlb.LinearReadout(loading_scale=loading_scale))
