"""Expectations of functions of a vector under a Gaussian, as weighted sums over a few points."""

import itertools

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from nlbprob.numerics.gaussian import cholesky
from nlbprob.numerics.quadrature import gauss_hermite

#: Gauss-Hermite nodes of each axis, by the number of axes.
AXIS_NODES = {1: 20, 2: 7, 3: 5, 4: 3}


def rule(dim: int) -> tuple[Float[np.ndarray, "node dim"], Float[np.ndarray, " node"]]:
    """Points z_i and weights w_i with sum_i w_i f(z_i) = E[f(Z)], Z ~ N(0, I); all weights are positive.

    Up to four dimensions it is the product of Gauss-Hermite rules with `AXIS_NODES` nodes, exact for polynomials of
    degree 39, 13, 9 and 5 in each coordinate. Beyond it is the cubature rule of degree 3, with 2 dim points at distance
    sqrt(dim) (Arasaratnam and Haykin 2009, "Cubature Kalman filters").
    """
    if dim not in AXIS_NODES:
        return np.concatenate([np.eye(dim), -np.eye(dim)]) * np.sqrt(dim), np.full(2 * dim, 0.5 / dim)
    points, weights = gauss_hermite(AXIS_NODES[dim])
    nodes = np.array(list(itertools.product(points, repeat=dim)))
    return nodes, np.array([np.prod(each) for each in itertools.product(weights, repeat=dim)])


def nodes(
    mean: Float[Array, " dim"], covariance: Float[Array, "dim dim"]
) -> tuple[Float[Array, "node dim"], Float[Array, "node dim"], Float[Array, " node"], Float[Array, "dim dim"]]:
    """The rule for N(mean, covariance): points x_i = m + L z_i, their standard coordinates z_i, weights, and L."""
    points, weights = (jnp.asarray(a, mean.dtype) for a in rule(mean.shape[-1]))
    root = cholesky(covariance)
    return mean + points @ root.T, points, weights, root
