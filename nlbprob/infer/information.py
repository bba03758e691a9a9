"""How much the data say of each parameter: the scale on which the variational posterior of parameters starts."""

from typing import Any

import jax
import jax.numpy as jnp

from nlbprob.infer.ascent import Ascent, Slopes, shrunk
from nlbprob.infer.parameters import log_prior

#: Largest standard deviation at which a parameter starts, in unconstrained space.
LARGEST_SCALE = 0.5


def root(ascent: Ascent, values: dict[str, Any], slopes: Slopes, trials: int):
    """A root of the covariance of the entries in unconstrained space: lower-triangular, or its diagonal alone.

    The precision is the prior's plus the empirical Fisher information of so many trials.
    """
    precision = shrunk(slopes.information, prior_precision(ascent, values), trials)
    if precision.ndim == 1:
        return jnp.minimum(1 / jnp.sqrt(precision), LARGEST_SCALE)
    scale = 1 / jnp.sqrt(jnp.diagonal(precision))
    inverse = jnp.linalg.inv(jnp.linalg.cholesky(scale[:, None] * precision * scale))
    covariance = scale[:, None] * (inverse.T @ inverse) * scale
    limit = jnp.minimum(1.0, LARGEST_SCALE / jnp.sqrt(jnp.diagonal(covariance)))
    return jnp.linalg.cholesky(limit[:, None] * covariance * limit)


def prior_precision(ascent: Ascent, values: dict[str, Any]):
    """-d^2 log p(theta) / d theta^2 of each entry in unconstrained space; exact for priors of independent entries."""
    entries = ascent.entries

    def density(at):
        return log_prior(ascent.model, ascent.context, entries.into(values, at)) + entries.log_volume(at)

    here = entries.of(values)
    curvature = jax.jvp(jax.grad(density), (here,), (jnp.ones_like(here),))[1]
    return jnp.maximum(-curvature, 0.0)
