"""The trials that a NumPyro function gets while it is fitted: JAX arrays with the names of `Trials`."""

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from nlbprob.blocks.base import Context
from nlbprob.errors import InputError

if TYPE_CHECKING:
    from nlbprob.data.trials import Trials

#: Prefix of the names of a view's covariates.
PREFIX = "trials."


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["counts", "seen", "time_ms", "condition_index", "inputs"],
    meta_fields=["bin_ms"],
)
@dataclasses.dataclass(frozen=True, eq=False)
class View:
    """Trials in a function under `fit`: counts (zero where unseen), inputs (zero where NaN) and other fields."""

    counts: Any
    seen: Any
    bin_ms: float
    time_ms: Any
    condition_index: Any
    inputs: dict[str, Any]

    @property
    def n_trials(self) -> int:
        """Number of trials."""
        return self.counts.shape[0]

    @property
    def n_bins(self) -> int:
        """Number of bins."""
        return self.counts.shape[1]

    @property
    def n_neurons(self) -> int:
        """Number of neurons."""
        return self.counts.shape[2]

    def __getattr__(self, name: str):
        if name.startswith("_"):
            raise AttributeError(name)
        raise InputError(
            f"A NumPyro function that is fitted cannot read trials.{name}: it sees counts, seen, inputs, "
            "condition_index, time_ms, bin_ms, n_trials, n_bins and n_neurons. Let the function close over arrays that "
            "belong to neurons; give what belongs to trials as Trials.replace(inputs={...})."
        )


def covariates(trials: "Trials", context: Context) -> dict[str, Any]:
    """The covariates of each trial that a view is made from."""
    arrays = {f"{PREFIX}inputs.{name}": np.nan_to_num(value) for name, value in trials.inputs.items()}
    arrays[f"{PREFIX}time_ms"] = np.tile(np.asarray(trials.time_ms, np.float32), (trials.n_trials, 1))
    return arrays | {f"{PREFIX}condition_index": context.condition_index(trials)}


def view(covariates: dict[str, Any], counts, seen, bin_ms: float) -> View:
    """The view of a batch of trials. The first trial of a batch is never padding."""
    prefix = f"{PREFIX}inputs."
    inputs = {name.removeprefix(prefix): value for name, value in covariates.items() if name.startswith(prefix)}
    time_ms, condition = covariates[f"{PREFIX}time_ms"][0], covariates[f"{PREFIX}condition_index"]
    return View(jnp.where(seen, counts, 0), seen, bin_ms, time_ms, condition, inputs)


def blank(context: Context, trials: int, bins: int) -> View:
    """A view of trials without spikes."""
    shape = (trials, bins, context.n_neurons)
    inputs = {name: jnp.zeros((trials, bins, width)) for name, width in context.covariates.items()}
    times = jnp.arange(bins) * context.bin_ms
    counts, seen = jnp.zeros(shape, jnp.uint8), jnp.ones(shape, bool)
    return View(counts, seen, context.bin_ms, times, jnp.zeros(trials, int), inputs)


def random_view(context: Context, trials: int, bins: int, seed: int = 0) -> View:
    """A view of random trials, which differ in every field that a function can read."""
    random, empty = np.random.default_rng(seed), blank(context, trials, bins)
    counts = jnp.asarray(random.integers(0, 3, empty.counts.shape), jnp.uint8)
    inputs = {name: jnp.asarray(random.standard_normal(value.shape)) for name, value in empty.inputs.items()}
    condition = jnp.asarray(np.arange(trials) % max(1, len(context.conditions)))
    return dataclasses.replace(empty, counts=counts, inputs=inputs, condition_index=condition)
