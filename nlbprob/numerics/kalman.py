"""Filtering and smoothing of a linear-Gaussian chain times Gaussian sites.

Everything a Gaussian posterior over a trajectory needs follows from one forward and one backward pass: the
normaliser log Z, the marginals, the covariances of neighbours, the divergence from the chain. Covariances are kept
in forms that are positive definite by construction (Joseph's in the smoother, a factor of I + L'JL in the filter),
which float32 needs.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Key

from nlbprob.numerics import associative
from nlbprob.numerics.gaussian import (
    BackwardSteps,
    Chain,
    Filtered,
    Moments,
    Sites,
    Smoothed,
    StepArrays,
    apply,
    cholesky,
    condition,
    divide,
    merge,
    square,
    step_arrays,
    symmetrize,
    time_leading,
)


def in_parallel(parallel: bool | None) -> bool:
    """Whether to run in O(log T) depth: by default on accelerators, where a long loop of small kernels is slow."""
    return jax.default_backend() != "cpu" if parallel is None else parallel


def filter(chain: Chain, sites: Sites, parallel: bool | None = None) -> Filtered:
    """Forward pass: O(T K^3) work; depth O(T) in sequence, O(log T) in parallel (the default on accelerators)."""
    if in_parallel(parallel):
        return associative.filter(chain, sites)
    (constant, varying), (linear, precision) = step_arrays(chain), time_leading(sites)
    batch = linear.shape[1:]
    first = (
        jnp.broadcast_to(chain.initial_mean, batch),
        jnp.broadcast_to(chain.initial_covariance, precision.shape[1:]),
    )

    def advance(
        moments: Moments, inputs: tuple[Moments, StepArrays]
    ) -> tuple[Moments, tuple[Float[Array, "..."], ...]]:
        site, step = inputs
        mean, root, centered, predicted_root = condition(*moments, *site)
        transition, offset, noise = merge(constant, step)
        spread = transition @ root
        ahead = apply(transition, mean) + offset, symmetrize(square(spread) + noise)
        return ahead, (moments[0], predicted_root, mean, root, centered)

    padded = jax.tree.map(lambda a: jnp.concatenate([a, a[-1:]]) if len(a) else jnp.zeros((1, *a.shape[1:])), varying)
    _, out = lax.scan(advance, first, ((linear, precision), padded))
    return Filtered(*(jnp.moveaxis(a, 0, len(batch) - 1) for a in out))


def smooth(chain: Chain, sites: Sites, filtered: Filtered, parallel: bool | None = None) -> Smoothed:
    """Backward pass: the moments given all sites and KL(posterior || chain) of each trial.

    With G_t = P_t A' (A P_t A' + Q)^-1, the smoothed covariance is G_t (P_{t+1} + Q) G_t' + (I - G_t A) P_t (I - G_t
    A)'. The divergence, E_q[sites] - log Z, is summed from terms centred on the predicted means, so that float32 keeps
    its digits.
    """
    axis = filtered.mean.ndim - 2
    last = (filtered.mean[..., -1, :], square(filtered.root[..., -1, :, :]))
    if in_parallel(parallel):
        gain, shift, residual = (jnp.moveaxis(a, axis, 0) for a in backward(chain, filtered))
        mean, covariance = associative.backward_pass(last, (gain, shift, residual))
    else:
        mean, covariance, gain = backward_pass(chain, filtered, last)
    gain, mean, covariance = (jnp.moveaxis(a, 0, axis) for a in (gain, mean, covariance))
    mean, covariance = (
        jnp.concatenate([a, jnp.expand_dims(end, axis)], axis) for a, end in zip((mean, covariance), last, strict=True)
    )
    cross_covariance = covariance[..., 1:, :, :] @ gain.mT
    return Smoothed(mean, covariance, cross_covariance, divergence(sites, filtered, mean, covariance), gain)


def backward_pass(
    chain: Chain, filtered: Filtered, last: Moments
) -> tuple[Float[Array, "*steps state"], Float[Array, "*#steps state state"], Float[Array, "*#steps state state"]]:
    """Mean, covariance and gain of every bin but the last, in sequence from the moments of the last bin, time first.

    All that a step needs is made within it: on CPU arrays of one bin stay in the cache, those of all bins do not.
    """
    axis = filtered.mean.ndim - 2
    constant, varying = step_arrays(chain)
    now = tuple(jnp.moveaxis(a, axis, 0)[:-1] for a in (filtered.mean, filtered.root))
    ahead = tuple(jnp.moveaxis(a, axis, 0)[1:] for a in (filtered.predicted_mean, filtered.predicted_root))

    def step(later: Moments, inputs: Any) -> tuple[Moments, tuple[Float[Array, "..."], ...]]:
        (mean, root), (ahead_mean, ahead_root), varying = inputs
        transition, _, noise = merge(constant, varying)
        gain, reduced = step_back(transition, root, ahead_root)
        covariance = symmetrize(gain @ (later[1] + noise) @ gain.mT + square(reduced))
        moments = (mean + apply(gain, later[0] - ahead_mean), covariance)
        return moments, (*moments, gain)

    mean, covariance, gain = lax.scan(step, last, (now, ahead, varying), reverse=True)[1]
    return mean, covariance, gain


def step_back(
    transition: Float[Array, "... state state"],
    root: Float[Array, "*steps state state"],
    ahead_root: Float[Array, "*steps state state"],
) -> tuple[Float[Array, "*steps state state"], Float[Array, "*steps state state"]]:
    """The gain G of a step back, and (I - G A) R, from roots R of the filtered and of the next predicted covariance."""
    spread = transition @ root
    gain = divide(root @ spread.mT, ahead_root)
    return gain, root - gain @ spread


def backward(chain: Chain, filtered: Filtered) -> BackwardSteps:
    """Gain G, shift g and covariance R of every step back, p(x_t | x_{t+1}, sites up to t) = N(G x_{t+1} + g, R)."""
    mean, root = filtered.mean[..., :-1, :], filtered.root[..., :-1, :, :]
    gain, reduced = step_back(chain.transition, root, filtered.predicted_root[..., 1:, :, :])
    residual = symmetrize(square(reduced) + gain @ chain.noise @ gain.mT)
    return gain, mean - apply(gain, filtered.predicted_mean[..., 1:, :]), residual


def sample(key: Key[Array, ""], chain: Chain, filtered: Filtered) -> Float[Array, "*batch time state"]:
    """A trajectory from the posterior: filtered forward already, sampled backward."""
    gain, shift, residual = backward(chain, filtered)
    axis = filtered.mean.ndim - 2
    normal = jax.random.normal(key, filtered.mean.shape, filtered.mean.dtype)
    last = filtered.mean[..., -1, :] + apply(filtered.root[..., -1, :, :], normal[..., -1, :])
    moved = shift + apply(cholesky(residual), normal[..., :-1, :])

    def step(
        later: Float[Array, "*batch state"],
        inputs: tuple[Float[Array, "*batch state state"], Float[Array, "*batch state"]],
    ) -> tuple[Float[Array, "*batch state"], Float[Array, "*batch state"]]:
        gain, moved = inputs
        now = apply(gain, later) + moved
        return now, now

    _, earlier = lax.scan(step, last, (jnp.moveaxis(gain, axis, 0), jnp.moveaxis(moved, axis, 0)), reverse=True)
    return jnp.concatenate([jnp.moveaxis(earlier, 0, axis), jnp.expand_dims(last, axis)], axis)


def later_response(
    smoothed: Smoothed, forces: Float[Array, "*batch time state force"], parallel: bool | None = None
) -> Float[Array, "*batch step state force"]:
    """How far the mean of each bin but the last moves where h grows by f in later bins: sum_{s>t} Cov(x_t, x_s) f_s.

    Given all sites the states are a Markov chain: r_t = G_t (r_{t+1} + P_{t+1} f_{t+1}), with the gain G and the
    covariance P of `smoothed`.
    """
    gain, axis = smoothed.gain, forces.ndim - 3
    assert gain is not None
    own = gain @ smoothed.covariance[..., 1:, :, :] @ forces[..., 1:, :, :]
    steps = (jnp.moveaxis(gain, axis, 0), jnp.moveaxis(own, axis, 0))

    def compose(
        late: tuple[Float[Array, "..."], Float[Array, "..."]], early: tuple[Float[Array, "..."], Float[Array, "..."]]
    ) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        return early[0] @ late[0], early[0] @ late[1] + early[1]

    def step(
        later: Float[Array, "..."], inputs: tuple[Float[Array, "..."], Float[Array, "..."]]
    ) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        total = inputs[0] @ later + inputs[1]
        return total, total

    if in_parallel(parallel):
        total = lax.associative_scan(compose, steps, reverse=True)[1]
    else:
        nothing = jnp.zeros((*forces.shape[:axis], *forces.shape[axis + 1 :]), forces.dtype)
        total = lax.scan(step, nothing, steps, reverse=True)[1]
    return jnp.moveaxis(total, 0, axis)


def log_normalizer(filtered: Filtered, sites: Sites) -> Float[Array, "*batch"]:
    """log Z: the log of the integral of the chain's density times all sites."""
    mean = filtered.predicted_mean
    pulled = apply(sites.precision, mean)
    return jnp.sum(jnp.sum((sites.linear - 0.5 * pulled) * mean, -1) + filtered.centered, -1)


def divergence(
    sites: Sites,
    filtered: Filtered,
    mean: Float[Array, "*batch time state"],
    covariance: Float[Array, "*#batch time state state"],
) -> Float[Array, "*batch"]:
    """KL(q || chain) = E_q[sites] - log Z, each bin's two terms taken relative to the predicted mean."""
    shift = mean - filtered.predicted_mean
    gap = sites.linear - apply(sites.precision, filtered.predicted_mean)
    curvature = jnp.einsum("...ij,...ij->...", sites.precision, covariance)
    quadratic = jnp.sum((gap - 0.5 * apply(sites.precision, shift)) * shift, -1)
    return jnp.sum(quadratic - 0.5 * curvature - filtered.centered, -1)
