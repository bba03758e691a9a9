"""Calls of blocks inside a plain NumPyro function, as messages that NumPyro's handlers can answer."""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpyro
import numpyro.primitives

from nlbprob.arguments import checked_keywords
from nlbprob.blocks import readers
from nlbprob.blocks.base import Context
from nlbprob.blocks.observation_base import Observation
from nlbprob.data.handed import check_trials
from nlbprob.errors import InputError

if TYPE_CHECKING:
    from nlbprob.data.trials import Trials

#: NumPyro has one stack of handlers for all threads: one thread at a time runs a model under them.
HANDLERS = threading.RLock()


def send_message(kind: str, function: Callable, *arguments: Any) -> Any:
    """function(*arguments), unless a handler around it answers the message of this kind with a value."""
    message: Any = {"type": kind, "fn": function, "args": arguments, "kwargs": {}, "value": None}
    return numpyro.primitives.apply_stack(message)["value"]


def latents(block: Any, trials: "Trials"):
    """The latents x [trial, time, latent] that a block samples when it is called, its parameters before them."""
    return send_message("latent", sample_latents, block, trials)


def sample_latents(block: Any, trials: "Trials"):
    """What a call of a block samples where no handler stands in for it."""
    check_trials(trials, f"{type(block).__name__}(...)(trials)")
    readers.refuse(block)
    block = block.resolve(trials)
    block.check(trials)
    return block.trajectories(block.prior(Context.of(trials)), trials)


@checked_keywords
def observe(observation: Any, predictor: Any, trials: "Trials"):
    """Observe the counts of the trials inside a NumPyro function: y ~ observation(predictor) where they are seen.

    Samples the observation's own parameters and the observed site "spikes" (plates trial, time, neuron), and records
    the deterministic site "rates", spikes per bin. Under `nlbprob.fit` the predictor has to be affine in the latents of
    the same trial and bin, eta = C x + offset; the trajectories are then integrated out with exact one-dimensional
    integrals.

    Args:
        observation: such as Poisson(), or a function from predictors to NumPyro distributions, which may close over
            sites, lambda eta: dist.Poisson(scale * jnp.exp(eta)); a distribution for each count, which depends on its
            predictor alone.
        predictor: eta [trial, time, neuron]; axes may be missing or of length one where it does not vary.
        trials: whose counts are observed.

    Returns:
        The counts.

    Raises:
        InputError: the shapes do not fit each other.
    """
    is_class = isinstance(observation, type) and issubclass(observation, Observation)  # the parentheses
    if is_class or not (isinstance(observation, Observation) or callable(observation)):
        raise InputError(
            f"observe: {observation!r} is no observation. Give one, such as nlb.Poisson(), or a function from "
            "predictors to NumPyro distributions, lambda eta: dist.Poisson(jnp.exp(eta))."
        )
    if not hasattr(trials, "seen"):  # under `fit` a view stands for the trials
        check_trials(trials, "observe")
    shape = trials.counts.shape
    try:
        predictor = jnp.broadcast_to(predictor, shape)
    except ValueError as error:
        raise InputError(
            f"observe: a predictor of shape {jnp.shape(predictor)} is not [trial, time, neuron], here {shape}. "
            "Loadings are [neuron, latent]: write x @ loadings.T + baseline."
        ) from error
    return send_message("observe", sample_counts, observation, predictor, trials)


def sample_counts(observation: Observation | Callable, predictor, trials: "Trials"):
    """The sites of `observe` where no handler stands in for them."""
    if not isinstance(observation, Observation):
        return spikes(observation(predictor), trials)
    observation.check(trials)
    return spikes(observation.distribution(predictor, observation.parameters(Context.of(trials))), trials)


def spikes(likelihood: Any, trials: "Trials", observed: bool = True):
    """The site "spikes" of counts given their distribution, masked by what is seen, and its mean "rates"."""
    rates: Any = numpyro.deterministic("rates", likelihood.mean)
    counts = jnp.asarray(trials.counts).astype(rates.dtype) if observed else None
    with (
        numpyro.plate("trial", trials.n_trials, dim=-3),
        numpyro.plate("time", trials.n_bins, dim=-2),
        numpyro.plate("neuron", trials.n_neurons, dim=-1),
    ):
        return numpyro.sample("spikes", likelihood.mask(jnp.asarray(trials.seen)), obs=counts)
