"""Variational families over the parameters, each started where variational EM ended.

Every family is z = centre + root (shift + spread e), e ~ N(0, I), in unconstrained space, with shift 0 and spread I at the start:
one unit of `shift` is one posterior standard deviation of EM's curvature, so that one learning rate fits all parameters.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array, Float
from numpyro.distributions import biject_to, constraints

FAMILIES = ("neuron", "normal", "map")
#: Standard deviation, in unconstrained space, at which a parameter starts whose curvature is not known.
START_SCALE = 0.05


class Group(NamedTuple):
    """Parameters that one multivariate normal a row describes: `centre` [row, width], `root` [row, width, width].

    sites: name -> (support, first column, number of columns, shape of the site's value, shape in unconstrained space).
    """

    centre: Float[Array, "row width"]
    root: Float[Array, "row width width"]
    sites: Mapping[str, tuple]


class ParameterGuide:
    """A NumPyro guide over all parameter sites of a model.

    family "neuron": a multivariate normal for each neuron's baseline and loadings, independent normals for the rest;
    "normal": independent normals throughout; "map": point estimates.
    values: where to start, by site; supports: NumPyro constraints by site; neuron_sites: names of the readout's sites, the
    baseline first; neuron_covariance [neuron, 1 + latent, 1 + latent]: from the curvature of their expected likelihood.
    """

    def __init__(self, family: str, values, supports, neuron_sites, neuron_covariance):
        self.family = family
        self.groups: dict[str, Group] = {"neuron": neuron_group(values, supports, neuron_sites, neuron_covariance)}
        rest = [name for name in values if name not in neuron_sites]
        self.groups |= {name: scalar_group(name, values[name], supports[name]) for name in rest}

    def __call__(self, *args, **kwargs):
        for name, group in self.groups.items():
            z = self._unconstrained(name, group)
            for site, (support, start, width, shape, inner) in group.sites.items():
                transform, raw = biject_to(support), z[:, start : start + width].reshape(inner)
                value = transform(raw).reshape(shape)
                # A point estimate maximises the density of the parameters themselves, whatever their transform.
                jacobian = 0.0 if self.family == "map" else transform.log_abs_det_jacobian(raw, value).sum()
                numpyro.sample(site, dist.Delta(value, log_density=-jacobian, event_dim=value.ndim))

    def _unconstrained(self, name: str, group: Group):
        rows, width = group.centre.shape
        shift = numpyro.param(f"{name}.shift", jnp.zeros_like(group.centre))
        if self.family == "map":
            return group.centre + jnp.einsum("rij,rj->ri", group.root, shift)
        if self.family == "neuron" and width > 1:
            start = jnp.broadcast_to(jnp.eye(width, dtype=shift.dtype), (rows, width, width))
            spread = numpyro.param(f"{name}.spread", start, constraint=constraints.lower_cholesky)
        else:
            scale = numpyro.param(f"{name}.spread", jnp.ones_like(group.centre), constraint=constraints.positive)
            spread = scale[..., None] * jnp.eye(width, dtype=shift.dtype)
        location = group.centre + jnp.einsum("rij,rj->ri", group.root, shift)
        root = group.root @ spread if self.family == "neuron" else marginal(group.root) * spread
        posterior = dist.MultivariateNormal(location, scale_tril=root).to_event(1)
        return numpyro.sample(f"_{name}", posterior, infer={"is_auxiliary": True})


def draws(guide: ParameterGuide, params, key, count: int) -> dict[str, Array]:
    """Draws of every site from the fitted guide [sample, ...]."""

    @jax.jit
    def sample(params, keys):
        program = numpyro.handlers.substitute(guide, data=params)

        def one(key):
            sites = numpyro.handlers.trace(numpyro.handlers.seed(program, key)).get_trace()
            return {name: sites[name]["value"] for group in guide.groups.values() for name in group.sites}

        return jax.lax.map(one, keys)

    return sample(params, jax.random.split(key, count))


def locations(guide: ParameterGuide, params) -> dict[str, Array]:
    """The value of every site at the centre of the fitted guide."""
    values = {}
    for name, group in guide.groups.items():
        z = group.centre + jnp.einsum("rij,rj->ri", group.root, params[f"{name}.shift"])
        for site, (support, start, width, shape, inner) in group.sites.items():
            values[site] = biject_to(support)(z[:, start : start + width].reshape(inner)).reshape(shape)
    return values


def marginal(root: Float[Array, "row width width"]) -> Float[Array, "row width 1"]:
    """Conditional standard deviations of a row of parameters: the scales that independent normals start from."""
    precision = jnp.linalg.inv(root @ root.mT)
    return (1 / jnp.sqrt(jnp.diagonal(precision, axis1=-2, axis2=-1)))[..., None]


def neuron_group(values, supports, names, covariance) -> Group:
    """Baseline and loadings of each neuron as one row."""
    baseline, loadings = (biject_to(supports[name]).inv(values[name]) for name in names)
    width = loadings.shape[1]
    sites = {
        names[0]: (supports[names[0]], 0, 1, baseline.shape, baseline.shape),
        names[1]: (supports[names[1]], 1, width, loadings.shape, loadings.shape),
    }
    return Group(jnp.concatenate([baseline[:, None], loadings], 1), jnp.linalg.cholesky(covariance), sites)


def scalar_group(name: str, value, support) -> Group:
    """Every entry of one site, in unconstrained space, as a row of its own."""
    raw = biject_to(support).inv(value)
    size = math.prod(raw.shape)
    root = jnp.full((size, 1, 1), START_SCALE, raw.dtype)
    return Group(raw.reshape(size, 1), root, {name: (support, 0, 1, value.shape, raw.shape)})
