"""Early stopping: neurons that EM does not see in some trials, and how well it predicts them there."""

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from nlbprob.blocks.base import Context
from nlbprob.errors import InputError
from nlbprob.infer.em.steps import EStep
from nlbprob.infer.parameters.sites import parameters_at
from nlbprob.infer.runtime.batch import Batch
from nlbprob.infer.runtime.execute import map_chunks
from nlbprob.infer.runtime.programs import program
from nlbprob.infer.trajectories import marginals
from nlbprob.infer.trajectories.problem import latent_moments, trial_problem
from nlbprob.model import Model

#: EM ends after so many iterations without a better prediction.
PATIENCE = 5


class Hidden:
    """A fraction of all pairs of trial and neuron, hidden from EM; `batches` is what it sees.

    The prediction is scored as co-smoothing is: bits per spike over the neuron's mean count in what is seen.
    """

    def __init__(self, model: Model, context: Context, batches: Sequence[Batch], fraction: float, seed: int):
        random = np.random.default_rng([seed, 1])
        pairs = [random.random((len(batch.seen), 1, batch.seen.shape[2])) < fraction for batch in batches]
        both = list(zip(batches, pairs, strict=True))
        self.batches = tuple(batch._replace(seen=batch.seen & ~pair) for batch, pair in both)
        self.targets = tuple(batch.seen & pair for batch, pair in both)
        spikes = sum(np.where(batch.seen, batch.counts, 0).sum((0, 1), dtype=float) for batch in self.batches)
        bins = sum(np.asarray(batch.seen).sum((0, 1), dtype=float) for batch in self.batches)
        mean = jnp.asarray(np.maximum(spikes, 0.5) / np.maximum(bins, 1.0), jnp.result_type(float))
        self.spikes = sum(float(jnp.where(t, b.counts, 0).sum()) for b, t in zip(batches, self.targets, strict=True))
        if not self.spikes:
            raise InputError(
                f"fit(early_stopping={fraction:g}): no spike is among what is hidden. Hide more, or go without."
            )
        self.model, self.context, self.mean = model, context, mean

    def score(self, values: dict[str, Any], chunks: Sequence[EStep]) -> float:
        """Bits per spike of what is hidden, predicted from an E-step at these values."""

        def gained(part: tuple[Batch, Bool[Array, "trial time neuron"], EStep]) -> Float[Array, ""]:
            return nats(self.model, self.context, values, self.mean, *part)

        parts = zip(self.batches, self.targets, chunks, strict=True)
        return sum(map(float, map_chunks(gained, parts))) / math.log(2) / self.spikes


@program("model", "context")
def nats(
    model: Model,
    context: Context,
    values: dict[str, Any],
    mean: Float[Array, " neuron"],
    batch: Batch,
    target: Bool[Array, "trial time neuron"],
    chunk: EStep,
) -> Float[Array, ""]:
    """The log likelihood of the hidden counts of a chunk over that of the mean counts."""
    theta = parameters_at(model, context, values)
    problem, _ = trial_problem(model, theta, batch)
    responsibility = chunk.responsibility.reshape(len(batch.seen), -1)
    latents = marginals.Marginals(*latent_moments(problem, *chunk.moments), responsibility)
    expected = jnp.maximum(marginals.expected_counts(model, problem, latents), 1e-9)
    gained = batch.counts * jnp.log(expected / mean) - (expected - mean)
    return jnp.where(target, gained, 0.0).sum()


def should_stop(bits: Sequence[float]) -> bool:
    """Whether the last `PATIENCE` iterations have predicted no better than the best one before."""
    return len(bits) - int(np.argmax(bits)) > PATIENCE
