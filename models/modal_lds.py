"""Spike counts driven by damped rotations, each with a frequency in Hz and a decay time in ms of its own.

Rotations are the signature of motor cortex during reaches (Churchland et al. 2012) and of rhythmic circuits; here their
frequencies and decays are parameters with posteriors, to be read off directly.
"""

import nlbprob as nlb


def model(
    *,
    dim: int | None = None,  # number of latents, two for each rotation; None: sqrt(neurons x minutes), at most 32
    link: str = "exp",  # rate = link(loadings x + baseline): "exp" or "softplus"
):
    """Poisson counts driven by independent damped rotations."""
    return nlb.Model(latents=[nlb.LDS(dim, dynamics="modal")], observation=nlb.Poisson(link=link))
