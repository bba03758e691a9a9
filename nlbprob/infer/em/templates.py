"""The update of templates, given the E-step of all trials."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpyro.distributions as dist
from jax.scipy.linalg import solve
from jaxtyping import Array, Float

from nlbprob.blocks.base import Context
from nlbprob.model import Model


class TemplateStatistics(NamedTuple):
    """Gradient and curvature of the bound in what each component adds to the latents, bin by bin; trials of each."""

    slope: Float[Array, "component time latent"]
    curvature: Float[Array, "component time latent latent"]
    trials: Float[Array, " component"]


def update(model: Model, context: Context, values: dict[str, Any], total: tuple[Any, ...]) -> dict[str, Any]:
    """A Newton step on the coefficients of each template, and the weights of the mixture."""
    if model.templates is None:
        return {}
    statistics: TemplateStatistics = total[-1]
    columns = model.template_slice
    basis = jnp.asarray(model.templates.basis(context), statistics.slope.dtype)
    site = model.templates.site("coefficients")
    current = values[site]
    components, count, width = current.shape
    bins = basis.shape[0]
    prior: Any = model.templates.priors.get("coefficients", dist.Normal(0.0, 1.0))
    precision = jnp.broadcast_to(1 / jnp.square(prior.scale), current.shape)
    slope = jnp.einsum("tj,ktl->kjl", basis, statistics.slope[:, :bins, columns]) - precision * (current - prior.loc)
    curvature = jnp.einsum("tj,ti,ktlm->kjlim", basis, basis, statistics.curvature[:, :bins, columns, columns])
    curvature = curvature.reshape(components, count * width, -1)
    curvature = curvature + jnp.eye(count * width, dtype=slope.dtype) * precision.reshape(components, 1, -1)
    change = solve(curvature, slope.reshape(components, -1, 1), assume_a="pos").reshape(current.shape)
    # The curvature is that of a Poisson likelihood at the present rates: far from the optimum a whole step overshoots.
    size = jnp.minimum(1.0, 1.0 / jnp.maximum(jnp.abs(jnp.einsum("tj,kjl->ktl", basis, change)).max(), 1e-6))
    weight_prior: Any = model.templates.priors.get("weights", dist.Dirichlet(jnp.ones(components)))
    weights = statistics.trials + weight_prior.concentration
    return {site: current + size * change, model.templates.site("weights"): weights / weights.sum()}
