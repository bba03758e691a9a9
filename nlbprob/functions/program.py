"""Runs of a NumPyro function with given values in place of its blocks' calls."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpyro.handlers
import numpyro.primitives

from nlbprob.blocks.base import Context
from nlbprob.blocks.calls import HANDLERS
from nlbprob.blocks.latent import Dynamics, Latent
from nlbprob.blocks.observation_base import Observation
from nlbprob.blocks.templates import Mixture, Templates
from nlbprob.functions.view import View


class Answer(numpyro.primitives.Messenger):
    """Replaces blocks' calls by `latent(block, trials)`, `nlb.observe` by `observe(observation, predictor, trials)`."""

    def __init__(self, latent: Callable, observe: Callable):
        super().__init__()
        self.answers = {"latent": latent, "observe": observe}

    def process_message(self, msg: Any) -> None:
        if msg["type"] in self.answers:
            msg["value"] = self.answers[msg["type"]](*msg["args"])


class Latents(numpyro.primitives.Messenger):
    """Notes the latents that blocks' calls return, by the block's name."""

    def __enter__(self) -> dict[str, Any]:
        super().__enter__()
        self.found: dict[str, Any] = {}
        return self.found

    def postprocess_message(self, msg: Any) -> None:
        if msg["type"] == "latent":
            self.found[msg["args"][0].name] = msg["value"]


class SitesWithoutPlates(numpyro.primitives.Messenger):
    """Turns each sample site into one event without plates, whose dimensions have the plates' names."""

    def process_message(self, msg: Any) -> None:
        if msg["type"] != "sample":
            return
        batch, event = len(msg["fn"].batch_shape), len(msg["fn"].event_shape)
        unnamed = [f"{msg['name']}_dim_{number}" for number in range(batch + event)]
        plates = {batch + frame.dim: frame.name for frame in msg["cond_indep_stack"]}
        leading = [plates.get(number, unnamed[number]) for number in range(batch)]
        dims = [*leading, *msg["infer"].get("event_dims", unnamed[batch:])]
        msg["infer"] = msg["infer"] | {"event_dims": dims}
        msg["fn"], msg["cond_indep_stack"] = msg["fn"].to_event(batch), []


def observed(function: Callable, values: Mapping[str, Any], seen: View, parts: Mapping[str, Any]) -> tuple[Any, Any]:
    """Observation and predictor at given values of the function's sites and latents of its blocks."""
    calls: list[Any] = []

    def latent(block: Latent | Templates, trials: Any):
        return parts[block.name]

    def observe(observation, predictor, trials):
        calls.append((observation, predictor))
        return predictor

    with HANDLERS, numpyro.handlers.block(), Answer(latent, observe), numpyro.handlers.substitute(data=dict(values)):
        function(seen)
    return calls[0]


def predictor(function: Callable, values: Mapping[str, Any], seen: View, parts: Mapping[str, Any]):
    """The predictor [trial, time, neuron] at given values of the function's sites and latents of its blocks."""
    return observed(function, values, seen, parts)[1]


def likelihood(function: Callable, values: Mapping[str, Any], seen: View, parts: Mapping[str, Any]) -> Callable:
    """The likelihood in `nlb.observe` at given values of the function's sites and latents of its blocks."""
    return observed(function, values, seen, parts)[0]


def zero_latents(latents: Mapping[str, int], seen: View) -> dict[str, Any]:
    """Latents that are zero, [trial, time, latent] by block."""
    return {name: jnp.zeros((seen.n_trials, seen.n_bins, dim)) for name, dim in latents.items()}


def linear(function: Callable, values: Mapping[str, Any], seen: View, latents: Mapping[str, int]) -> tuple[Any, Any]:
    """The offset [trial, time, neuron] of the predictor, and its slope C [neuron, latent] in the first bin."""
    zero = zero_latents(latents, seen)

    def column(number):
        start, direction = 0, {}
        for name, dim in latents.items():
            selected = (jnp.arange(start, start + dim) == number).astype(zero[name].dtype)
            direction[name] = jnp.broadcast_to(selected, zero[name].shape)
            start += dim
        return jax.jvp(lambda parts: predictor(function, values, seen, parts), (zero,), (direction,))[1][0, 0]

    columns = jax.vmap(column)(jnp.arange(sum(latents.values())))
    return predictor(function, values, seen, zero), columns.T


def function_sites(function: Callable, seen: View, latents: Mapping[str, int]) -> dict[str, Any]:
    """The values of the sample sites that are not blocks', in one run of a seeded function."""
    zero = zero_latents(latents, seen)
    answer = Answer(lambda block, _: zero[block.name], lambda observation, predictor, _: predictor)
    with HANDLERS, numpyro.handlers.block(), answer, numpyro.handlers.trace() as sites:
        function(seen)
    return {name: site["value"] for name, site in sites.items() if site["type"] == "sample"}


class Sampled(NamedTuple):
    """One run of a function for its parameters: the values of all sites, and the priors and parameters at them.

    Attributes:
        values: of all sites, by name.
        priors: of the trajectories, by block.
        observation: the parameters of the observation, by name.
        density: log p of all sites together.
    """

    values: dict[str, Any]
    priors: dict[str, Dynamics | Mixture]
    observation: dict[str, Any]
    log_density: Any


def sample(function: Callable, blocks: Mapping[str, Latent | Templates], context: Context, seen: View) -> Sampled:
    """Run the function for its parameters only: its sites and those of its blocks are sampled, no trajectory is."""
    priors: dict[str, Dynamics | Mixture] = {}
    observation_parameters: dict[str, Any] = {}

    def latent(block: Latent | Templates, trials: Any):
        block = blocks[block.name]
        priors[block.name] = block.prior(context)
        return jnp.zeros((seen.n_trials, seen.n_bins, block.n_latents))

    def observe(observation, predictor, trials):
        if isinstance(observation, Observation):
            observation_parameters.update(observation.parameters(context))
        return predictor

    with HANDLERS, SitesWithoutPlates(), Answer(latent, observe), numpyro.handlers.trace() as sites:
        function(seen)
    sampled = {name: site for name, site in sites.items() if site["type"] == "sample"}
    log_density = sum(site["fn"].log_prob(site["value"]).sum() for site in sampled.values())
    return Sampled({name: site["value"] for name, site in sampled.items()}, priors, observation_parameters, log_density)
