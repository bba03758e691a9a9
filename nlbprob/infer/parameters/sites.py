"""The parameters of a model as values of its sites."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpyro.handlers
from jaxtyping import Array, Float, Key
from numpyro.distributions.constraints import Constraint

from nlbprob.blocks.base import Context
from nlbprob.blocks.calls import HANDLERS
from nlbprob.model import Model, Parameters


def parameters_at(model: Model, context: Context, values: dict[str, Array]) -> Parameters:
    """The model's parameters where its sites have the given values."""
    program: Any = numpyro.handlers.substitute(model.parameters, data=values)
    with HANDLERS:
        return program(context)


class Site(NamedTuple):
    """A parameter site without its value: its shape, its support, the names of its axes."""

    shape: jax.ShapeDtypeStruct
    support: Constraint
    dims: tuple[str, ...]


def parameter_sites(model: Model, context: Context) -> dict[str, Site]:
    """Every parameter site of a model."""
    return dict(traced_sites(model, context, bool(jax.config.jax_enable_x64)))


@functools.lru_cache(maxsize=64)
def traced_sites(model: Model, context: Context, wide: bool) -> dict[str, Site]:
    """The sites by a trace of the model, once for each model, context and width of numbers."""
    described = {}

    def sample(key: Key[Array, ""]) -> dict[str, Any]:
        sites = numpyro.handlers.trace(numpyro.handlers.seed(model.parameters, key)).get_trace(context)
        sites = {name: site for name, site in sites.items() if site["type"] == "sample"}
        described.update(
            {n: (site["fn"].support, tuple(site["infer"].get("event_dims", ()))) for n, site in sites.items()}
        )
        return {name: site["value"] for name, site in sites.items()}

    with HANDLERS:
        shapes = jax.eval_shape(sample, jax.random.key(0))
    return {name: Site(shapes[name], support, dims) for name, (support, dims) in described.items()}


def log_prior(model: Model, context: Context, values: dict[str, Array]) -> Float[Array, ""]:
    """log p(theta) of all parameter sites."""
    with HANDLERS, numpyro.handlers.trace() as sites:
        parameters_at(model, context, values)
    terms = [site["fn"].log_prob(site["value"]).sum() for site in sites.values() if site["type"] == "sample"]
    return jnp.stack(terms).sum()
