"""How far the subspaces of repeated fits agree."""

import numpy as np
from jaxtyping import Float


def subspace_overlap(angles_deg: Float[np.ndarray, "fit latent"]) -> Float[np.ndarray, " fit"]:
    """The mean squared cosine of the angles between the spans of the loadings of two fits.

    That is |U'V|^2 / K of orthonormal bases U and V [neuron, K] of both.
    1: the same span; 0: orthogonal ones. Spans of K latents among N neurons that have nothing to do with each other
    overlap by K / N on average. Every latent counts alike, however little it moves the rates.

    Args:
        angles_deg: principal angles between the span of a fit and those of others, as `nlbprob.replicate` gives them.
    """
    return (np.cos(np.radians(angles_deg)) ** 2).mean(-1)
