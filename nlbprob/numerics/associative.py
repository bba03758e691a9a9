"""The forward and backward recursions as associative scans: O(log T) depth, for accelerators and long trials.

Sarkka and Garcia-Fernandez 2021, "Temporal parallelization of Bayesian smoothers" (arXiv 1905.13002), with sites for
observations.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from nlbprob.numerics.gaussian import (
    BackwardSteps,
    Chain,
    Filtered,
    Moments,
    Sites,
    apply,
    condition,
    predict,
    square,
    step_arrays,
    symmetrize,
    time_leading,
)


class Element(NamedTuple):
    """What a run of bins does to the state before it, x: p(x_k | x, sites) = N(A x + b, C), p(sites | x) ~ exp(h'x -
    x'Jx/2).
    """

    transition: Float[Array, "*shape state state"]
    offset: Float[Array, "*shape state"]
    covariance: Float[Array, "*shape state state"]
    linear: Float[Array, "*shape state"]
    precision: Float[Array, "*shape state state"]


def elements(chain: Chain, sites: Sites) -> tuple[Element, Moments]:
    """One element a bin, time first, and the moments of the first bin before its site."""
    (constant, varying), (linear, precision) = step_arrays(chain), time_leading(sites)
    bins, *batch, state = linear.shape
    mean = jnp.broadcast_to(chain.initial_mean, (*batch, state))
    covariance = jnp.broadcast_to(chain.initial_covariance, precision.shape[1:])
    first_mean, first_root, *_ = condition(mean, covariance, linear[0], precision[0])

    def per_bin(
        fixed: Float[Array, "..."] | None, moving: Float[Array, "..."] | None, rank: int
    ) -> Float[Array, "..."]:
        """A step's array, a vector or a matrix by its rank, for every later bin and batch entry."""
        batch = linear.shape[1:-1] if rank == 1 else precision.shape[1:-2]
        if moving is None:
            assert fixed is not None
            return jnp.broadcast_to(fixed, (bins - 1, *batch, *fixed.shape))
        if moving.ndim == 1 + rank:
            moving = moving.reshape(bins - 1, *[1] * len(batch), *moving.shape[1:])
        return jnp.broadcast_to(moving, (bins - 1, *batch, *moving.shape[-rank:]))

    transition, offset, noise = (per_bin(f, m, rank) for f, m, rank in zip(constant, varying, (2, 1, 2), strict=True))
    h, j = linear[1:], precision[1:]
    gained, gained_root, *_ = condition(offset, noise, h, j)
    first_covariance, gained_covariance = (square(root) for root in (first_root, gained_root))
    kept = jnp.eye(state, dtype=h.dtype) - gained_covariance @ j
    seen_precision = symmetrize(j @ kept)
    seen_linear = apply(kept.mT, h) - apply(seen_precision, offset)
    zero = jnp.zeros_like(first_covariance)
    first_bin = Element(zero, first_mean, first_covariance, jnp.zeros_like(first_mean), zero)
    later_bins = Element(
        kept @ transition,
        gained,
        gained_covariance,
        apply(transition.mT, seen_linear),
        symmetrize(transition.mT @ seen_precision @ transition),
    )
    joined = Element(*(jnp.concatenate([a[None], b]) for a, b in zip(first_bin, later_bins, strict=True)))
    return joined, (mean, covariance)


def combine(early: Element, late: Element) -> Element:
    """The element of two neighbouring runs of bins."""
    identity = jnp.eye(early.offset.shape[-1], dtype=early.offset.dtype)
    # (I + C_i J_j)^-1 applied from the left, and its transpose (I + J_j C_i)^-1.
    inverse = jnp.linalg.solve(
        identity + early.covariance @ late.precision, jnp.broadcast_to(identity, early.covariance.shape)
    )
    forward = late.transition @ inverse
    backward = early.transition.mT @ inverse.mT
    return Element(
        forward @ early.transition,
        apply(forward, early.offset + apply(early.covariance, late.linear)) + late.offset,
        symmetrize(forward @ early.covariance @ late.transition.mT) + late.covariance,
        apply(backward, late.linear - apply(late.precision, early.offset)) + early.linear,
        symmetrize(backward @ late.precision @ early.transition) + early.precision,
    )


def filter(chain: Chain, sites: Sites) -> Filtered:
    """The forward pass of `nlbprob.numerics.kalman.filter`, in parallel over time."""
    pieces, first = elements(chain, sites)
    scanned: Any = lax.associative_scan(combine, pieces)
    axis = scanned.offset.ndim - 2
    mean = jnp.moveaxis(scanned.offset, 0, axis)
    covariance = jnp.moveaxis(scanned.covariance, 0, axis)
    ahead = predict(mean[..., :-1, :], covariance[..., :-1, :, :], chain.transition, chain.offset, chain.noise)
    predicted = [jnp.concatenate([jnp.expand_dims(a, axis), b], axis) for a, b in zip(first, ahead, strict=True)]
    _, root, centered, predicted_root = condition(predicted[0], predicted[1], sites.linear, sites.precision)
    return Filtered(predicted[0], predicted_root, mean, root, centered)


def backward_pass(
    last: Moments, steps: BackwardSteps
) -> tuple[Float[Array, "*steps state"], Float[Array, "*#steps state state"]]:
    """The backward recursion m_t = G_t m_{t+1} + g_t, P_t = G_t P_{t+1} G_t' + R_t, in parallel over time."""

    def compose(late: BackwardSteps, early: BackwardSteps) -> BackwardSteps:
        gain, shift, residual = early
        later_gain, later_shift, later_residual = late
        return (
            gain @ later_gain,
            apply(gain, later_shift) + shift,
            symmetrize(gain @ later_residual @ gain.mT) + residual,
        )

    gain, shift, residual = lax.associative_scan(compose, steps, reverse=True)
    mean = apply(gain, last[0]) + shift
    return mean, symmetrize(gain @ last[1] @ gain.mT) + residual
