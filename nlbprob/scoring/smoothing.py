"""Gaussian smoothing in time that knows what was seen."""

import numpy as np
from jaxtyping import Bool, Float, Num, Shaped

#: The kernel ends this many standard deviations from its center.
TRUNCATE = 4.0


def gaussian_sums(
    values: Shaped[np.ndarray, "group time neuron"], sd_bins: float
) -> Float[np.ndarray, "group time neuron"]:
    """sum over u of g(t - u) values[u], g a Gaussian of standard deviation sd_bins with sum 1; 0 beyond the window."""
    from scipy import ndimage

    return ndimage.gaussian_filter1d(
        values.astype(np.float64), sd_bins, axis=1, mode="constant", cval=0.0, truncate=TRUNCATE
    )


def smooth(
    counts: Num[np.ndarray, "trial time neuron"], seen: Bool[np.ndarray, "trial time neuron"], sd_bins: float
) -> Float[np.ndarray, "trial time neuron"]:
    """Counts smoothed in time by a Gaussian of standard deviation `sd_bins`, in spikes/bin.

    sum over seen u of g(t - u) k[u], over the sum over seen u of g(t - u): unseen bins and what lies beyond the window
    have no weight, so a constant rate stays constant up to the edges. NaN where no bin within four sd is seen.
    """
    spikes = gaussian_sums(np.where(seen, counts, 0), sd_bins)
    # Mostly all neurons are recorded together, and then one of them has the weights of all.
    together = seen[..., :1] if (seen == seen[..., :1]).all() else seen
    weight = np.broadcast_to(gaussian_sums(together, sd_bins), spikes.shape)
    return np.divide(spikes, weight, out=np.full_like(spikes, np.nan), where=weight > 0)
