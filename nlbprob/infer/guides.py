"""Variational families over the parameters, each started where variational EM ended.

Every family is z = centre + root (shift + spread e), e ~ N(0, I), in unconstrained space, with shift 0 and spread I
at the start: one unit of `shift` is one posterior standard deviation of EM's curvature, so that one learning rate
fits all parameters.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array, Float
from numpyro.distributions import biject_to

from nlbprob.infer.ahead import jit

FAMILIES = ("neuron", "normal", "map")
#: Standard deviation, in unconstrained space, at which a parameter starts whose curvature is not known.
START_SCALE = 0.05


class Frame(NamedTuple):
    """Where a group of parameters starts: `centre` [row, width] and a lower-triangular `root` [row, width, width]."""

    centre: Float[Array, "row width"]
    root: Float[Array, "row width width"]


class Part(NamedTuple):
    """One site's place in a group: which rows and columns, and its shape in unconstrained space."""

    support: Any
    rows: slice
    columns: slice
    shape: tuple[int, ...]


class ParameterGuide:
    """A NumPyro guide over all parameter sites of a model, called with what the model is: (index, data, frames, store).

    family "neuron": a multivariate normal for each neuron's baseline and loadings, independent normals for the rest;
    "normal": independent normals throughout; "map": point estimates.
    shapes: a value (or its shape) of every site; supports: NumPyro constraints by site; neuron_sites: names of the
    readout's sites, the baseline first, which are the columns of the group "neuron" (there may be none); the entries
    of all others are the rows of "rest".
    """

    def __init__(self, family: str, shapes, supports, neuron_sites: tuple[str, ...]):
        self.family = family
        neuron: dict[str, Part] = {}
        rest: dict[str, Part] = {}
        start = 0
        for name in neuron_sites:
            shape = shapes[name].shape
            width = math.prod(shape[1:])
            neuron[name] = Part(supports[name], slice(None), slice(start, start + width), shape)
            start += width
        start = 0
        for name in shapes:
            if name not in neuron_sites:
                shape = biject_to(supports[name]).inverse_shape(shapes[name].shape)
                rest[name] = Part(supports[name], slice(start, start + math.prod(shape)), slice(None), shape)
                start += math.prod(shape)
        self.groups = {name: parts for name, parts in (("neuron", neuron), ("rest", rest)) if parts}

    @property
    def rest(self) -> list[str]:
        """The sites that are not the readout's."""
        return list(self.groups.get("rest", {}))

    def frames(self, values, covariance, scales=None) -> dict[str, Frame]:
        """The start at given values of all sites.

        covariance [neuron, width, width]: of each neuron's row; scales: standard deviations of the rest, in
        unconstrained space, where they are known.
        """
        raw = {
            name: biject_to(part.support).inv(values[name])
            for parts in self.groups.values()
            for name, part in parts.items()
        }
        frames = {}
        for group, parts in self.groups.items():
            if group == "neuron":
                centre = jnp.concatenate([raw[name].reshape(covariance.shape[0], -1) for name in parts], 1)
                root = jnp.linalg.cholesky(covariance)
                root = root if self.family == "neuron" else conditional_scale(root)
            else:
                centre = jnp.concatenate([raw[name].reshape(-1, 1) for name in parts])
                root = jnp.full((*centre.shape, 1), START_SCALE, centre.dtype)
                if scales is not None:
                    root = jnp.concatenate([scales[name].reshape(-1, 1, 1) for name in parts])
            frames[group] = Frame(centre, root)
        return frames

    def __call__(self, index, data, frames, store):
        for group, parts in self.groups.items():
            z, log_volume = self.unconstrained(group, frames[group])
            for name, part in parts.items():
                raw, value = constrained(z, part)
                # A point estimate maximises the density of the parameters themselves, whatever their transform.
                if self.family != "map":
                    log_volume = log_volume + biject_to(part.support).log_abs_det_jacobian(raw, value).sum()
                numpyro.sample(name, dist.Delta(value, log_density=-log_volume, event_dim=value.ndim))
                log_volume = 0.0

    def unconstrained(self, group: str, frame: Frame):
        """Draw the rows of a group: their values, and the log volume that a standard normal was stretched by."""
        width = frame.centre.shape[1]
        shift: Any = numpyro.param(f"{group}.shift", jnp.zeros_like(frame.centre))
        if self.family == "map":
            return frame.centre + jnp.einsum("rij,rj->ri", frame.root, shift), 0.0
        log_scale: Any = numpyro.param(f"{group}.log_scale", jnp.zeros_like(frame.centre))
        draw: Any = numpyro.sample(
            f"_{group}", dist.Normal(jnp.zeros_like(shift), 1.0).to_event(2), infer={"is_auxiliary": True}
        )
        spread = jnp.exp(log_scale) * draw
        if self.family == "neuron" and width > 1:
            slant: Any = numpyro.param(f"{group}.slant", jnp.zeros_like(frame.root))
            spread = spread + jnp.einsum("rij,rj->ri", jnp.tril(slant, -1), draw)
        log_volume = log_scale.sum() + jnp.log(jnp.diagonal(frame.root, axis1=-2, axis2=-1)).sum()
        return frame.centre + jnp.einsum("rij,rj->ri", frame.root, shift + spread), log_volume

    def untouched(self, frames) -> dict[str, Array]:
        """The guide's parameters before any step: the posterior that EM's curvature suggests."""

        @jit
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

        @jit
        def sample(params, frames, keys):
            program = numpyro.handlers.substitute(self, data=params)

            def one(key):
                sites = numpyro.handlers.trace(numpyro.handlers.seed(program, key)).get_trace(None, None, frames, None)
                return {name: sites[name]["value"] for name in names}

            return jax.lax.map(one, keys)

        return sample(params, frames, jax.random.split(key, count))


def constrained(z, part: Part):
    """A site's part of a group's rows, in unconstrained space and as the site's value."""
    raw = z[part.rows, part.columns].reshape(part.shape)
    return raw, biject_to(part.support)(raw)


def conditional_scale(root: Float[Array, "row width width"]) -> Float[Array, "row width width"]:
    """The standard deviation of each parameter given the others, on a diagonal: where independent normals start."""
    precision = jnp.linalg.inv(root @ root.mT)
    return jnp.eye(root.shape[-1], dtype=root.dtype) / jnp.sqrt(jnp.diagonal(precision, axis1=-2, axis2=-1))[..., None]
