"""Lengthscales, periods and decay times of latents that are no modes of a transition matrix."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from nlbprob.blocks.latent import Latent
from nlbprob.errors import InputError
from nlbprob.posterior.mode_draws import chains_with_modes
from nlbprob.posterior.units import numbered, unit_of

if TYPE_CHECKING:
    import xarray

    from nlbprob.posterior.posterior import Posterior


def timescales(posterior: "Posterior", draws: int, seed: int) -> "xarray.Dataset":
    """Draws of the timescales with their units, see `Posterior.timescales`."""
    import xarray

    labels, values = site_draws(posterior, draws, seed)
    if not labels:
        raise InputError(
            "timescales: no block has timescales of its own, as GPs and latents that only decay have; the modes of "
            "linear dynamics are in posterior.dynamics()."
        )
    sites = [label.partition("[")[0] for label in labels]
    coords = {
        "sample": np.arange(draws),
        "timescale": labels,
        "units": ("timescale", [unit_of(site) for site in sites]),
        "block": ("timescale", [site.rpartition(".")[0] for site in sites]),
    }
    return xarray.Dataset({"value": (("sample", "timescale"), values)}, coords)


def site_draws(
    posterior: "Posterior", draws: int, seed: int
) -> tuple[list[str], Float[np.ndarray, "sample timescale"]]:
    """The sites in ms and Hz of latents that are no modes and are not mixed with others: their names, their draws."""
    modal, sites = chains_with_modes(posterior), posterior.parameter_sites(draws, seed)
    labels, columns = [], []
    for block in posterior.model.latents:
        if not isinstance(block, Latent) or block.name in modal or block.rotatable or block.n_regimes:
            continue
        for name, value in sites.items():
            if name.startswith(f"{block.name}.") and name.endswith(("_ms", "_hz")):
                flat = value.reshape(len(value), -1)
                own = len(block.latent_names) == flat.shape[1]
                places = block.latent_names if own else numbered(flat.shape[1])
                labels += [f"{name}[{place}]" for place in places] if value.ndim > 1 else [name]
                columns.append(flat)
    return labels, np.concatenate(columns, 1) if columns else np.zeros((draws, 0))
