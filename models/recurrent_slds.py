"""Spike counts whose latents switch among linear dynamics depending on where they are (recurrent SLDS).

The regions of latent space in which each of the dynamics rules are part of the model (Linderman et al. 2017), so that
the whole is a readable nonlinear flow.
"""

import nlbprob as nlb


def model(
    *,
    states: int = 3,  # number of dynamics, each ruling in a region of latent space
    dim: int | None = None,  # number of latents; by default as many as LDS has
    dwell_ms: float = 200.0,  # how long a state lasts, by the prior's mean
):
    """Poisson counts driven by a recurrent switching linear dynamical system."""
    return nlb.Model(latents=[nlb.SwitchingLDS(states, dim, recurrent=True, dwell_ms=dwell_ms)])
