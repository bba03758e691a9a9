"""Several recordings of one area as one system: shared latents and linear dynamics, a readout for each session.

Neurons come and go from day to day, the computation stays: trajectories of a task are preserved over months and alike
in different animals (Gallego et al. 2020; Safaie et al. 2023), and sessions with few trials or few neurons borrow
dynamics from the others (Pandarinath et al. 2018). Hand it what `nlbprob.stitch({"day1": ..., "day2": ...})` returns:
each neuron has loadings and a baseline of its own, each trial sees the neurons of its session alone.

What ties the sessions together is how a trial starts and moves on. With trials aligned to an event of the task the
latents of all sessions are the same, up to one change of basis for all; `initial="condition"` ties those of each
condition. With pieces of spontaneous activity dynamics alone are shared: latents of one session may have the other
sign, or run ahead in phase.
"""

from typing import Literal

import nlbprob as nlb


def model(
    *,
    dim: int | None = None,  # number of latents; None: sqrt(neurons of the largest session x minutes), at most 32
    initial: Literal["shared", "condition"] = "shared",  # where trials start; "condition": by each trial's condition
    link: str = "exp",  # rate = link(loadings x + baseline): "exp" or "softplus"
):
    """Poisson counts of several sessions driven by one linear dynamical system."""
    return nlb.Model(latents=[nlb.LDS(dim, initial=initial)], observation=nlb.Poisson(link=link))
