"""Variational families over the parameters, each started where variational EM ended.

Every family is z = centre + root (shift + spread e), e ~ N(0, I), in unconstrained space, with shift 0 and spread I at the start:
one unit of `shift` is one posterior standard deviation of EM's curvature, so that one learning rate fits all parameters.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array, Float
from numpyro.distributions import biject_to, constraints

FAMILIES = ("neuron", "normal", "map")
#: Standard deviation, in unconstrained space, at which a parameter starts whose curvature is not known.
START_SCALE = 0.05


class Frame(NamedTuple):
    """Where a group of parameters starts: `centre` [row, width] and `root` [row, width, width]."""

    centre: Float[Array, "row width"]
    root: Float[Array, "row width width"]


class Part(NamedTuple):
    """One site's place in a group: its columns, and its shape in unconstrained space."""

    support: Any
    start: int
    width: int
    shape: tuple[int, ...]


class ParameterGuide:
    """A NumPyro guide over all parameter sites of a model, called with what the model is: (index, data, frames, store).

    family "neuron": a multivariate normal for each neuron's baseline and loadings, independent normals for the rest;
    "normal": independent normals throughout; "map": point estimates.
    shapes: a value (or its shape) of every site; supports: NumPyro constraints by site; neuron_sites: names of the readout's
    sites, the baseline first, which are rows of one group; every other site is a group of scalars.
    """

    def __init__(self, family: str, shapes, supports, neuron_sites: tuple[str, str]):
        self.family = family
        self.groups: dict[str, dict[str, Part]] = {"neuron": {}}
        start = 0
        for name in neuron_sites:
            width = 1 if len(shapes[name].shape) == 1 else shapes[name].shape[1]
            self.groups["neuron"][name] = Part(supports[name], start, width, shapes[name].shape)
            start += width
        for name in shapes:
            if name not in neuron_sites:
                shape = biject_to(supports[name]).inverse_shape(shapes[name].shape)
                self.groups[name] = {name: Part(supports[name], 0, 1, shape)}

    def frames(self, values, covariance) -> dict[str, Frame]:
        """The start at given values of all sites, with the covariance [neuron, width, width] of each neuron's row."""
        frames = {}
        for group, parts in self.groups.items():
            columns = [biject_to(part.support).inv(values[name]).reshape(-1, part.width) for name, part in parts.items()]
            centre = jnp.concatenate(columns, 1)
            if group == "neuron":
                root = jnp.linalg.cholesky(covariance)
                if self.family != "neuron":
                    root = conditional_scale(root)
            else:
                root = jnp.full((*centre.shape, 1), START_SCALE, centre.dtype)
            frames[group] = Frame(centre, root)
        return frames

    def __call__(self, index, data, frames, store):
        for group, parts in self.groups.items():
            z = self.unconstrained(group, frames[group])
            for name, part in parts.items():
                raw, value = constrained(z, part)
                # A point estimate maximises the density of the parameters themselves, whatever their transform.
                point = self.family == "map"
                jacobian = 0.0 if point else biject_to(part.support).log_abs_det_jacobian(raw, value).sum()
                numpyro.sample(name, dist.Delta(value, log_density=-jacobian, event_dim=value.ndim))

    def unconstrained(self, group: str, frame: Frame):
        """Sample the rows of a group."""
        rows, width = frame.centre.shape
        shift = numpyro.param(f"{group}.shift", jnp.zeros_like(frame.centre))
        location = frame.centre + jnp.einsum("rij,rj->ri", frame.root, shift)
        if self.family == "map":
            return location
        identity = jnp.eye(width, dtype=shift.dtype)
        if self.family == "neuron" and width > 1:
            start = jnp.broadcast_to(identity, (rows, width, width))
            spread = numpyro.param(f"{group}.spread", start, constraint=constraints.lower_cholesky)
        else:
            scale = numpyro.param(f"{group}.spread", jnp.ones_like(frame.centre), constraint=constraints.positive)
            spread = scale[..., None] * identity
        rows_posterior = dist.MultivariateNormal(location, scale_tril=frame.root @ spread).to_event(1)
        return numpyro.sample(f"_{group}", rows_posterior, infer={"is_auxiliary": True})

    def untouched(self, frames) -> dict[str, Array]:
        """The guide's parameters before any step: the posterior that EM's curvature suggests."""

        @jax.jit
        def parameters(frames):
            seeded = numpyro.handlers.trace(numpyro.handlers.seed(self, jax.random.key(0)))
            sites = seeded.get_trace(None, None, frames, None)
            return {name: site["value"] for name, site in sites.items() if site["type"] == "param"}

        return parameters(frames)

    def locations(self, params, frames) -> dict[str, Array]:
        """The value of every site at the centre of the fitted guide."""
        values = {}
        for group, parts in self.groups.items():
            z = frames[group].centre + jnp.einsum("rij,rj->ri", frames[group].root, params[f"{group}.shift"])
            values |= {name: constrained(z, part)[1] for name, part in parts.items()}
        return values

    def draws(self, params, frames, key, count: int) -> dict[str, Array]:
        """Draws of every site from the fitted guide [sample, ...]."""
        names = [name for parts in self.groups.values() for name in parts]

        @jax.jit
        def sample(params, frames, keys):
            program = numpyro.handlers.substitute(self, data=params)

            def one(key):
                sites = numpyro.handlers.trace(numpyro.handlers.seed(program, key)).get_trace(None, None, frames, None)
                return {name: sites[name]["value"] for name in names}

            return jax.lax.map(one, keys)

        return sample(params, frames, jax.random.split(key, count))


def constrained(z, part: Part):
    """A site's columns of a group's rows, in unconstrained space and as the site's value."""
    raw = z[:, part.start : part.start + part.width].reshape(part.shape)
    return raw, biject_to(part.support)(raw)


def conditional_scale(root: Float[Array, "row width width"]) -> Float[Array, "row width width"]:
    """The standard deviation of each parameter given the others, on a diagonal: where independent normals start."""
    precision = jnp.linalg.inv(root @ root.mT)
    return jnp.eye(root.shape[-1], dtype=root.dtype) / jnp.sqrt(jnp.diagonal(precision, axis1=-2, axis2=-1))[..., None]
