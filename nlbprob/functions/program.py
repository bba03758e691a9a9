"""A NumPyro function run with its blocks' calls answered from outside."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpyro.handlers
import numpyro.primitives

from nlbprob.blocks.base import Context
from nlbprob.blocks.calls import HANDLERS
from nlbprob.blocks.latent import Dynamics, Latent
from nlbprob.blocks.observation import Observation
from nlbprob.blocks.templates import Mixture, Templates
from nlbprob.functions.view import View


class Answer(numpyro.primitives.Messenger):
    """Answers blocks' calls by `latent(block, trials)`, `nlb.observe` by `observe(observation, predictor, trials)`."""

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


class WholeSites(numpyro.primitives.Messenger):
    """Shows each sample site to what is outside as one event without plates, its dimensions named after them."""

    def process_message(self, msg: Any) -> None:
        if msg["type"] != "sample":
            return
        batch, event = len(msg["fn"].batch_shape), len(msg["fn"].event_shape)
        unnamed = [f"{msg['name']}_dim_{number}" for number in range(batch + event)]
        plates = {batch + frame.dim: frame.name for frame in msg["cond_indep_stack"]}
        lead = [plates.get(number, unnamed[number]) for number in range(batch)]
        dims = [*lead, *msg["infer"].get("event_dims", unnamed[batch:])]
        msg["infer"] = msg["infer"] | {"event_dims": dims}
        msg["fn"], msg["cond_indep_stack"] = msg["fn"].to_event(batch), []


def observed(function: Callable, values: Mapping[str, Any], seen: View, parts: Mapping[str, Any]) -> tuple[Any, Any]:
    """Observation and predictor at given values of the function's own sites and latents of its blocks."""
    found: list[Any] = []

    def latent(block: Latent | Templates, trials: Any):
        return parts[block.name]

    def observe(observation, predictor, trials):
        found.append((observation, predictor))
        return predictor

    with HANDLERS, numpyro.handlers.block(), Answer(latent, observe), numpyro.handlers.substitute(data=dict(values)):
        function(seen)
    return found[0]


def predictor(function: Callable, values: Mapping[str, Any], seen: View, parts: Mapping[str, Any]):
    """The predictor [trial, time, neuron] at given values of the function's own sites and latents of its blocks."""
    return observed(function, values, seen, parts)[1]


def likelihood(function: Callable, values: Mapping[str, Any], seen: View, parts: Mapping[str, Any]) -> Callable:
    """What the function gives to `nlb.observe` at given values of its own sites and latents of its blocks."""
    return observed(function, values, seen, parts)[0]


def zeros(latents: Mapping[str, int], seen: View) -> dict[str, Any]:
    """Latents of blocks of such dimensions that are zero everywhere."""
    return {name: jnp.zeros((seen.n_trials, seen.n_bins, dim)) for name, dim in latents.items()}


def linear(function: Callable, values: Mapping[str, Any], seen: View, latents: Mapping[str, int]) -> tuple[Any, Any]:
    """The offset [trial, time, neuron] of the predictor, and its slope C [neuron, latent] in the first bin."""
    none = zeros(latents, seen)

    def column(number):
        start, moved = 0, {}
        for name, dim in latents.items():
            own = (jnp.arange(start, start + dim) == number).astype(none[name].dtype)
            moved[name] = jnp.broadcast_to(own, none[name].shape)
            start += dim
        return jax.jvp(lambda parts: predictor(function, values, seen, parts), (none,), (moved,))[1][0, 0]

    columns = jax.vmap(column)(jnp.arange(sum(latents.values())))
    return predictor(function, values, seen, none), columns.T


def own_sites(function: Callable, seen: View, latents: Mapping[str, int]) -> dict[str, Any]:
    """The values of the function's own sample sites, in one run of a function that is seeded."""
    none = zeros(latents, seen)
    answer = Answer(lambda block, _: none[block.name], lambda observation, predictor, _: predictor)
    with HANDLERS, numpyro.handlers.block(), answer, numpyro.handlers.trace() as sites:
        function(seen)
    return {name: site["value"] for name, site in sites.items() if site["type"] == "sample"}


class Sampled(NamedTuple):
    """One run of a function for its parameters: the values of all sites, and what blocks and observation made of them.

    Attributes:
        priors: of the latents, by block.
        density: log p of all sites together.
    """

    values: dict[str, Any]
    priors: dict[str, Dynamics | Mixture]
    observation: dict[str, Any]
    density: Any


def sample(function: Callable, blocks: Mapping[str, Latent | Templates], context: Context, seen: View) -> Sampled:
    """Run the function for its parameters alone: its sites are sampled, and those of its blocks; no trajectory is."""
    priors: dict[str, Dynamics | Mixture] = {}
    own: dict[str, Any] = {}

    def latent(block: Latent | Templates, trials: Any):
        block = blocks[block.name]
        priors[block.name] = block.prior(context)
        return jnp.zeros((seen.n_trials, seen.n_bins, block.n_latents))

    def observe(observation, predictor, trials):
        if isinstance(observation, Observation):
            own.update(observation.parameters(context))
        return predictor

    with HANDLERS, WholeSites(), Answer(latent, observe), numpyro.handlers.trace() as sites:
        function(seen)
    sampled = {name: site for name, site in sites.items() if site["type"] == "sample"}
    density = sum(site["fn"].log_prob(site["value"]).sum() for site in sampled.values())
    return Sampled({name: site["value"] for name, site in sampled.items()}, priors, own, density)
