"""Spike counts that are Poisson given a few latents with linear dynamics: the model to start from."""

import nlbprob as nlb


def model(
    *,
    dim: int | None = None,  # number of latents; None: sqrt(neurons x minutes), at most 32
    link: str = "exp",  # rate = link(loadings x + baseline): "exp" or "softplus"
):
    """Poisson counts driven by a linear dynamical system."""
    return nlb.Model(latents=[nlb.LDS(dim)], observation=nlb.Poisson(link=link))
