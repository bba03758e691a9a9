"""The entries of some parameter sites as one vector in unconstrained space."""

import math
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Num
from numpyro.distributions import biject_to

from nlbprob.infer.parameters.sites import Site


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
        """The entries from arrays by site, in any order, in unconstrained space."""
        return jnp.concatenate([raw[name].reshape(-1) for name in self.sites])

    def split(self, entries: Num[Array, " entry"]) -> dict[str, Any]:
        """The entries by site, still in unconstrained space."""
        shapes = self.shapes
        ends = np.cumsum([math.prod(shape) for shape in shapes])
        parts = zip(self.sites, jnp.split(entries, ends[:-1]), shapes, strict=True)
        return {name: part.reshape(shape) for name, part, shape in parts}

    def into(self, values: dict[str, Any], entries: Float[Array, " entry"]) -> dict[str, Any]:
        """The values, those of these sites replaced by the entries."""
        raw = self.split(entries)
        return values | {name: biject_to(self.sites[name].support)(value) for name, value in raw.items()}

    def log_volume(self, entries: Float[Array, " entry"]) -> Float[Array, ""]:
        """log |d values / d entries|."""
        raw = self.split(entries)
        transforms = {name: biject_to(self.sites[name].support) for name in raw}
        total: Any = sum(t.log_abs_det_jacobian(raw[name], t(raw[name])).sum() for name, t in transforms.items())
        return total
