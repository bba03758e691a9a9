"""Stochastic variational inference of the parameters; trajectories are integrated out by their structured posterior."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.primitives
import optax
from jax import lax
from jaxtyping import Array, Float, Int, Key
from numpyro.infer import SVI
from numpyro.infer.svi import SVIState

from nlbprob.blocks.base import Context
from nlbprob.blocks.identity import Identified
from nlbprob.infer.runtime.batch import Batch
from nlbprob.infer.runtime.programs import program
from nlbprob.infer.trajectories import bound as bound_of
from nlbprob.infer.trajectories import cvi
from nlbprob.infer.trajectories.problem import SiteState, combined, trial_problem
from nlbprob.infer.vi.guides import Guide
from nlbprob.model import Model

#: Natural-gradient steps on a trial's sites at each draw of the parameters.
LOCAL_STEPS = 1


def collapsed(
    model: Model,
    context: Context,
    index: Int[Array, " draw"],
    data: Batch,
    frames: Any,
    store: SiteState,
    trials: int | Int[Array, ""],
) -> None:
    """The model with trajectories integrated out: its joint density is the bound at drawn parameters.

    At each draw the sites of the trials in `index` take a natural-gradient step at that very draw (sites of an earlier
    draw would make the posterior of the parameters too narrow), then the factor "trials" adds their bound, scaled to
    all `trials` (`data` may hold more, for padding). `store` holds the sites of all trials, which NumPyro carries
    as mutable state; `frames` is the guide's.
    """
    theta = model.parameters(context)
    state: Any = numpyro.primitives.mutable("local", {"store": store})  # pyright: ignore[reportArgumentType]
    current: SiteState = state["store"]
    batch = jax.tree.map(lambda a: a[index], data)
    components = model.n_components
    rows = (index[:, None] * components + jnp.arange(components)).reshape(-1)
    drawn = rows_of(current, rows)
    problem, repeated = trial_problem(model, theta, batch)
    fixed = lax.stop_gradient(problem)
    local = cvi.init(fixed, drawn.sites, drawn.step_size, drawn.auxiliary)
    local = cvi.iterate(fixed, model.observation, repeated, local, LOCAL_STEPS)
    value, _ = combined(theta, bound_of.bound(problem, model.observation, repeated, local))
    scale = trials / index.shape[0]
    numpyro.factor("trials", scale * jnp.where(jnp.isfinite(value), value, 0.0).sum())
    updated = SiteState(local.sites, jnp.maximum(local.step_size, 0.1), local.auxiliary)
    state["store"] = with_rows(current, rows, lax.stop_gradient(updated))


def rows_of(store: SiteState, rows: Int[Array, " row"]) -> SiteState:
    """Some rows, and what all rows share: an array whose first axis has length one."""
    return jax.tree.map(lambda a: a if len(a) == 1 else a[rows], store)


def with_rows(store: SiteState, rows: Int[Array, " row"], updated: SiteState) -> SiteState:
    """The store with new values of some rows, and of what all share."""
    return jax.tree.map(lambda a, b: b if len(a) == 1 else a.at[rows].set(b), store, updated)


def minibatches(trials: int, size: int, steps: int, seed: int) -> Int[np.ndarray, "call step draw"]:
    """Which trials each step sees: all of them in random order, over and over; at most ten steps a call."""
    random = np.random.default_rng(seed)
    epochs = -(-steps * size // trials)
    order = np.concatenate([random.permutation(trials) for _ in range(epochs)])
    per_call = max(step for step in range(1, 11) if steps % step == 0)
    return order[: steps * size].reshape(-1, per_call, size)


def default_optimizer(steps: int) -> optax.GradientTransformation:
    """Adam, its rate falling from 0.05 to 0.0025 posterior standard deviations a step along a cosine."""
    return optax.adam(optax.cosine_decay_schedule(0.05, max(steps, 1), alpha=0.05), b1=0.8, b2=0.95)


@dataclasses.dataclass(frozen=True, eq=False)
class SVIProgram(Identified):
    """SVI of the collapsed model with a guide: what its loop is compiled for.

    Model and guide are called with (index, data, frames, store, trials).
    guide: one object for equal guides; optimizer: None takes `default_optimizer(steps)`.
    """

    model: Model
    context: Context
    guide: Guide
    optimizer: optax.GradientTransformation | None
    steps: int

    @functools.cached_property
    def svi(self) -> SVI:
        """NumPyro's loop."""
        optimizer = numpyro.optim.optax_to_numpyro(self.optimizer or default_optimizer(self.steps))
        return SVI(functools.partial(collapsed, self.model, self.context), self.guide, optimizer, self.guide.loss)


@functools.lru_cache(maxsize=64)
def svi_program(
    model: Model, context: Context, guide: Guide, optimizer: optax.GradientTransformation | None, steps: int
) -> SVIProgram:
    """One object for all equal programs: NumPyro's loop knows how to read its parameters only after an `init`."""
    return SVIProgram(model, context, guide, optimizer, steps)


@program("loop")
def init(
    loop: SVIProgram,
    key: Key[Array, ""],
    index: Int[Array, "step draw"],
    data: Batch,
    frames: Any,
    store: SiteState,
    trials: int | Int[Array, ""],
) -> SVIState:
    """The state before the first step; index [step, draw]: trials of the first call."""
    # The state after a pass through the model is thrown away, so that the compiler need not build that pass.
    state = loop.svi.init(key, index[0], data, frames, store, trials)
    return state._replace(mutable_state={"local": {"store": store}})


@program("loop")
def advance(
    loop: SVIProgram,
    state: SVIState,
    index: Int[Array, "step draw"],
    data: Batch,
    frames: Any,
    trials: int | Int[Array, ""],
) -> tuple[SVIState, Float[Array, " step"]]:
    """A step for each row of index [step, draw]: the state after them, and the loss of each."""

    def step(state: SVIState, trials_of_step: Int[Array, " draw"]) -> tuple[SVIState, Float[Array, ""]]:
        return loop.svi.update(state, trials_of_step, data, frames, state.mutable_state["local"]["store"], trials)

    return lax.scan(step, state, index)
