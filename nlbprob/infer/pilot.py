"""The start of a fit from that of a simpler model, which some blocks ask for."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np

from nlbprob.blocks.base import Context
from nlbprob.blocks.latent import Latent
from nlbprob.infer import initialize
from nlbprob.infer.ahead import jit
from nlbprob.infer.em import EM, EMState, empty_rows
from nlbprob.infer.parameters import parameters_at
from nlbprob.infer.problem import Batch
from nlbprob.model import Model

if TYPE_CHECKING:
    from nlbprob.data.trials import Trials

#: EM iterations of the simpler model.
ITERATIONS = 12


def pilot_model(model: Model) -> Model | None:
    """The simpler model whose fit a model starts from, where one of its blocks asks for it."""
    pilots = [block.pilot() if isinstance(block, Latent) else None for block in model.latents]
    if not any(pilots) or not model.readout.names:
        return None
    latents = [pilot or block for pilot, block in zip(pilots, model.latents, strict=True)]
    return dataclasses.replace(model, latents=latents)


class Pilot:
    """The simpler model of `model`, its steps of EM compiled once for all seeds."""

    def __init__(self, simple: Model, model: Model, context: Context, trials: "Trials"):
        self.simple, self.model, self.context, self.trials = simple, model, context, trials
        self.em = EM(simple, context)
        self.steps = jit(self.em.expectation), jit(self.em.maximization)

    def fly(self, batches: Sequence[Batch], seed: int, iterate: Callable) -> dict[str, Any]:
        """Site values of the model after a few iterations with the simpler one; iterate: `Run.iterate`."""
        simple, context, trials = self.simple, self.context, self.trials
        values = initialize.site_values(simple, context, initialize.start_from(simple, trials, seed))
        size, bins = batches[0].seen.shape[:2]
        rows = empty_rows(simple, size, bins, jnp.result_type(float))
        neurons, width = trials.n_neurons, 1 + simple.dim
        curvature = jnp.broadcast_to(jnp.eye(width, dtype=jnp.result_type(float)), (neurons, width, width))
        state = EMState(values, curvature, (rows,) * len(batches), self.em.ascent.begin(trials.n_trials))
        count, latents, last = trials.n_trials, np.zeros(0), values
        for found, chunks in iterate(state, batches, *self.steps, ITERATIONS, "pilot"):
            components = simple.n_components
            mean = np.concatenate([np.asarray(chunk.moments[0]) for chunk in chunks])[: count * components]
            share = np.concatenate([np.asarray(chunk.share) for chunk in chunks])[: count * components]
            latents = (mean * share[:, None, None]).reshape(count, components, *mean.shape[1:]).sum(1)
            last, values = values, found.values
        # The states are in the basis of the values that the last E-step was taken at.
        emission = simple.emission(parameters_at(simple, context, last).dynamics)
        latents = latents if emission is None else latents @ np.asarray(emission).T
        return initialize.from_pilot(self.model, context, trials, last, latents, seed)
