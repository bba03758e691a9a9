"""Functions of small matrices against dense algebra and SciPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg

from nlbprob.numerics import matrices
from nlbprob.numerics.gaussian import Chain
from tests.numerics import oracles

CLOSE = {"rtol": 1e-9, "atol": 1e-10}
SIZE = 3
SEEDS = st.integers(0, 2**32 - 1)
few = settings(max_examples=8, deadline=None, derandomize=True)


@pytest.fixture(autouse=True)
def float64():
    """All of these in the width of dense algebra."""
    with jax.enable_x64(True):
        yield


def stable(random, size=SIZE, radius=0.9):
    """A random matrix whose largest |eigenvalue| is `radius`."""
    matrix = random.standard_normal((size, size))
    return radius * matrix / np.abs(np.linalg.eigvals(matrix)).max()


def covariance(random, size=SIZE):
    """A random covariance."""
    root = random.standard_normal((size, size))
    return root @ root.T + 0.1 * np.eye(size)


def chain(random, size=SIZE):
    """A random chain that is constant in time."""
    mean, offset = random.standard_normal((2, size))
    return Chain(mean, covariance(random, size), stable(random, size), offset, covariance(random, size))


@few
@given(SEEDS)
def test_skew_fills_the_upper_triangle_row_by_row(seed):
    entries = np.random.default_rng(seed).standard_normal(6)
    found = np.asarray(matrices.skew(jnp.asarray(entries), 4))
    np.testing.assert_array_equal(found[np.triu_indices(4, 1)], entries)
    np.testing.assert_array_equal(found, -found.T)


@few
@given(SEEDS, st.sampled_from([1e-3, 1.0, 10.0]))
def test_cayley_is_a_rotation_and_inverted(seed, scale):
    rotation = matrices.skew(scale * jnp.asarray(np.random.default_rng(seed).uniform(-0.3, 0.3, 3)), SIZE)
    found = np.asarray(matrices.cayley(rotation))
    np.testing.assert_allclose(found @ found.T, np.eye(SIZE), **CLOSE)
    assert np.linalg.det(found) == pytest.approx(1)
    np.testing.assert_allclose(matrices.inverse_cayley(jnp.asarray(found)), rotation, rtol=1e-3, atol=1e-5)
    if scale < 1:
        np.testing.assert_allclose(found, linalg.expm(np.asarray(rotation)), atol=1e-9)


def test_the_inverse_of_half_a_turn_is_at_the_limit():
    half = jnp.diag(jnp.array([-1.0, -1.0, 1.0])).at[0, 1].set(1e-7).at[1, 0].set(-1e-7)
    found = np.asarray(matrices.inverse_cayley(half, limit=2.0))
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found, -found.T)
    assert np.abs(found).max() <= 2
    turned = matrices.cayley(matrices.skew(jnp.array([30.0]), 2))  # nearly half a turn
    np.testing.assert_allclose(matrices.inverse_cayley(turned), [[0, 4], [-4, 0]])


@few
@given(SEEDS)
def test_positive_definite_matrices_are_inverted(seed):
    random = np.random.default_rng(seed)
    each = np.stack([covariance(random), covariance(random)])
    np.testing.assert_allclose(matrices.positive_inverse(jnp.asarray(each)), np.linalg.inv(each), **CLOSE)
    root = np.linalg.cholesky(each)
    np.testing.assert_allclose(matrices.lower_inverse(jnp.asarray(root)), np.linalg.inv(root), **CLOSE)


def test_what_is_not_positive_definite_has_no_inverse():
    assert np.isnan(matrices.positive_inverse(jnp.diag(jnp.array([1.0, -1.0])))).any()


@few
@given(SEEDS, st.sampled_from([1e-3, 1.0]))
def test_the_exponential_of_a_symmetric_matrix(seed, scale):
    matrix = np.random.default_rng(seed).standard_normal((SIZE, SIZE))
    matrix = scale * (matrix + matrix.T)
    np.testing.assert_allclose(matrices.symmetric_exp(jnp.asarray(matrix)), linalg.expm(matrix), **CLOSE)


@few
@given(SEEDS)
def test_the_positive_part_is_the_nearest_covariance(seed):
    random = np.random.default_rng(seed)
    matrix = (root := random.standard_normal((2, SIZE, SIZE))) + root.mT
    found = np.asarray(matrices.positive_part(jnp.asarray(matrix)))
    np.testing.assert_allclose(found, found.mT, **CLOSE)
    for rest, own in zip(found - matrix, found, strict=True):  # both are positive, and they are orthogonal
        assert np.linalg.eigvalsh(own).min() > -1e-12
        assert np.linalg.eigvalsh(rest).min() > -1e-12
        np.testing.assert_allclose(own @ rest, 0, atol=1e-12)


@few
@given(SEEDS, st.sampled_from([1e-3, 0.9, 1e3]))
def test_spectral_radius_is_met_from_above(seed, radius):
    matrix = jnp.asarray(stable(np.random.default_rng(seed), radius=radius))
    found = float(matrices.spectral_radius(matrix))
    assert radius * (1 - 1e-12) <= found <= radius * 1.01


@pytest.mark.parametrize("name", ["rotation", "no powers", "zero"])
def test_spectral_radius_of_special_matrices(name):
    turn = [[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]]
    matrix, radius = {
        "rotation": (turn, 1.0),
        "no powers": ([[0.0, 5.0], [0.0, 0.0]], 0.0),
        "zero": (np.zeros((2, 2)), 0.0),
    }[name]
    assert float(matrices.spectral_radius(jnp.asarray(matrix))) == pytest.approx(radius, abs=1e-3)


@few
@given(SEEDS, st.sampled_from([0.3, 0.9, 0.9999]))
def test_stationary_covariance_solves_lyapunovs_equation(seed, radius):
    random = np.random.default_rng(seed)
    transition, noise = stable(random, radius=radius), covariance(random)
    found = matrices.stationary_covariance(jnp.asarray(transition), jnp.asarray(noise))
    expected = linalg.solve_discrete_lyapunov(transition, noise)
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-9 * np.abs(expected).max())


@few
@given(SEEDS)
def test_average_second_moment_is_that_of_the_joint_normal(seed):
    random = np.random.default_rng(seed)
    given_chain, weights = chain(random), random.random(5)
    found = matrices.average_second_moment(Chain(*map(jnp.asarray, given_chain)), jnp.asarray(weights))
    mean, dense = oracles.joint(given_chain, 5)
    blocks = (dense + np.outer(mean, mean)).reshape(5, SIZE, 5, SIZE)
    np.testing.assert_allclose(found, np.einsum("t,titj->ij", weights, blocks), **CLOSE)


@few
@given(SEEDS)
def test_a_changed_basis_gives_the_same_trajectories(seed):
    random = np.random.default_rng(seed)
    given_chain, basis = chain(random), random.standard_normal((SIZE, SIZE)) + 2 * np.eye(SIZE)
    moved = matrices.change_basis(Chain(*map(jnp.asarray, given_chain)), jnp.asarray(basis))
    mean, dense = oracles.joint(moved, 4)
    whole = np.kron(np.eye(4), basis)
    expected_mean, expected = oracles.joint(given_chain, 4)
    np.testing.assert_allclose(whole @ mean, expected_mean, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(whole @ dense @ whole.T, expected, rtol=1e-7, atol=1e-9)


def test_chains_side_by_side_are_independent():
    random = np.random.default_rng(0)
    parts = [chain(random, size) for size in (2, 1, 3)]
    together = matrices.block_diagonal([Chain(*map(jnp.asarray, part)) for part in parts])
    mean, dense = oracles.joint(together, 4)
    blocks, start = dense.reshape(4, 6, 4, 6).copy(), 0
    for part in parts:
        own_mean, own = oracles.joint(part, 4)
        place = slice(start, start + len(part.offset))
        np.testing.assert_allclose(mean.reshape(4, 6)[:, place].ravel(), own_mean, **CLOSE)
        np.testing.assert_allclose(blocks[:, place, :, place].reshape(own.shape), own, **CLOSE)
        blocks[:, place, :, place], start = 0, place.stop
    np.testing.assert_allclose(blocks, 0, atol=1e-12)
