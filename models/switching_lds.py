"""Spike counts whose latents follow one of a few linear dynamics at a time, switching among them (SLDS)."""

import nlbprob as nlb


def model(
    *,
    states: int = 3,  # number of dynamics to switch among
    dim: int | None = None,  # number of latents; by default as many as LDS has
    dwell_ms: float = 200.0,  # how long a state lasts, by the prior's mean
):
    """Poisson counts driven by a switching linear dynamical system with sticky transitions."""
    return nlb.Model(latents=[nlb.SwitchingLDS(states, dim, dwell_ms=dwell_ms)])
