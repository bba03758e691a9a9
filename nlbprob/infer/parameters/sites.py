"""The parameters of a model as values of its sites, and as one vector in unconstrained space."""

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.handlers
from jaxtyping import Array, Float
from numpyro.distributions import biject_to

from nlbprob.blocks.base import Context
from nlbprob.blocks.calls import HANDLERS
from nlbprob.model import Model, Parameters


def parameters_at(model: Model, context: Context, values: dict[str, Array]) -> Parameters:
    """The model's parameters where its sites have the given values."""
    program: Any = numpyro.handlers.substitute(model.parameters, data=values)
    with HANDLERS:
        return program(context)


class Site(NamedTuple):
    """What is known of a parameter site without any value: its shape, its support, the names of its axes."""

    shape: jax.ShapeDtypeStruct
    support: Any
    dims: tuple[str, ...]


def parameter_sites(model: Model, context: Context) -> dict[str, Site]:
    """Every parameter site of a model."""
    return dict(known_sites(model, context, bool(jax.config.jax_enable_x64)))


@functools.lru_cache(maxsize=64)
def known_sites(model: Model, context: Context, wide: bool) -> dict[str, Site]:
    """The sites by a trace of the model, once for each model, context and width of numbers."""
    found = {}

    def sample(key):
        sites = numpyro.handlers.trace(numpyro.handlers.seed(model.parameters, key)).get_trace(context)
        sites = {name: site for name, site in sites.items() if site["type"] == "sample"}
        found.update({n: (site["fn"].support, tuple(site["infer"].get("event_dims", ()))) for n, site in sites.items()})
        return {name: site["value"] for name, site in sites.items()}

    with HANDLERS:
        shapes = jax.eval_shape(sample, jax.random.key(0))
    return {name: Site(shapes[name], *rest) for name, rest in found.items()}


def log_prior(model: Model, context: Context, values: dict[str, Array]) -> Float[Array, ""]:
    """log p(theta) of all parameter sites."""
    with HANDLERS, numpyro.handlers.trace() as sites:
        parameters_at(model, context, values)
    terms = [site["fn"].log_prob(site["value"]).sum() for site in sites.values() if site["type"] == "sample"]
    return jnp.stack(terms).sum()


class Entries(NamedTuple):
    """The entries of some sites in a row, in unconstrained space."""

    sites: dict[str, Site]

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """The shape of each site in unconstrained space."""
        return [biject_to(site.support).inverse_shape(site.shape.shape) for site in self.sites.values()]

    def of(self, values: dict[str, Any]) -> Float[Array, " entry"]:
        """The entries where the sites have the given values."""
        return self.join({name: biject_to(site.support).inv(values[name]) for name, site in self.sites.items()})

    def join(self, raw: dict[str, Any]) -> Float[Array, " entry"]:
        """The entries from what is given by site, in whatever order, in unconstrained space."""
        return jnp.concatenate([raw[name].reshape(-1) for name in self.sites])

    def split(self, entries) -> dict[str, Any]:
        """The entries by site, still in unconstrained space."""
        shapes = self.shapes
        ends = np.cumsum([math.prod(shape) for shape in shapes])
        parts = zip(self.sites, jnp.split(entries, ends[:-1]), shapes, strict=True)
        return {name: part.reshape(shape) for name, part, shape in parts}

    def into(self, values: dict[str, Any], entries) -> dict[str, Any]:
        """The values with these sites where the entries say."""
        raw = self.split(entries)
        return values | {name: biject_to(self.sites[name].support)(value) for name, value in raw.items()}

    def log_volume(self, entries):
        """log |d values / d entries|."""
        raw = self.split(entries)
        transforms = {name: biject_to(self.sites[name].support) for name in raw}
        return sum(t.log_abs_det_jacobian(raw[name], t(raw[name])).sum() for name, t in transforms.items())
