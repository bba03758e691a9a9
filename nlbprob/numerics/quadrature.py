"""Expectations of elementwise functions under scalar Gaussians, by Gauss-Hermite quadrature."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

NODES = 20


def gauss_hermite(nodes: int = NODES) -> tuple[Float[np.ndarray, " node"], Float[np.ndarray, " node"]]:
    """Nodes and weights with sum_i w_i f(z_i) = E[f(Z)], Z ~ N(0, 1), exact for polynomials of degree < 2 nodes."""
    points, weights = np.polynomial.hermite_e.hermegauss(nodes)
    return points, weights / weights.sum()


def expectation(
    function: Callable[[Float[Array, "..."]], PyTree[Float[Array, "..."]]],
    mean: Float[Array, "*shape"],
    variance: Float[Array, "*shape"],
    nodes: int = NODES,
) -> PyTree[Float[Array, "..."]]:
    """E[f(X)] for X ~ N(mean, variance), elementwise: sum_i w_i f(mean + sqrt(variance) z_i); f may return a tree of
    arrays.

    The nodes are visited one after another, so memory does not grow with their number.
    """
    points, weights = (jnp.asarray(a, mean.dtype) for a in gauss_hermite(nodes))
    deviation = jnp.sqrt(variance)

    def add(
        total: PyTree[Float[Array, "..."]], node: tuple[Float[Array, ""], Float[Array, ""]]
    ) -> tuple[PyTree[Float[Array, "..."]], None]:
        point, weight = node
        return jax.tree.map(lambda a, b: a + weight * b, total, function(mean + deviation * point)), None

    zero = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), jax.eval_shape(function, mean))
    return jax.lax.scan(add, zero, (points, weights))[0]
