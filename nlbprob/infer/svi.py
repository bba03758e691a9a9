"""Stochastic variational inference of the parameters, with every trial's trajectory integrated out by its structured posterior."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import optax
from jax import lax
from jaxtyping import Array, Int
from numpyro.infer import SVI, Trace_ELBO

from nlbprob.blocks.base import Context
from nlbprob.infer import local as local_inference
from nlbprob.infer.local import Batch
from nlbprob.model import Model
from nlbprob.numerics.gaussian import Sites

#: Natural-gradient steps on a trial's sites at each draw of the parameters.
LOCAL_STEPS = 1


class Store(NamedTuple):
    """The warm sites and step sizes of all trials; NumPyro carries it as mutable state."""

    sites: Sites
    step_size: Array


def collapsed(model: Model, context: Context, data: Batch, store: Store, index: Int[Array, " draw"]):
    """The model with trajectories integrated out: a NumPyro program whose joint density is the bound at drawn parameters.

    At each draw the sites of the trials in `index` take a natural-gradient step at that very draw (sites of an earlier
    draw would make the posterior of the parameters too narrow), then the factor "trials" adds their bound, scaled to all trials.
    """
    theta = model.parameters(context)
    state = numpyro.primitives.mutable("local", {"store": store})
    current = state["store"]
    batch = jax.tree.map(lambda a: a[index], data)
    sites, size = jax.tree.map(lambda a: a[index], (current.sites, current.step_size))
    fixed = lax.stop_gradient(theta)
    local = local_inference.begin(sites, size)
    local = local_inference.iterate(fixed, model.observation, batch, local, LOCAL_STEPS)
    value = local_inference.bound(theta, model.observation, batch, local.sites, local.smoothed)
    share = data.counts.shape[0] / index.shape[0]
    numpyro.factor("trials", share * jnp.where(jnp.isfinite(value), value, 0.0).sum())
    fresh = jnp.maximum(local.step_size, 0.1)
    state["store"] = jax.tree.map(
        lambda a, b: a.at[index].set(lax.stop_gradient(b)), current, Store(local.sites, fresh)
    )


def minibatches(trials: int, size: int, steps: int, seed: int) -> Int[np.ndarray, "step draw"]:
    """Which trials each step sees: all of them in random order, over and over."""
    random = np.random.default_rng(seed)
    epochs = -(-steps * size // trials)
    order = np.concatenate([random.permutation(trials) for _ in range(epochs)])
    return order[: steps * size].reshape(steps, size)


def default_optimizer(steps: int) -> optax.GradientTransformation:
    """Adam, its rate falling from 0.1 to 0.005 posterior standard deviations a step along a cosine."""
    return optax.adam(optax.cosine_decay_schedule(0.1, max(steps, 1), alpha=0.05), b1=0.8, b2=0.95)


def run(
    model: Model,
    context: Context,
    data: Batch,
    store: Store,
    guide: Callable,
    *,
    steps: int,
    batch_size: int,
    seed: int,
    optimizer: optax.GradientTransformation | None = None,
    report: Callable[[int, np.ndarray], None] = lambda done, losses: None,
    stride: int = 10,
) -> tuple[dict[str, Any], np.ndarray]:
    """Run SVI; return the guide's parameters and the ELBO estimate of every step (nats, all trials).

    `report(done, elbos)` is called after every `stride` steps, which run on the device as one compiled loop.
    """
    svi = SVI(
        lambda index: collapsed(model, context, data, store, index),
        guide,
        numpyro.optim.optax_to_numpyro(optimizer or default_optimizer(steps)),
        Trace_ELBO(),
    )
    index = jnp.asarray(minibatches(data.counts.shape[0], batch_size, max(steps, 1), seed))

    @jax.jit
    def begin(row):
        # The state after a pass through the model is thrown away, so that the compiler need not build that pass.
        return svi.init(jax.random.key(seed), row)._replace(mutable_state={"local": {"store": store}})

    state = begin(index[0])

    @jax.jit
    def advance(state, rows):
        return lax.scan(lambda state, row: svi.update(state, row), state, rows)

    elbos = []
    for start in range(0, steps, stride):
        state, losses = advance(state, index[start : start + stride])
        elbos.append(-np.asarray(losses))
        report(start + len(losses), elbos[-1])
    return svi.get_params(state), np.concatenate(elbos) if elbos else np.zeros(0)
