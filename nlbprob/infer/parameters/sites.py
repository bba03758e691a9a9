"""The parameters of a model as values of its sites."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpyro.handlers
from jaxtyping import Array, Float, Key
from numpyro.distributions import constraints
from numpyro.distributions.constraints import Constraint

from nlbprob.blocks.base import Context
from nlbprob.blocks.calls import HANDLERS
from nlbprob.blocks.parameters import CountReadout
from nlbprob.model import Model, Parameters


def count_readout_names(model: Model) -> tuple[str, ...]:
    """The names of baselines and loadings of the count readout (see `Parameters`), among the sites' values.

    There are none where counts are predicted by the model's own readout, as they are where there are effects.
    """
    if model.observation.count_observation is None or model.effects:
        return ()
    return model.readout.site("count_baseline"), model.readout.site("count_loadings")


def parameters_at(model: Model, context: Context, values: dict[str, Array]) -> Parameters:
    """The model's parameters where its sites have the given values; with the count readout, where that is given."""
    program: Any = numpyro.handlers.substitute(model.parameters, data=values)
    with HANDLERS:
        theta = program(context)
    names = [name for name in count_readout_names(model) if name in values]
    return theta._replace(count_readout=CountReadout(*(values[name] for name in names))) if names else theta


class Site(NamedTuple):
    """A parameter site without its value: its shape, its support, the names of its axes."""

    shape: jax.ShapeDtypeStruct
    support: Constraint
    dims: tuple[str, ...]


def parameter_sites(model: Model, context: Context) -> dict[str, Site]:
    """Every parameter site of a model."""
    return dict(traced_sites(model, context, bool(jax.config.jax_enable_x64)))


def value_sites(model: Model, context: Context) -> dict[str, Site]:
    """Every parameter site of a model, and its count readout as if it were sites."""
    axes = {"neuron": context.n_neurons, "latent": model.dim}
    sites = parameter_sites(model, context)
    for name, dims in zip(count_readout_names(model), (("neuron",), ("neuron", "latent")), strict=False):
        shape = jax.ShapeDtypeStruct(tuple(axes[dim] for dim in dims), jnp.result_type(float))
        sites[name] = Site(shape, constraints.real, dims)
    return sites


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
