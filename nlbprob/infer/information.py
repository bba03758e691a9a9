"""How much the data say of each parameter: the scale on which the variational posterior of parameters starts."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from numpyro.distributions import biject_to

from nlbprob.infer import local as local_inference
from nlbprob.infer.em import EM, Rows, log_prior, parameters_at
from nlbprob.infer.problem import Batch, combined, problem

#: Trials whose gradients are taken at once.
TOGETHER = 16
#: Trials, and natural-gradient steps of their sites, with which the size of a site's scale is measured.
TESTED, SETTLING_STEPS = 32, 2
#: Largest standard deviation at which a parameter starts, in unconstrained space.
LARGEST_SCALE = 0.5


def scales(em: EM, names: list[str], values: dict[str, Any], data: Batch, store: Rows) -> dict[str, Any]:
    """The standard deviation of each entry of the named sites given all others, in unconstrained space.

    Within a site they are in proportion to 1 / sqrt(sum_b (d bound_b / d theta)^2 + prior precision): the empirical
    Fisher information of the trials at the values that EM found, on its diagonal. The size of a whole site is then
    measured: a draw from the right normal lowers the bound by half a nat an entry.
    """
    model, supports = em.model, em.supports
    raw = {name: biject_to(supports[name]).inv(values[name]) for name in names}
    trials, components = data.counts.shape[0], model.n_components
    rows = jax.tree.map(lambda a: a.reshape(trials, components, *a.shape[1:]), store)

    def slope(one):
        batch, own = one
        batch = jax.tree.map(lambda a: a[None], batch)
        given, repeated = problem(model, parameters_at(model, em.context, values), batch)
        start = local_inference.begin(given, own.sites, own.step_size, own.paths)
        local = lax.stop_gradient(local_inference.iterate(given, model.observation, repeated, start, 0))

        def bound(raw):
            moved = values | {name: biject_to(supports[name])(raw[name]) for name in names}
            theta = parameters_at(model, em.context, moved)
            given, repeated = problem(model, theta, batch)
            rows = local_inference.bound(given, model.observation, repeated, local)
            return combined(theta, rows)[0].sum()

        return jax.tree.map(lambda g: jnp.nan_to_num(g) ** 2, jax.grad(bound)(raw))

    squares = lax.map(slope, (data, rows), batch_size=min(TOGETHER, trials))
    prior = prior_precision(em, names, values, raw)

    def scale(square, precision):
        return jnp.minimum(1 / jnp.sqrt(square.sum(0) + precision + 1e-6), LARGEST_SCALE)

    found = jax.tree.map(scale, squares, prior)
    some = jnp.asarray(np.unique(np.linspace(0, trials - 1, min(TESTED, trials)).astype(int)))
    subset = jax.tree.map(lambda a: a[some], (data, rows))
    return measured(em, values, raw, found, subset[0], subset[1], trials / some.size)


def measured(em: EM, values, raw, scale, data: Batch, rows: Rows, share: float):
    """The scales, each site's shrunk by what the bound of some trials loses at a pair of opposite draws."""
    model = em.model
    rows = jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), rows)

    def bound(change):
        moved = {name: biject_to(em.supports[name])(raw[name] + change[name]) for name in raw}
        theta = parameters_at(model, em.context, values | moved)
        given, repeated = problem(model, theta, data)
        start = local_inference.begin(given, rows.sites, rows.step_size, rows.paths)
        local = local_inference.iterate(given, model.observation, repeated, start, SETTLING_STEPS)
        return share * combined(theta, local.elbo)[0].sum() + log_prior(model, em.context, values | moved)

    names = list(raw)
    draws = [jax.random.normal(jax.random.fold_in(jax.random.key(0), i), raw[n].shape) for i, n in enumerate(names)]
    directions = dict(zip(names, draws, strict=True))

    def only(number):
        """The draw of one site, all others staying; of none at zero."""
        return {
            name: jnp.where(i == jnp.abs(number) - 1, jnp.sign(number) * scale[name] * directions[name], 0.0)
            for i, name in enumerate(names)
        }

    count = len(names)
    numbers = jnp.concatenate([jnp.arange(1, count + 1), -jnp.arange(1, count + 1), jnp.zeros(1, int)])
    bounds = lax.map(lambda number: bound(only(number)), numbers)
    loss = bounds[-1] - 0.5 * (bounds[:count] + bounds[count : 2 * count])
    found = {}
    for i, name in enumerate(names):
        size = 0.5 * (directions[name] ** 2).sum()
        lost = jnp.where(jnp.isfinite(loss[i]), loss[i], 1e6)
        found[name] = scale[name] * jnp.clip(jnp.sqrt(size / jnp.maximum(lost, 1e-6)), 0.05, 1.0)
    return found


def prior_precision(em: EM, names: list[str], values, raw):
    """-d^2 log p(theta) / d theta^2 of each entry in unconstrained space; exact for priors of independent entries."""

    def slope(raw):
        def density(raw):
            moved = {name: biject_to(em.supports[name])(raw[name]) for name in names}
            stretch = [
                biject_to(em.supports[name]).log_abs_det_jacobian(raw[name], moved[name]).sum() for name in names
            ]
            return log_prior(em.model, em.context, values | moved) + sum(stretch)

        return jax.grad(density)(raw)

    ones = jax.tree.map(jnp.ones_like, raw)
    curvature = jax.jvp(slope, (raw,), (ones,))[1]
    return jax.tree.map(lambda c: jnp.maximum(-c, 0.0), curvature)
