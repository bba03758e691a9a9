"""Hidden Markov chains: forward-backward in logarithms.

Leading axes are batch axes (`trial`). `initial` [state] and `transition` [from, to] are log probabilities, the same for
all or with batch axes, the transition with a time axis of length T-1 or without; `evidence` [time, state] is the log
likelihood of each bin.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int, Key


class Path(NamedTuple):
    """Marginals of a discrete path: p(s_t) [time, state], p(s_t, s_{t+1}) [step, from, to], and log p(evidence)."""

    marginal: Float[Array, "*batch time state"]
    pair: Float[Array, "*batch step state state"]
    log_normalizer: Float[Array, "*batch"]


def steps(
    transition: Float[Array, "*step state state"],
) -> Float[Array, "steps *batch state state"] | None:
    """The transition with its time axis first; None where it is constant."""
    return None if transition.ndim == 2 else jnp.moveaxis(transition, -3, 0)


def log_sum(logs: Float[Array, "..."], axis: int) -> Float[Array, "..."]:
    """log sum exp(logs), minus infinity with a derivative of zero where all are impossible."""
    largest = lax.stop_gradient(jnp.max(logs, axis, keepdims=True))
    largest = jnp.where(jnp.isfinite(largest), largest, 0.0)
    total = jnp.sum(jnp.exp(logs - largest), axis)
    possible = total > 0
    log_total = jnp.where(possible, jnp.log(jnp.where(possible, total, 1.0)), -jnp.inf)
    return log_total + jnp.squeeze(largest, axis)


def lowered(logs: Float[Array, "*batch state"]) -> tuple[Float[Array, "*batch state"], Float[Array, "*batch"]]:
    """Logarithms less the largest of the states, and that one, which counts as constant in derivatives."""
    largest = lax.stop_gradient(jnp.max(logs, -1))
    largest = jnp.where(jnp.isfinite(largest), largest, 0.0)
    return logs - largest[..., None], largest


def forward(
    initial: Float[Array, "... state"],
    transition: Float[Array, "*step state state"],
    evidence: Float[Array, "*batch time state"],
) -> tuple[Float[Array, "time *batch state"], Float[Array, "*batch"]]:
    """log p(s_t, evidence up to t) less the largest of each bin, time first, and the log normaliser.

    The largest ones are summed apart: in float32 the logarithms of a long chain would grow until no digits are left for
    the differences between states.
    """
    leading = jnp.moveaxis(evidence, -2, 0)
    varying = steps(transition)
    first, first_largest = lowered(initial + leading[0])

    def advance(
        alpha: Float[Array, "*batch state"], inputs: tuple[Float[Array, "*batch state"], Array | None]
    ) -> tuple[Float[Array, "*batch state"], tuple[Float[Array, "*batch state"], Float[Array, "*batch"]]]:
        now, step = inputs
        moved, largest = lowered(log_sum(alpha[..., :, None] + (transition if step is None else step), -2) + now)
        return moved, (moved, largest)

    last, (later, largest) = lax.scan(advance, first, (leading[1:], varying))
    return jnp.concatenate([first[None], later]), first_largest + largest.sum(0) + log_sum(last, -1)


def forward_backward(
    initial: Float[Array, "... state"],
    transition: Float[Array, "*step state state"],
    evidence: Float[Array, "*batch time state"],
) -> Path:
    """Marginals of s and of its neighbours given all evidence: the sum-product algorithm."""
    alpha, log_normalizer = forward(initial, transition, evidence)
    leading = jnp.moveaxis(evidence, -2, 0)
    varying = steps(transition)

    def backward_pass(
        beta: Float[Array, "*batch state"], inputs: tuple[Float[Array, "*batch state"], Array | None]
    ) -> tuple[Float[Array, "*batch state"], Float[Array, "*batch state"]]:
        later, step = inputs
        moved, _ = lowered(log_sum((transition if step is None else step) + (beta + later)[..., None, :], -1))
        return moved, beta

    first, later = lax.scan(backward_pass, jnp.zeros_like(alpha[0]), (leading[1:], varying), reverse=True)
    beta = jnp.concatenate([first[None], later])
    marginal = jax.nn.softmax(alpha + beta, -1)
    after = (beta[1:] + leading[1:])[..., None, :] + (transition if varying is None else varying)
    joint = alpha[:-1][..., :, None] + after
    pair = jax.nn.softmax(joint, (-2, -1))
    axis = evidence.ndim - 2
    return Path(jnp.moveaxis(marginal, 0, axis), jnp.moveaxis(pair, 0, axis), log_normalizer)


def draw(
    key: Key[Array, ""],
    initial: Float[Array, "... state"],
    transition: Float[Array, "*step state state"],
    evidence: Float[Array, "*batch time state"],
    shape: tuple[int, ...] = (),
) -> Int[Array, "*shape time"]:
    """Paths from the posterior given all evidence: filter forward, sample backward; [*shape, *batch, time]."""
    alpha, _ = forward(initial, transition, evidence)
    varying = steps(transition)
    keys = jax.random.split(key, alpha.shape[0])
    last = jax.random.categorical(keys[-1], alpha[-1], shape=(*shape, *alpha.shape[1:-1]))

    def backward_pass(
        later: Int[Array, "*shape"], inputs: tuple[Float[Array, "*batch state"], Array | None, Key[Array, ""]]
    ) -> tuple[Int[Array, "*shape"], Int[Array, "*shape"]]:
        filtered, step, key = inputs
        chosen = jax.nn.one_hot(later, filtered.shape[-1], dtype=bool)[..., None, :]
        into = jnp.where(chosen, transition if step is None else step, 0.0).sum(-1)
        now = jax.random.categorical(key, filtered + into)
        return now, now

    _, earlier = lax.scan(backward_pass, last, (alpha[:-1], varying, keys[:-1]), reverse=True)
    return jnp.moveaxis(jnp.concatenate([earlier, last[None]]), 0, -1)


def divergence(
    path: Path, initial: Float[Array, "... state"], transition: Float[Array, "... state state"]
) -> Float[Array, "*batch"]:
    """KL(q(s) || p(s)) of a path's marginals, q being Markov, from the prior; E[log p] with expected log potentials."""
    entropy = -jnp.sum(xlogx(path.pair), (-1, -2, -3)) + jnp.sum(xlogx(path.marginal[..., 1:-1, :]), (-1, -2))
    single = path.pair.shape[-3] == 0
    entropy = jnp.where(single, -jnp.sum(xlogx(path.marginal[..., 0, :]), -1), entropy)
    return -entropy - expected_log_prior(path, initial, transition)


def expected_log_prior(
    path: Path, initial: Float[Array, "... state"], transition: Float[Array, "... state state"]
) -> Float[Array, "*batch"]:
    """E_q[log p(s)]."""
    first = jnp.sum(weighted(path.marginal[..., 0, :], initial), -1)
    return first + jnp.sum(weighted(path.pair, transition), (-1, -2, -3))


def weighted(p: Float[Array, "..."], logs: Float[Array, "..."]) -> Float[Array, "..."]:
    """p times a log probability, zero where both are impossible."""
    return p * jnp.where((p > 0) | (logs > -jnp.inf), logs, 0.0)


def xlogx(p: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """p log p, zero at zero."""
    return jnp.where(p > 0, p * jnp.log(jnp.where(p > 0, p, 1.0)), 0.0)


def sample(key: Key[Array, ""], path: Path) -> Int[Array, "*batch time"]:
    """A path [*batch, time] from the posterior whose marginals are given: a Markov chain forward in time."""
    tiny = jnp.finfo(path.marginal.dtype).tiny
    transition = jnp.log(jnp.maximum(path.pair, tiny)) - jnp.log(jnp.maximum(path.marginal[..., :-1, :, None], tiny))
    keys = jax.random.split(key, path.marginal.shape[-2])
    first = jax.random.categorical(keys[0], jnp.log(jnp.maximum(path.marginal[..., 0, :], tiny)))

    def advance(
        now: Int[Array, "*batch"], inputs: tuple[Float[Array, "*batch state state"], Key[Array, ""]]
    ) -> tuple[Int[Array, "*batch"], Int[Array, "*batch"]]:
        step, key = inputs
        row = jnp.take_along_axis(step, now[..., None, None], -2)[..., 0, :]
        later = jax.random.categorical(key, row)
        return later, later

    _, later = lax.scan(advance, first, (jnp.moveaxis(transition, -3, 0), keys[1:]))
    return jnp.moveaxis(jnp.concatenate([first[None], later]), 0, -1)
