"""The readout of a NumPyro function: the sites that are its baselines and loadings, where there are such sites."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from nlbprob.blocks.readout import Readout

#: Least size of a coefficient, and least precision, in the quadratic that stands for a prior.
LEAST_SIZE, LEAST_PRECISION = 0.02, 1e-6


@dataclasses.dataclass(frozen=True, eq=False)
class SiteReadout(Readout):
    """eta_n = c_n'x + d_n, where c_n and d_n are sites of the function.

    Both fields are empty where loadings or baselines are functions of other sites, which then follow gradients.

    Args:
        sites: those that are the baselines and the loadings, of all blocks or of each in turn.
        widths: the latents of each.
    """

    sites: tuple[str, ...] = ()
    widths: tuple[int, ...] = ()
    name: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        return self.sites

    def values(self, baseline, loadings):
        if not self.sites:
            return {}
        sites, start = {self.sites[0]: baseline}, 0
        for name, width in zip(self.sites[1:], self.widths, strict=True):
            sites[name] = loadings[:, start : start + width]
            start += width
        return sites


def tangent_normal(density, values: dict[str, Any]):
    """Location and precision of the normal that touches a prior exp(density(values)) of independent entries, by site.

    The precision is the curvature where the prior is log-concave with a curvature, else |slope| / |value|, which is the
    tangent quadratic of a Laplace prior; the location gives the normal the prior's slope.
    """
    ones = jax.tree.map(jnp.ones_like, values)
    slope, curvature = jax.jvp(jax.grad(density), (values,), (ones,))

    def precision(value, slope, curvature):
        tangent = jnp.abs(slope) / jnp.maximum(jnp.abs(value), LEAST_SIZE)
        return jnp.maximum(jnp.where(-curvature > LEAST_PRECISION, -curvature, tangent), LEAST_PRECISION)

    precisions = jax.tree.map(precision, values, slope, curvature)
    return jax.tree.map(lambda value, g, p: value + g / p, values, slope, precisions), precisions
