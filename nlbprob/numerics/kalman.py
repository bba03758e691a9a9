"""Filtering and smoothing of a linear-Gaussian chain times Gaussian site potentials.

The chain is x_1 ~ N(m0, P0), x_t = A_t x_{t-1} + b_t + N(0, Q_t); site t multiplies its density by
exp(h_t' x_t - 1/2 x_t' J_t x_t). Everything a Gaussian posterior over a trajectory needs follows from one forward and one
backward pass: the normaliser log Z, the marginals, the covariances of neighbours, the divergence from the chain.

Shapes: leading axes of the sites are batch axes (`trial`); the chain's arrays may have the same batch axes or none, and its
matrices a time axis of length T-1 (`A_t` leads to bin t+1) or none. Covariances are kept in a form that is positive definite by
construction (Joseph's in the smoother, a Cholesky factor of I + L'JL in the filter), which float32 needs.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float


class Chain(NamedTuple):
    """A linear-Gaussian Markov chain: the prior of a latent trajectory given its parameters."""

    initial_mean: Float[Array, "*batch state"]
    initial_covariance: Float[Array, "*batch state state"]
    transition: Float[Array, "*step state state"]
    offset: Float[Array, "*step state"]
    noise: Float[Array, "*step state state"]


class Sites(NamedTuple):
    """Gaussian potentials exp(h'x - 1/2 x'Jx), one a bin; zero where nothing is seen."""

    linear: Float[Array, "*batch time state"]
    precision: Float[Array, "*batch time state state"]


class Filtered(NamedTuple):
    """Moments of x_t given the sites up to t-1 (`predicted_*`) and up to t, and the log normaliser of each bin."""

    predicted_mean: Float[Array, "*batch time state"]
    predicted_covariance: Float[Array, "*batch time state state"]
    mean: Float[Array, "*batch time state"]
    covariance: Float[Array, "*batch time state state"]
    log_normalizer: Float[Array, "*batch time"]


class Smoothed(NamedTuple):
    """Moments of x_t given all sites; `cross_covariance[t]` is Cov(x_{t+1}, x_t)."""

    mean: Float[Array, "*batch time state"]
    covariance: Float[Array, "*batch time state state"]
    cross_covariance: Float[Array, "*batch step state state"]
    divergence: Float[Array, "*batch"]


def symmetrize(matrix: Float[Array, "*batch n n"]) -> Float[Array, "*batch n n"]:
    """(M + M') / 2."""
    return 0.5 * (matrix + matrix.mT)


def cholesky(matrix: Float[Array, "*batch n n"]) -> Float[Array, "*batch n n"]:
    """Cholesky factor of a covariance, after adding to its diagonal a few units of its own rounding error."""
    scale = jnp.trace(matrix, axis1=-2, axis2=-1) / matrix.shape[-1]
    jitter = 4 * jnp.finfo(matrix.dtype).eps * scale
    return jnp.linalg.cholesky(matrix + jitter[..., None, None] * jnp.eye(matrix.shape[-1], dtype=matrix.dtype))


def condition(mean, covariance, linear, precision):
    """Multiply N(mean, covariance) by one site: the moments and log normaliser of the product.

    With P = LL' and M = I + L'JL: covariance L M^-1 L', mean m + L M^-1 L'(h - Jm), and
    log Z = h'm - 1/2 m'Jm + 1/2 |M^-1/2 L'(h - Jm)|^2 - 1/2 log|M|. M >= I, so this is stable however strong the site.
    """
    root = cholesky(covariance)
    inner = jnp.eye(mean.shape[-1], dtype=mean.dtype) + symmetrize(root.mT @ precision @ root)
    inner_root = jnp.linalg.cholesky(inner)
    half = lax.linalg.triangular_solve(inner_root, root.mT, left_side=True, lower=True)
    gap = linear - jnp.einsum("...ij,...j->...i", precision, mean)
    step = jnp.einsum("...ij,...j->...i", half, gap)
    log_z = (
        0.5 * jnp.sum((linear + gap) * mean, -1)
        + 0.5 * jnp.sum(step**2, -1)
        - jnp.sum(jnp.log(jnp.diagonal(inner_root, axis1=-2, axis2=-1)), -1)
    )
    return mean + jnp.einsum("...ij,...i->...j", half, step), half.mT @ half, log_z


def predict(mean, covariance, transition, offset, noise):
    """Moments of A x + b + N(0, Q) for x ~ N(mean, covariance)."""
    return (
        jnp.einsum("...ij,...j->...i", transition, mean) + offset,
        symmetrize(transition @ covariance @ transition.mT + noise),
    )


def time_leading(chain: Chain, sites: Sites):
    """The arrays of both with the time axis first; a chain constant in time stays without one."""
    constant = chain.transition.ndim < 3
    steps = (chain.transition, chain.offset, chain.noise)
    if not constant:
        steps = (
            jnp.moveaxis(chain.transition, -3, 0),
            jnp.moveaxis(chain.offset, -2, 0),
            jnp.moveaxis(chain.noise, -3, 0),
        )
    return constant, steps, (jnp.moveaxis(sites.linear, -2, 0), jnp.moveaxis(sites.precision, -3, 0))


def filter(chain: Chain, sites: Sites) -> Filtered:
    """Forward pass, sequential in time: O(T K^3) work and O(T) depth."""
    constant, steps, (linear, precision) = time_leading(chain, sites)
    batch = linear.shape[1:]
    first = (
        jnp.broadcast_to(chain.initial_mean, batch),
        jnp.broadcast_to(chain.initial_covariance, (*batch, batch[-1])),
    )

    def advance(moments, inputs):
        site, step = inputs
        mean, covariance, log_z = condition(*moments, *site)
        following = predict(mean, covariance, *(steps if constant else step))
        return following, (*moments, mean, covariance, log_z)

    padded = None if constant else jax.tree.map(lambda a: jnp.concatenate([a, a[-1:]]), steps)
    _, out = lax.scan(advance, first, ((linear, precision), padded))
    return Filtered(*(jnp.moveaxis(a, 0, len(batch) - 1) for a in out))


def smooth(chain: Chain, sites: Sites, filtered: Filtered) -> Smoothed:
    """Backward pass: the moments given all sites and KL(posterior || chain) of each trial.

    With G_t = P_t A' (A P_t A' + Q)^-1, the smoothed covariance is G_t P_{t+1} G_t' + (I - G_t A) P_t (I - G_t A)' + G_t Q G_t'.
    The divergence, E_q[sites] - log Z, is summed from terms centred on the predicted means, so that float32 keeps its digits.
    """
    mean, covariance = filtered.mean[..., :-1, :], filtered.covariance[..., :-1, :, :]
    ahead_mean, ahead = filtered.predicted_mean[..., 1:, :], filtered.predicted_covariance[..., 1:, :, :]
    transition = chain.transition
    cross = transition @ covariance
    gain = jax.scipy.linalg.cho_solve((cholesky(ahead), True), cross).mT
    rest = jnp.eye(mean.shape[-1], dtype=mean.dtype) - gain @ transition
    residual = symmetrize(rest @ covariance @ rest.mT + gain @ chain.noise @ gain.mT)

    def retreat(later, inputs):
        later_mean, later_covariance = later
        mean, ahead_mean, gain, residual = inputs
        mean = mean + jnp.einsum("...ij,...j->...i", gain, later_mean - ahead_mean)
        covariance = symmetrize(gain @ later_covariance @ gain.mT + residual)
        return (mean, covariance), (mean, covariance)

    axis = filtered.mean.ndim - 2
    last = (filtered.mean[..., -1, :], filtered.covariance[..., -1, :, :])
    leading = tuple(jnp.moveaxis(a, axis, 0) for a in (mean, ahead_mean, gain, residual))
    _, moments = lax.scan(retreat, last, leading, reverse=True)
    smoothed_mean, smoothed_covariance = (
        jnp.concatenate([jnp.moveaxis(a, 0, axis), jnp.expand_dims(end, axis)], axis)
        for a, end in zip(moments, last, strict=True)
    )
    cross_covariance = smoothed_covariance[..., 1:, :, :] @ gain.mT
    return Smoothed(
        smoothed_mean, smoothed_covariance, cross_covariance, divergence(sites, filtered, smoothed_mean, smoothed_covariance)
    )


def divergence(sites: Sites, filtered: Filtered, mean, covariance) -> Float[Array, "*batch"]:
    """KL(q || chain) = E_q[sites] - log Z, each bin's two terms taken relative to the predicted mean."""
    shift = mean - filtered.predicted_mean
    pulled = jnp.einsum("...ij,...j->...i", sites.precision, filtered.predicted_mean)
    gap = sites.linear - pulled
    local = filtered.log_normalizer - 0.5 * jnp.sum((sites.linear + gap) * filtered.predicted_mean, -1)
    curvature = jnp.einsum("...ij,...ij->...", sites.precision, covariance + shift[..., :, None] * shift[..., None, :])
    return jnp.sum(jnp.sum(gap * shift, -1) - 0.5 * curvature - local, -1)
