"""Early stopping: neurons that EM does not see in some trials, and how well it predicts them there."""

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from nlbprob.blocks.base import Context
from nlbprob.errors import InputError
from nlbprob.infer import predict
from nlbprob.infer.ahead import concurrently, jit
from nlbprob.infer.em import Chunk
from nlbprob.infer.parameters import parameters_at
from nlbprob.infer.problem import Batch, latent_moments, problem
from nlbprob.model import Model

#: EM ends after so many iterations without a better prediction.
PATIENCE = 5


class Hidden:
    """A share of all pairs of trial and neuron, hidden from EM; `batches` is what it sees.

    The prediction is scored as co-smoothing is: bits per spike over the neuron's mean count in what is seen.
    """

    def __init__(self, model: Model, context: Context, batches: Sequence[Batch], share: float, seed: int):
        if not 0.0 < share < 1.0:
            raise InputError(f"fit(early_stopping={share!r}): give the share of (trial, neuron) pairs to hide, as 0.1.")
        random = np.random.default_rng([seed, 1])
        pairs = [random.random((len(batch.seen), 1, batch.seen.shape[2])) < share for batch in batches]
        both = list(zip(batches, pairs, strict=True))
        self.batches = tuple(batch._replace(seen=batch.seen & ~pair) for batch, pair in both)
        self.targets = tuple(batch.seen & pair for batch, pair in both)
        spikes = sum(np.where(batch.seen, batch.counts, 0).sum((0, 1), dtype=float) for batch in self.batches)
        bins = sum(np.asarray(batch.seen).sum((0, 1), dtype=float) for batch in self.batches)
        mean = jnp.asarray(np.maximum(spikes, 0.5) / np.maximum(bins, 1.0), jnp.result_type(float))
        self.spikes = sum(float(jnp.where(t, b.counts, 0).sum()) for b, t in zip(batches, self.targets, strict=True))
        if not self.spikes:
            raise InputError(
                f"fit(early_stopping={share:g}): no spike is among what is hidden. Hide more, or go without."
            )

        def gain(values, batch: Batch, target, chunk: Chunk):
            theta = parameters_at(model, context, values)
            given, _ = problem(model, theta, batch)
            share = chunk.share.reshape(len(batch.seen), -1)
            moments = predict.Moments(*latent_moments(given, *chunk.moments), share)
            expected = jnp.maximum(predict.expected_counts(model, given, moments), 1e-9)
            nats = batch.counts * jnp.log(expected / mean) - (expected - mean)
            return jnp.where(target, nats, 0.0).sum()

        self.gain = jit(gain)
        self.bits: list[float] = []
        self.best: tuple[Any, tuple[Chunk, ...]] | None = None

    def better(self, values: dict[str, Any], chunks: tuple[Chunk, ...]) -> bool:
        """Score what an E-step found at these values; whether EM is to go on."""
        parts = zip(self.batches, self.targets, chunks, strict=True)
        nats = sum(float(part) for part in concurrently(lambda one: self.gain(values, *one), parts))
        self.bits.append(nats / math.log(2) / self.spikes)
        if self.bits[-1] == max(self.bits):
            self.best = values, chunks
        return len(self.bits) - int(np.argmax(self.bits)) <= PATIENCE
