"""Cubature rules against the known moments of normal vectors."""

import jax.numpy as jnp
import numpy as np
import pytest

from nlbprob.numerics import cubature


@pytest.mark.parametrize("dim", [1, 2, 3, 4, 6])
def test_a_rule_has_the_moments_of_a_standard_normal(dim):
    points, weights = cubature.rule(dim)
    assert np.all(weights > 0)
    assert weights.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(weights @ points, 0.0, atol=1e-12)
    np.testing.assert_allclose((weights[:, None] * points).T @ points, np.eye(dim), atol=1e-12)
    third = np.einsum("n,ni,nj,nk->ijk", weights, points, points, points)
    np.testing.assert_allclose(third, 0.0, atol=1e-11)


@pytest.mark.parametrize(("dim", "degree"), [(1, 38), (2, 12), (3, 8), (4, 4)])
def test_up_to_four_dimensions_even_moments_are_exact(dim, degree):
    points, weights = cubature.rule(dim)
    exact = np.prod(np.arange(degree - 1, 0, -2, dtype=float))  # (degree - 1)!!
    np.testing.assert_allclose(weights @ points**degree, exact, rtol=1e-9)


def test_nodes_have_the_moments_that_are_given():
    mean, root = np.array([0.5, -1.0, 2.0]), np.tril(np.arange(1.0, 10.0).reshape(3, 3)) / 5
    x, standard, weights, found = (np.asarray(a) for a in cubature.nodes(jnp.asarray(mean), jnp.asarray(root @ root.T)))
    np.testing.assert_allclose(found, root, rtol=1e-5)
    np.testing.assert_allclose(x, mean + standard @ root.T, rtol=1e-4)
    np.testing.assert_allclose(weights @ x, mean, atol=1e-5)
    np.testing.assert_allclose((weights[:, None] * (x - mean)).T @ (x - mean), root @ root.T, rtol=1e-4)
