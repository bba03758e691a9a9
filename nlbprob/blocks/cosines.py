"""Smooth functions of the time in a trial: cosines of its window, each with its prior standard deviation."""

import math

import numpy as np
from jaxtyping import Float

from nlbprob.blocks.base import Context


def cosines(context: Context, smoothness_ms: float, highest_hz: float) -> Float[np.ndarray, "time basis"]:
    """s_j phi_j(t): cosines of the window, s_j^2 the spectral density of a Matern 5/2 process of unit variance.

    With coefficients ~ N(0, 1) their sum is that process, up to a highest frequency (Solin and Sarkka 2020, "Hilbert
    space methods for reduced-rank Gaussian process regression").

    Args:
        context: facts of the training data.
        smoothness_ms: lengthscale of the process in ms.
        highest_hz: highest frequency of the cosines in Hz.
    """
    bins = context.n_bins
    seconds = bins * context.bin_ms / 1000
    count = min(bins, 1 + math.ceil(2 * seconds * highest_hz))
    order = np.arange(count)
    waves = np.cos(np.pi * order * (np.arange(bins)[:, None] + 0.5) / bins)
    angular = np.pi * order / seconds
    rate = math.sqrt(5) / (smoothness_ms / 1000)
    density = (rate**2 + angular**2) ** -3.0
    return waves * np.sqrt(density / (density @ np.where(order == 0, 1.0, 0.5)))


def on_basis(
    basis: Float[np.ndarray, "time basis"], trajectories: Float[np.ndarray, "row time latent"]
) -> Float[np.ndarray, "row basis latent"]:
    """Coefficients of trajectories, by ridge regression on a basis."""
    gram = basis.T @ basis + 0.1 * np.eye(basis.shape[1])
    return np.einsum("ij,tj,ktl->kil", np.linalg.inv(gram), basis, trajectories)
