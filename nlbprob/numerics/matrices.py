"""Functions of small matrices that describe linear dynamics; all run on GPU and TPU (no general eigenvalues)."""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from nlbprob.numerics.gaussian import Chain, Moments, symmetrize


def skew(entries: Float[Array, " pair"], size: int) -> Float[Array, "n n"]:
    """The skew-symmetric matrix whose upper triangle, row by row, is `entries` (n (n-1) / 2 of them)."""
    upper = jnp.zeros((size, size), entries.dtype).at[jnp.triu_indices(size, 1)].set(entries)
    return upper - upper.T


def cayley(rotation: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """The orthogonal matrix (I - W/2)^-1 (I + W/2) of a skew-symmetric W; close to exp(W) for small W."""
    identity = jnp.eye(rotation.shape[-1], dtype=rotation.dtype)
    return jnp.linalg.solve(identity - 0.5 * rotation, identity + 0.5 * rotation)


def inverse_cayley(orthogonal: Float[Array, "n n"], limit: float = 4.0) -> Float[Array, "n n"]:
    """W with cayley(W) = O, entries limited to +-`limit`, since W is infinite where O turns a plane by half a turn."""
    identity = jnp.eye(orthogonal.shape[-1], dtype=orthogonal.dtype)
    safe = (1 + 1e-5) * identity
    rotation = 2 * jnp.linalg.solve((orthogonal + safe).T, (orthogonal - identity).T).T
    return jnp.clip(0.5 * (rotation - rotation.T), -limit, limit)


def positive_inverse(matrix: Float[Array, "*batch n n"]) -> Float[Array, "*batch n n"]:
    """The inverse of positive definite matrices; NaN of others.

    By a Cholesky factor: a program of it compiles in a fraction of the time that `jnp.linalg.inv` takes. Where the
    inverse meets one matrix alone, `jax.scipy.linalg.solve` with assume_a="pos" does the same.
    """
    inverse = lower_inverse(jnp.linalg.cholesky(matrix))
    return inverse.mT @ inverse


def lower_inverse(root: Float[Array, "*batch n n"]) -> Float[Array, "*batch n n"]:
    """The inverse of lower-triangular matrices."""
    identity = jnp.broadcast_to(jnp.eye(root.shape[-1], dtype=root.dtype), root.shape)
    return lax.linalg.triangular_solve(root, identity, left_side=True, lower=True)


def symmetric_exp(matrix: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """The exponential of a symmetric matrix."""
    values, vectors = jnp.linalg.eigh(matrix)
    return (vectors * jnp.exp(values)) @ vectors.T


def positive_part(matrix: Float[Array, "*batch n n"]) -> Float[Array, "*batch n n"]:
    """The symmetric matrix with its negative eigenvalues set to zero."""
    values, vectors = jnp.linalg.eigh(matrix)
    return (vectors * jnp.maximum(values, 0.0)[..., None, :]) @ vectors.mT


def spectral_radius(matrix: Float[Array, "n n"], squarings: int = 12) -> Float[Array, ""]:
    """The largest |eigenvalue|, by Gelfand's formula |A^(2^s)|^(1/2^s); from above, within a factor n^(1/2^s)."""
    tiny = jnp.finfo(matrix.dtype).tiny  # where a power of A is zero, so are all eigenvalues

    def square(
        carry: tuple[Float[Array, "n n"], Float[Array, ""]], power: Float[Array, ""]
    ) -> tuple[tuple[Float[Array, "n n"], Float[Array, ""]], None]:
        current, log_radius = carry
        norm = jnp.maximum(jnp.linalg.norm(current), tiny)
        current = current / norm
        return (current @ current, log_radius + jnp.log(norm) * power), None

    powers = 0.5 ** jnp.arange(squarings, dtype=matrix.dtype)
    (last, log_radius), _ = lax.scan(square, (matrix, jnp.zeros((), matrix.dtype)), powers)
    return jnp.exp(log_radius + jnp.log(jnp.maximum(jnp.linalg.norm(last), tiny)) * 0.5**squarings)


def stationary_covariance(
    transition: Float[Array, "n n"], noise: Float[Array, "n n"], doublings: int = 24
) -> Float[Array, "n n"]:
    """P = A P A' + Q, that is sum_k A^k Q A'^k, by doubling the number of terms; needs a stable A."""

    def double(
        carry: tuple[Float[Array, "n n"], Float[Array, "n n"]], _: None
    ) -> tuple[tuple[Float[Array, "n n"], Float[Array, "n n"]], None]:
        power, total = carry
        return (power @ power, symmetrize(total + power @ total @ power.T)), None

    (_, total), _ = lax.scan(double, (transition, noise), length=doublings)
    return total


def average_second_moment(chain: Chain, weights: Float[Array, " time"]) -> Float[Array, "n n"]:
    """sum_t w_t E[x_t x_t'] under a chain that is constant in time."""

    def advance(moments: Moments, weight: Float[Array, ""]) -> tuple[Moments, Float[Array, "n n"]]:
        mean, covariance = moments
        second = covariance + mean[:, None] * mean[None, :]
        mean = chain.transition @ mean + chain.offset
        covariance = symmetrize(chain.transition @ covariance @ chain.transition.T + chain.noise)
        return (mean, covariance), weight * second

    _, terms = lax.scan(advance, (chain.initial_mean, chain.initial_covariance), weights)
    return terms.sum(0)


def change_basis(chain: Chain, basis: Float[Array, "n n"], inverse: Float[Array, "n n"] | None = None) -> Chain:
    """The chain of z, where x = basis z; inverse: of the basis, where it is known."""
    inverted = jnp.linalg.inv(basis) if inverse is None else inverse

    def covariance(matrix: Float[Array, "n n"]) -> Float[Array, "n n"]:
        return symmetrize(inverted @ matrix @ inverted.T)

    return Chain(
        inverted @ chain.initial_mean,
        covariance(chain.initial_covariance),
        inverted @ chain.transition @ basis,
        inverted @ chain.offset,
        covariance(chain.noise),
    )


def diagonal_blocks(parts: list[Float[Array, "_ _"]]) -> Float[Array, "m m"]:
    """The block-diagonal matrix of the parts."""
    return jax.scipy.linalg.block_diag(*parts)


def block_diagonal(chains: list[Chain]) -> Chain:
    """The chain of the concatenated states of independent chains, each constant in time."""
    means, covariances, transitions, offsets, noises = (list(parts) for parts in zip(*chains, strict=True))
    return Chain(
        jnp.concatenate(means),
        diagonal_blocks(covariances),
        diagonal_blocks(transitions),
        jnp.concatenate(offsets),
        diagonal_blocks(noises),
    )
