"""How much the data say of each parameter: the scale on which the variational posterior of parameters starts."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from numpyro.distributions import biject_to

from nlbprob.infer import local as local_inference
from nlbprob.infer.em import EM, Chunk, Rows, log_prior, parameters_at
from nlbprob.infer.local import Local
from nlbprob.infer.problem import Batch, combined, problem
from nlbprob.numerics.gaussian import Smoothed

#: Largest standard deviation at which a parameter starts, in unconstrained space.
LARGEST_SCALE = 0.5
#: Trials, and natural-gradient steps of their sites, with which the size of a site's scale is measured.
TESTED, SETTLING_STEPS = 32, 2


def raw_values(em: EM, names: list[str], values: dict[str, Any]) -> dict[str, Any]:
    """The named sites in unconstrained space."""
    return {name: biject_to(em.supports[name]).inv(values[name]) for name in names}


def moved(em: EM, values: dict[str, Any], raw: dict[str, Any]) -> dict[str, Any]:
    """The values with some sites replaced, these given in unconstrained space."""
    return values | {name: biject_to(em.supports[name])(value) for name, value in raw.items()}


def squares(em: EM, names: list[str]) -> Callable[..., dict[str, Any]]:
    """(values, batch, chunk) -> sum over trials of (d bound / d theta)^2 for each entry of the named sites.

    The empirical Fisher information, on its diagonal, in unconstrained space; `chunk` is what the E-step found of the
    batch at these values.
    """
    model = em.model

    def one(values, batch: Batch, sites, paths, mean, covariance):
        given, _ = problem(model, parameters_at(model, em.context, values), batch)
        bins, size = mean.shape[-2:]
        unknown = jnp.zeros((mean.shape[0], bins - 1, size, size), mean.dtype)
        start = local_inference.begin(given, sites, None, paths)
        found = Smoothed(mean, covariance, unknown, jnp.zeros(mean.shape[0], mean.dtype))
        local: Local = start._replace(smoothed=found, elbo=jnp.zeros_like(start.step_size))

        def bound(raw):
            theta = parameters_at(model, em.context, moved(em, values, raw))
            given, repeated = problem(model, theta, batch)
            return combined(theta, local_inference.bound(given, model.observation, repeated, local))[0].sum()

        return jax.tree.map(lambda g: jnp.nan_to_num(g) ** 2, jax.grad(bound)(raw_values(em, names, values)))

    def total(values, batch: Batch, chunk: Chunk):
        trials = batch.counts.shape[0]

        batches = jax.tree.map(lambda a: a[:, None], batch)
        rows = jax.tree.map(
            lambda a: a.reshape(trials, model.n_components, *a.shape[1:]),
            (chunk.rows.sites, chunk.rows.paths, *chunk.moments),
        )
        each = jax.vmap(one, in_axes=(None, 0, 0, 0, 0, 0))(values, batches, *rows)
        # Trials that fill up a chunk have seen nothing.
        some = batch.seen.any((1, 2))
        return jax.tree.map(lambda a: jnp.tensordot(some.astype(a.dtype), a, 1), each)

    return total


def scales(em: EM, names: list[str], values: dict[str, Any], information: dict[str, Any]) -> dict[str, Any]:
    """The standard deviation of each entry of the named sites given all others, in unconstrained space.

    1 / sqrt(empirical Fisher information + prior precision).
    """
    raw = raw_values(em, names, values)

    def scale(square, precision):
        return jnp.minimum(1 / jnp.sqrt(square + precision + 1e-6), LARGEST_SCALE)

    return jax.tree.map(scale, information, prior_precision(em, names, values, raw))


def measured(em: EM, values: dict[str, Any], scale: dict[str, Any], data: Batch, store: Rows):
    """The scales, each site's shrunk by what the bound of some trials loses at a pair of opposite draws.

    A draw from the right normal lowers the bound by half a nat an entry; where the entries of a site are strongly
    correlated, as those of regimes' matrices are, independent draws lower it by more.
    """
    model, trials = em.model, data.counts.shape[0]
    raw = raw_values(em, list(scale), values)
    some = jnp.asarray(np.unique(np.linspace(0, trials - 1, min(TESTED, trials)).astype(int)))
    share = trials / some.size
    rows = (some[:, None] * model.n_components + jnp.arange(model.n_components)).reshape(-1)
    data, store = jax.tree.map(lambda a: a[some], data), jax.tree.map(lambda a: a[rows], store)

    def bound(change):
        at = moved(em, values, jax.tree.map(jnp.add, raw, change))
        theta = parameters_at(model, em.context, at)
        given, repeated = problem(model, theta, data)
        start = local_inference.begin(given, store.sites, store.step_size, store.paths)
        local = local_inference.iterate(given, model.observation, repeated, start, SETTLING_STEPS)
        return share * combined(theta, local.elbo)[0].sum() + log_prior(model, em.context, at)

    names = list(raw)
    keys = jax.random.split(jax.random.key(0), len(names))
    directions = {name: jax.random.normal(key, raw[name].shape) for name, key in zip(names, keys, strict=True)}

    def only(number):
        """The draw of one site, or its opposite, all others staying; of none at zero."""
        return {
            name: jnp.where(jnp.abs(number) == place, jnp.sign(number) * scale[name] * directions[name], 0.0)
            for place, name in enumerate(names, 1)
        }

    count = len(names)
    numbers = jnp.concatenate([jnp.arange(1, count + 1), -jnp.arange(1, count + 1), jnp.zeros(1, int)])
    bounds = lax.map(lambda number: bound(only(number)), numbers)
    losses = bounds[-1] - 0.5 * (bounds[:count] + bounds[count : 2 * count])
    found = {}
    for name, loss in zip(names, losses, strict=True):
        lost = jnp.maximum(jnp.where(jnp.isfinite(loss), loss, 1e6), 1e-6)
        found[name] = scale[name] * jnp.clip(jnp.sqrt(0.5 * (directions[name] ** 2).sum() / lost), 0.05, 1.0)
    return found


def prior_precision(em: EM, names: list[str], values, raw):
    """-d^2 log p(theta) / d theta^2 of each entry in unconstrained space; exact for priors of independent entries."""

    def density(raw):
        at = moved(em, values, raw)
        stretch = [biject_to(em.supports[name]).log_abs_det_jacobian(raw[name], at[name]).sum() for name in names]
        return log_prior(em.model, em.context, at) + sum(stretch)

    ones = jax.tree.map(jnp.ones_like, raw)
    curvature = jax.jvp(jax.grad(density), (raw,), (ones,))[1]
    return jax.tree.map(lambda c: jnp.maximum(-c, 0.0), curvature)
