"""Spike counts that are Poisson given a few smooth latents, each with a timescale of its own: Poisson GPFA."""

from typing import Literal

import nlbprob as nlb

KERNELS = {"matern12": nlb.Matern12, "matern32": nlb.Matern32, "matern52": nlb.Matern52}


def model(
    *,
    dim: int | None = None,  # number of latents; by default the square root of the number of neurons, at most 24
    kernel: Literal["matern12", "matern32", "matern52"] = "matern32",  # from rough to smooth latents
    link: str = "exp",  # rate = link(loadings x + baseline): "exp" or "softplus"
):
    """Poisson counts driven by independent Gaussian processes."""
    return nlb.Model(latents=[nlb.GP(KERNELS[kernel](), dim)], observation=nlb.Poisson(link=link))
