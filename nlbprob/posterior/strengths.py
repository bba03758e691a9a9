"""Predictions with some latents and effects at a fraction of their strength, and how these change with the strength."""

from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Num

from nlbprob.infer.runtime.batch import Batch
from nlbprob.infer.runtime.precision import precision
from nlbprob.infer.runtime.programs import program
from nlbprob.infer.trajectories.marginals import Marginals, expected_counts, mixed
from nlbprob.infer.trajectories.problem import repeat, trial_problem
from nlbprob.model import Model, Parameters
from nlbprob.posterior import predict
from nlbprob.scoring.metrics.limits import SMALLEST_RATE

if TYPE_CHECKING:
    from nlbprob.data.trials import Trials
    from nlbprob.posterior.posterior import Posterior


class Averages(NamedTuple):
    """What a latent and an effect of strength zero are replaced by: their means over all scored bins."""

    latents: Float[Array, " latent"]
    effects: tuple[Float[Array, " neuron"], ...]


class Chunk(NamedTuple):
    """Some trials: their posterior given what is seen of them, and the counts to be predicted.

    scored: the entries to be predicted, False in trials that pad a chunk.
    """

    batch: Batch
    marginals: Marginals
    counts: Num[Array, "trial time neuron"]
    scored: Bool[Array, "trial time neuron"]


class Weakening(NamedTuple):
    """How strong each part is, of all trials or of each, what it is replaced by at zero, and the canonical basis."""

    strength: Float[Array, "*trial part"]
    averages: Averages
    turn: Float[Array, "latent latent"]


class Strengths:
    """Predictions of scored counts as functions of the strength of each canonical latent, then of each effect.

    With strengths s the latents z of a bin, in the canonical basis, are replaced by a + s (z - a), a being their
    averages over all scored bins, and effects likewise.

    Args:
        posterior: of a fit.
        visible: the trials with what predictions are made from, all neurons of the fit among them.
        scored: the same trials with the counts to be predicted.
        entries: [trial, time, neuron], which of these are scored.
    """

    def __init__(
        self,
        posterior: "Posterior",
        visible: "Trials",
        scored: "Trials",
        entries: Bool[np.ndarray, "trial time neuron"],
    ):
        self.posterior, self.model, self.n_trials = posterior, posterior.model, visible.n_trials
        self.n_parts = self.model.dim + len(self.model.effects)
        self.rows: list[slice] = []
        self.chunks: list[Chunk] = []
        for rows, theta, batch, marginals in predict.by_chunk(posterior, visible, causal=False):
            self.theta = theta
            padding = batch.counts.shape[0] - (rows.stop - rows.start)
            counts, used = (
                jnp.asarray(np.pad(array[rows], ((0, padding), (0, 0), (0, 0)))) for array in (scored.counts, entries)
            )
            self.rows.append(rows)
            self.chunks.append(Chunk(batch, marginals._replace(auxiliary=()), counts, used))
        with self.precision():
            self.turn = jnp.asarray(posterior.rotation, self.theta.loadings.dtype)
            totals = [level(self.model, self.theta, chunk) for chunk in self.chunks]
            bins, latents, effects = jax.tree.map(lambda *parts: sum(parts), *totals)
            means = tuple(effect / jnp.maximum(bins[1], 1) for effect in effects)
            self.averages = Averages(latents / jnp.maximum(bins[0], 1), means)

    def precision(self) -> Any:
        """The width of numbers of the fit."""
        return precision(self.posterior.config["precision"])

    def joined(self, parts: list[Any]) -> Any:
        """Arrays [trial, ...] of all trials in float64, from those of each chunk with its padding."""
        pieces = predict.gathered(parts, self.rows)
        return jax.tree.map(lambda array: np.asarray(array, np.float64), pieces)

    def weakening(self, strength: Float[np.ndarray, " part"]) -> Weakening:
        """Parts of this strength in all trials."""
        return Weakening(jnp.asarray(strength, self.turn.dtype), self.averages, self.turn)

    def sums(self, strength: Float[np.ndarray, " part"]) -> Any:
        """Sums over the scored bins of each trial and neuron, of y ln r and of r: two arrays [trial, neuron]."""
        with self.precision():
            weakening = self.weakening(strength)
            return self.joined([sums(self.model, self.theta, chunk, weakening) for chunk in self.chunks])

    def slopes(self, strength: Float[np.ndarray, " part"], scale: Float[np.ndarray, " neuron"]) -> Any:
        """d/ds of the sum of y ln r - scale r over each trial's scored entries [trial, part]."""
        with self.precision():
            given = self.weakening(strength), jnp.asarray(scale, self.turn.dtype)
            return self.joined([slopes(self.model, self.theta, chunk, *given) for chunk in self.chunks])

    def variances(self) -> Any:
        """Sums over each trial's scored entries of p (e - mean e), with the predictor e and each part p of it about its
        mean [trial, part].
        """
        with self.precision():
            given = self.averages, self.turn
            return self.joined([variances(self.model, self.theta, chunk, *given) for chunk in self.chunks])


@program("model")
def level(model: Model, theta: Parameters, chunk: Chunk) -> tuple[Any, Any, tuple[Any, ...]]:
    """Numbers of scored bins, of all and of each neuron, and the sums over them of latents and of effects."""
    batch, marginals, _, scored = chunk
    bins = scored.any(-1).astype(theta.loadings.dtype)
    latents = jnp.einsum("bt,btl->l", bins, mixed(marginals.mean, marginals.responsibility))
    effects = tuple(jnp.where(scored, value, 0.0).sum((0, 1)) for value in effect_values(model, theta, batch))
    return (bins.sum(), scored.sum((0, 1))), latents, effects


def effect_values(model: Model, theta: Parameters, batch: Batch) -> list[Any]:
    """The value of each effect in each predictor, [trial, time, neuron] or broadcast to it."""
    return [
        effect.offset(parameters, dict(batch.covariates), batch.counts, batch.seen)
        for effect, parameters in zip(model.effects, theta.effects, strict=True)
    ]


def predicted(model: Model, theta: Parameters, chunk: Chunk, weakening: Weakening) -> Float[Array, "trial time neuron"]:
    """Expected counts with latents and effects of the given strength in each trial."""
    marginals, (strength, averages, turn) = chunk.marginals, weakening
    problem, repeated = trial_problem(model, theta, chunk.batch)
    strength = repeat(strength, model.n_components)
    matrix = jnp.einsum("lk,bk,mk->blm", turn, strength[:, : model.dim], turn)
    mean = averages.latents + jnp.einsum("blm,btm->btl", matrix, marginals.mean - averages.latents)
    covariance = matrix[:, None] @ marginals.covariance @ matrix[:, None]
    values, offset = effect_values(model, theta, repeated), problem.offset
    for number, (value, average) in enumerate(zip(values, averages.effects, strict=True)):
        missing = 1 - strength[:, model.dim + number]
        offset = offset - missing[:, None, None] * (value - average)
    weakened = marginals._replace(mean=mean, covariance=covariance)
    return jnp.maximum(expected_counts(model, problem._replace(offset=offset), weakened), SMALLEST_RATE)


@program("model")
def sums(
    model: Model, theta: Parameters, chunk: Chunk, weakening: Weakening
) -> tuple[Float[Array, "trial neuron"], Float[Array, "trial neuron"]]:
    """See `Strengths.sums`."""
    counts, scored = chunk.counts, chunk.scored
    rates = predicted(model, theta, chunk, of_each(weakening, len(counts)))
    return jnp.where(scored, counts * jnp.log(rates), 0.0).sum(1), jnp.where(scored, rates, 0.0).sum(1)


def of_each(weakening: Weakening, trials: int) -> Weakening:
    """The same strength in each of so many trials."""
    strength = weakening.strength
    return weakening._replace(strength=jnp.broadcast_to(strength, (trials, *strength.shape)))


@program("model")
def slopes(
    model: Model, theta: Parameters, chunk: Chunk, weakening: Weakening, scale: Float[Array, " neuron"]
) -> Float[Array, "trial part"]:
    """See `Strengths.slopes`."""
    counts, each = chunk.counts, of_each(weakening, len(chunk.counts))

    def value(strength: Float[Array, "trial part"]) -> Float[Array, ""]:
        rates = predicted(model, theta, chunk, each._replace(strength=strength))
        return jnp.where(chunk.scored, counts * jnp.log(rates) - scale * rates, 0.0).sum()

    return jax.grad(value)(each.strength)


@program("model")
def variances(
    model: Model, theta: Parameters, chunk: Chunk, averages: Averages, turn: Float[Array, "latent latent"]
) -> Float[Array, "trial part"]:
    """See `Strengths.variances`."""
    batch, marginals, _, scored = chunk
    readout = theta.count_readout if theta.count_readout is not None else theta
    loadings = readout.loadings @ turn
    latents = (mixed(marginals.mean, marginals.responsibility) - averages.latents) @ turn
    effects = [v - mean for v, mean in zip(effect_values(model, theta, batch), averages.effects, strict=True)]
    predictor: Any = latents @ loadings.T + sum(effects)
    predictor = jnp.where(scored, predictor, 0.0)
    parts = (latents * (predictor @ loadings)).sum(1)
    others = [(effect * predictor).sum((1, 2))[:, None] for effect in effects]
    return jnp.concatenate([parts, *others], 1)
