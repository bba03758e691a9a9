"""Draws of the parameters as arrays with named axes, on which neurons, latents and regimes have their labels."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from nlbprob.infer.parameters.sites import value_sites
from nlbprob.posterior.units import numbered, with_units

if TYPE_CHECKING:
    import xarray

    from nlbprob.posterior.posterior import Posterior

#: Dimensions of what is derived of parameters, by the last part of its name.
DERIVED = {
    "loadings": ("neuron", "latent"),
    "baseline": ("neuron",),
    "transition_matrix": ("latent", "latent_2"),
    "noise_covariance": ("latent", "latent_2"),
    "initial_mean": ("latent",),
    "initial_covariance": ("latent", "latent_2"),
    "templates": ("component", "time", "latent"),
}
#: Dimensions along which there are several of one kind, which are numbered.
COUNTED = ("regime", "component", "factor", "direction")


def parameters(posterior: "Posterior", draws: int, seed: int) -> "xarray.Dataset":
    """Draws of the parameters [sample, ...] with labelled axes, see `Posterior.parameters`."""
    import xarray

    found = parameter_variables(posterior, np.arange(posterior.context.n_neurons), draws, seed)
    sizes = {dim: length for dims, value in found.values() for dim, length in zip(dims, value.shape[1:], strict=True)}
    labels: dict[str, Any] = {"neuron": posterior.neuron_ids, "latent": posterior.model.latent_names}
    labels |= {f"{dim}_2": (f"{dim}_2", label) for dim, label in labels.items()} | choices(posterior, sizes)
    coords = {"sample": np.arange(draws)} | {dim: label for dim, label in labels.items() if dim in sizes}
    variables = {name: (("sample", *dims), value) for name, (dims, value) in found.items()}
    return with_units(xarray.Dataset(variables, coords))


def choices(posterior: "Posterior", sizes: Mapping[str, int]) -> dict[str, Any]:
    """The numbers of regimes, templates, factors, rotations and directions, and the latents of one block by name.

    Args:
        posterior: of the fit.
        sizes: by dimension; those of other kinds are left out.
    """
    names = {f"{block.name}_latent": block.latent_names for block in posterior.model.latents}
    found: dict[str, Any] = {}
    for dim, size in sizes.items():
        block, _, kind = dim.removesuffix("_2").rpartition("_")
        if kind in COUNTED or (block and kind == "pair"):  # "pair" itself is also of trials and neurons
            found[dim] = (dim, numbered(size))
        elif (label := names.get(dim.removesuffix("_2"))) is not None and len(label) == size:
            found[dim] = (dim, label)
    return found


def parameter_variables(posterior: "Posterior", neurons: np.ndarray, draws: int, seed: int) -> dict[str, tuple]:
    """Draws of all parameters with their dimensions: those that the model's sites name; of these of its neurons.

    An axis over the latents (or the regimes) of one block among several is named after the block. A site of a block
    whose latents can be turned lies in the model's own basis: its axis "lds_direction" has nothing to do with "latent",
    which is that of the canonical latents.
    """
    model, variables = posterior.model, {}
    sites = value_sites(model, posterior.context)
    turned = {latent.name for latent in model.latents if latent.rotatable}
    for name, value in posterior.parameter_draws(draws, seed).items():
        block, _, last_name = name.rpartition(".")
        dims = DERIVED.get(last_name or name) or (sites[name].dims if name in sites else ())
        axes = value.shape[1:]
        dims = ("regime", *dims) if len(dims) == len(axes) - 1 else dims  # one for each regime
        if len(dims) != len(axes):
            dims = tuple(f"{name}_dim_{axis}" for axis in range(len(axes)))
        full_sizes = {"latent": model.dim, "latent_2": model.dim, "time": posterior.context.n_bins}
        full_sizes |= dict.fromkeys(("neuron", "neuron_2"), posterior.context.n_neurons)
        if name in sites and block in turned:
            dims = tuple(d.replace("latent", f"{block}_direction") for d in dims)
        dims = tuple(
            f"{block or 'own'}_{d}" if full_sizes.get(d, n) != n else d for d, n in zip(dims, axes, strict=True)
        )
        for axis in [1 + axis for axis, dim in enumerate(dims) if dim in ("neuron", "neuron_2")]:
            value = np.take(value, neurons, axis)
        variables[name] = (dims, value)
    return told_apart(variables)


def told_apart(variables: Mapping[str, tuple[tuple[str, ...], Any]]) -> dict[str, tuple[tuple[str, ...], Any]]:
    """Dimensions and arrays by site, where axes of one name that differ in length are named after their blocks.

    Two dense `LDS` of different sizes have different numbers of "pair", which become "fast_pair" and "slow_pair".

    Args:
        variables: (dimensions besides that of draws, array) by the name of a site, "fast.rotation_hz".
    """
    lengths: dict[str, set[int]] = {}
    for dims, value in variables.values():
        for dim, length in zip(dims, np.shape(value)[1:], strict=True):
            lengths.setdefault(dim, set()).add(length)
    several = {dim for dim, found in lengths.items() if len(found) > 1}
    blocks = {name: name.rpartition(".")[0] or "own" for name in variables}
    return {
        name: (tuple(f"{blocks[name]}_{dim}" if dim in several else dim for dim in dims), value)
        for name, (dims, value) in variables.items()
    }
