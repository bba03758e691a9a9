"""Cholesky factors of covariances that are badly scaled or singular."""

import jax
import jax.numpy as jnp
import numpy as np

from nlbprob.numerics.gaussian import cholesky


def test_states_of_very_different_size_keep_their_digits_in_float32():
    size = np.array([1e-7, 1e-3, 1.0])
    covariance = np.array([[1.0, 0.9, 0.5], [0.9, 1.0, 0.8], [0.5, 0.8, 1.0]]) * size * size[:, None]
    exact = np.linalg.cholesky(covariance)
    found = cholesky(jnp.asarray(covariance, jnp.float32))
    np.testing.assert_allclose(found / size[:, None], exact / size[:, None], atol=1e-5)


def test_a_state_without_variance_gets_a_row_of_zeros():
    covariance = jnp.asarray(np.array([[[2.0, 0.0, 0.6], [0.0, 0.0, 0.0], [0.6, 0.0, 1.0]], np.zeros((3, 3))]))
    found = cholesky(covariance)
    np.testing.assert_allclose(found @ found.mT, covariance, atol=1e-6)
    assert np.all(found[:, 1] == 0)
    assert np.isfinite(jax.grad(lambda c: (cholesky(c) ** 2).sum())(covariance)).all()


def test_the_derivative_is_that_of_the_factor():
    root = np.random.default_rng(0).standard_normal((4, 6))
    with jax.enable_x64(True):
        covariance, change = jnp.asarray(root @ root.T), jnp.eye(4) + 0.3
        _, found = jax.jvp(cholesky, (covariance,), (change,))
        _, expected = jax.jvp(jnp.linalg.cholesky, (covariance,), (change,))
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-10)
