"""Stationary Gaussian processes as linear-Gaussian chains: exact state-space forms of kernels of unit variance.

A form says that f = emission'x for a chain x_t = A x_{t-1} + N(0, Q) that starts in its stationary distribution N(0,
P). Everything is a smooth function of the hyper-parameters and keeps its digits in float32 when bins are much shorter
than timescales: states are scaled to be of order one, and Q is never the difference P - A P A'.
Hartikainen and Sarkka 2010 (Matern), Solin and Sarkka 2014 (periodic kernels, products).
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

#: Nodes of the quadrature for step noise: full float64 accuracy for steps up to four times the timescale.
NODES = 16


class StateSpace(NamedTuple):
    """A process in state-space form, for steps of one bin."""

    transition: Float[Array, "state state"]
    noise: Float[Array, "state state"]
    stationary: Float[Array, "state state"]
    emission: Float[Array, " state"]


def matern(order: int, timescale: Float[ArrayLike, ""]) -> StateSpace:
    """The Matern kernel of smoothness nu = order - 1/2.

    With u = sqrt(2 nu) tau / lengthscale: k = e^-u for 1/2, (1 + u) e^-u for 3/2, (1 + u + u^2/3) e^-u for 5/2.

    The state is f and its derivatives in u, which have variances of order one: A = exp(F u) = e^-u sum_k (N u)^k / k!,
    with N = F + I nilpotent, and Q = q int_0^u g(v) g(v)' dv, g the last column of exp(F v), by Gauss-Legendre
    quadrature: positive by construction, each entry to its own digits.

    Args:
        order: 1, 2 or 3.
        timescale: lengthscale in bins.
    """
    step = math.sqrt(2 * order - 1) / jnp.asarray(timescale)
    dtype = step.dtype
    points, weights = np.polynomial.legendre.leggauss(NODES)
    nodes = step * jnp.asarray(0.5 * (points + 1), dtype)
    shape = np.eye(order, k=1) + np.eye(order)
    shape[-1] -= [math.comb(order, k) for k in range(order)]
    powers = [np.linalg.matrix_power(shape, k) / math.factorial(k) for k in range(order)]
    polynomial = sum(jnp.asarray(power, dtype) * step**k for k, power in enumerate(powers))
    columns = sum(jnp.asarray(power[:, -1], dtype) * nodes[:, None] ** k for k, power in enumerate(powers))
    shocks = jnp.exp(-nodes)[:, None] * columns * jnp.sqrt(0.5 * step * jnp.asarray(weights, dtype))[:, None]
    stationary, density = MATERN[order]
    return StateSpace(
        jnp.exp(-step) * polynomial,
        density * shocks.T @ shocks,
        jnp.asarray(stationary, dtype),
        jnp.zeros(order, dtype).at[0].set(1.0),
    )


#: Stationary covariance of the state and spectral density of the noise that drives its last derivative, by order.
MATERN = {
    1: (np.eye(1), 2.0),
    2: (np.eye(2), 4.0),
    3: (np.array([[1, 0, -1 / 3], [0, 1 / 3, 0], [-1 / 3, 0, 1]]), 16 / 3),
}


def periodic(period: Float[ArrayLike, ""], smoothness: Float[ArrayLike, ""], harmonics: int) -> StateSpace:
    """k(tau) = exp(-2 sin^2(pi tau / period) / smoothness^2) up to its first harmonics, scaled to unit variance.

    k = sum_j w_j cos(2 pi j tau / period) with w_0 ~ I_0(z), w_j ~ 2 I_j(z), z = smoothness^-2, sum_j w_j = 1. Harmonic
    j is a plane that turns by 2 pi j / period a step, without noise. The ratios I_j / I_{j-1} come from their continued
    fraction, to full relative accuracy.

    Args:
        period: in bins.
        smoothness: of the kernel.
        harmonics: how many.
    """
    inverse = smoothness**2
    ratio, ratios = jnp.zeros_like(inverse), []
    for j in range(harmonics + 16, 0, -1):
        ratio = 1 / (2 * j * inverse + ratio)
        ratios.append(ratio)
    bessel = jnp.cumprod(jnp.stack([jnp.ones_like(ratio), *ratios[::-1][:harmonics]]))
    weights = bessel * jnp.where(jnp.arange(harmonics + 1) == 0, 1.0, 2.0)
    weights = weights / weights.sum()
    angle = 2 * math.pi * jnp.arange(1, harmonics + 1) / period
    turns = jnp.stack([jnp.cos(angle), -jnp.sin(angle), jnp.sin(angle), jnp.cos(angle)], -1).reshape(-1, 2, 2)
    size = 1 + 2 * harmonics
    emission = jnp.zeros(size, weights.dtype).at[0].set(jnp.sqrt(weights[0])).at[1::2].set(jnp.sqrt(weights[1:]))
    identity = jnp.eye(size, dtype=weights.dtype)
    transition = jax.scipy.linalg.block_diag(jnp.ones((1, 1), weights.dtype), *turns)
    return StateSpace(transition, jnp.zeros_like(identity), identity, emission)


def weighted_sum(parts: list[StateSpace], weights: Float[Array, " part"]) -> StateSpace:
    """k = sum_i w_i k_i: independent processes side by side, w_i >= 0 and sum_i w_i = 1."""
    transitions, noises, stationaries, emissions = zip(*parts, strict=True)
    block = jax.scipy.linalg.block_diag
    emission = jnp.concatenate([jnp.sqrt(w) * h for w, h in zip(weights, emissions, strict=True)])
    return StateSpace(block(*transitions), block(*noises), block(*stationaries), emission)


def product(first: StateSpace, second: StateSpace) -> StateSpace:
    """k = k_1 k_2: A = A_1 x A_2, P = P_1 x P_2 (Kronecker), Q = P - A P A' summed from terms that are all positive,
    Q = (P_1 - Q_1) x Q_2 + Q_1 x (P_2 - Q_2) + Q_1 x Q_2 with P_i - Q_i = A_i P_i A_i'.
    """
    first_kept, second_kept = (form.transition @ form.stationary @ form.transition.T for form in (first, second))
    noise = jnp.kron(first_kept, second.noise)
    noise = noise + jnp.kron(first.noise, second_kept) + jnp.kron(first.noise, second.noise)
    return StateSpace(
        jnp.kron(first.transition, second.transition),
        noise,
        jnp.kron(first.stationary, second.stationary),
        jnp.kron(first.emission, second.emission),
    )
