"""Latents along orthonormal directions in the space of neurons."""

from typing import TYPE_CHECKING

import numpy as np

from nlbprob.posterior.units import numbered, with_units

if TYPE_CHECKING:
    import xarray

    from nlbprob.data.trials import Trials
    from nlbprob.posterior.posterior import Posterior


def orthonormal_latents(posterior: "Posterior", trials: "Trials") -> "xarray.Dataset":
    """Orthonormal latents of some trials, see `Posterior.orthonormal_latents`."""
    import xarray

    found = posterior.latents(trials)
    loadings = np.asarray(posterior.parameter_mean["loadings"], float)
    directions, size, axes = np.linalg.svd(loadings, full_matrices=False)
    signs = np.where((directions**3).sum(0) < 0, -1.0, 1.0)
    directions, turn = directions * signs, (axes.T * size * signs)
    squares = size**2
    names = numbered(len(size))
    dims = ("trial", "time", "direction")
    dataset = xarray.Dataset(
        {
            "mean": (dims, found["mean"].values @ turn),
            "covariance": ((*dims, "direction_2"), turn.T @ found["covariance"].values @ turn),
            "directions": (("neuron", "direction"), directions),
            "variance": ("direction", squares / squares.sum()),
            "used": ((), squares.sum() ** 2 / (squares**2).sum(), {"units": "latents"}),
        },
        {"trial": found["trial"], "time": found["time"], "direction": names, "direction_2": names}
        | {"neuron": posterior.neuron_ids},
    )
    return with_units(dataset)
