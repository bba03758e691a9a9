"""Linear-Gaussian chains, Gaussian sites, and the steps that filters are made of.

A chain is x_1 ~ N(m0, P0), x_t = A_t x_{t-1} + b_t + N(0, Q_t); site t multiplies its density by
exp(h_t'x_t - 1/2 x_t'J_t x_t). Leading axes of the sites are batch axes (`trial`). The initial moments of a chain have
the batch axes or none; each of A, b and Q has a time axis of length T-1 (`A_t` leads to bin t+1), the batch axes and
a time axis, or neither.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Shaped

#: Mean and covariance of states.
Moments = tuple[Float[Array, "*shape state"], Float[Array, "*#shape state state"]]
#: Gain, shift and covariance of steps back in time, see `nlbprob.numerics.kalman.backward`.
BackwardSteps = tuple[
    Float[Array, "*#steps state state"], Float[Array, "*steps state"], Float[Array, "*#steps state state"]
]
#: Transition, offset and noise of steps; None stands for one that is kept elsewhere.
StepArrays = tuple[Float[Array, "..."] | None, Float[Array, "..."] | None, Float[Array, "..."] | None]
#: The same, all three at hand.
StepValues = tuple[Float[Array, "..."], Float[Array, "..."], Float[Array, "..."]]


class Chain(NamedTuple):
    """A linear-Gaussian Markov chain: the prior of a latent trajectory given its parameters.

    x_1 ~ N(m0, P0), x_t = A_t x_{t-1} + b_t + N(0, Q_t), in bins t = 1, ..., T. The initial moments have the batch axes
    or none; each of A, b and Q has a time axis of length T-1, the batch axes and a time axis, or neither.

    Attributes:
        initial_mean: m0, of the state in the first bin.
        initial_covariance: P0, of the state in the first bin.
        transition: A, from one bin to the next.
        offset: b, added in each step.
        noise: Q, covariance of the noise of each step.
    """

    initial_mean: Float[Array, "*batch state"]
    initial_covariance: Float[Array, "*batch state state"]
    transition: Float[Array, "*step state state"]
    offset: Float[Array, "*step state"]
    noise: Float[Array, "*step state state"]


def constant_chain(mean: Float[Array, " state"]) -> Chain:
    """The chain of a state that stays what it was in the first bin, z ~ N(mean, I): A = I and Q = 0."""
    identity, zero = jnp.eye(mean.shape[0], dtype=mean.dtype), jnp.zeros_like(mean)
    return Chain(mean, identity, identity, zero, jnp.zeros_like(identity))


class Sites(NamedTuple):
    """Gaussian potentials exp(h'x - 1/2 x'Jx), one a bin; zero where nothing is seen.

    Tied sites have one J for all trials, a first axis of length one: then all moments but means have, too, and what a
    smoother does to matrices is done once instead of trial by trial.
    """

    linear: Float[Array, "*batch time state"]
    precision: Float[Array, "*#batch time state state"]

    @property
    def tied(self) -> bool:
        """Whether all trials share the precision."""
        return self.precision.shape[0] != self.linear.shape[0]

    def untied(self) -> "Sites":
        """The same with a precision for each trial."""
        shape = (*self.linear.shape, self.linear.shape[-1])
        return self._replace(precision=jnp.broadcast_to(self.precision, shape))


class Filtered(NamedTuple):
    """Moments of x_t given the sites up to t-1 (`predicted_*`) and up to t.

    `predicted_root` is the Cholesky factor of the predicted covariance; `root` is a square root R of the covariance
    R R'. `centered` is each bin's log normaliser less the site's own value at the predicted mean, h'm - 1/2 m'Jm.
    """

    predicted_mean: Float[Array, "*batch time state"]
    predicted_root: Float[Array, "*batch time state state"]
    mean: Float[Array, "*batch time state"]
    root: Float[Array, "*batch time state state"]
    centered: Float[Array, "*batch time"]


class Smoothed(NamedTuple):
    """Moments of x_t given all sites; `cross_covariance[t]` is Cov(x_{t+1}, x_t). See `Sites` for tied ones.

    `gain` is that of each step back, G_t = Cov(x_t, x_{t+1}) Cov(x_{t+1})^-1; None where only moments are known.
    """

    mean: Float[Array, "*batch time state"]
    covariance: Float[Array, "*#batch time state state"]
    cross_covariance: Float[Array, "*#batch step state state"]
    divergence: Float[Array, "*batch"]
    gain: Float[Array, "*#batch step state state"] | None = None


def expected_sites(
    sites: Sites, mean: Float[Array, "*batch time state"], covariance: Float[Array, "*batch time state state"]
) -> Float[Array, "*batch"]:
    """E[h'x - 1/2 x'Jx] under moments of x, summed over bins."""
    linear = jnp.sum((sites.linear - 0.5 * apply(sites.precision, mean)) * mean, (-1, -2))
    return linear - 0.5 * jnp.sum(sites.precision * covariance, (-1, -2, -3))


def symmetrize(matrix: Float[Array, "*batch n n"]) -> Float[Array, "*batch n n"]:
    """(M + M') / 2."""
    return 0.5 * (matrix + matrix.mT)


def square(root: Float[Array, "*batch n m"]) -> Float[Array, "*batch n n"]:
    """R R'."""
    return root @ root.mT


def cholesky(matrix: Float[Array, "*batch n n"]) -> Float[Array, "*batch n n"]:
    """Cholesky factor of a covariance, after adding to each variance a few units of its own rounding error.

    The matrix is scaled to unit variances first, so that states of very different size (the derivatives of a smooth
    process) all keep their digits. A state without variance gets a row of zeros.
    """
    variance = jnp.diagonal(matrix, axis1=-2, axis2=-1)
    varies = variance > 0
    # The factor does not depend on the scale, but for the jitter.
    scale = lax.stop_gradient(jnp.sqrt(jnp.where(varies, variance, 1.0)))
    scaled = matrix / (scale[..., :, None] * scale[..., None, :])
    added = jnp.where(varies, 4 * jnp.finfo(matrix.dtype).eps, 1.0)
    root = jnp.linalg.cholesky(scaled + added[..., None] * jnp.eye(matrix.shape[-1], dtype=matrix.dtype))
    return jnp.where(varies, scale, 0.0)[..., None] * root


def divide(left: Float[Array, "*batch m n"], root: Float[Array, "*batch n n"]) -> Float[Array, "*batch m n"]:
    """left P^-1 from `cholesky(P)`, with zeros in the columns of states without variance."""
    varies = jnp.diagonal(root, axis1=-2, axis2=-1) > 0
    root = root + jnp.where(varies, 0.0, 1.0)[..., None] * jnp.eye(root.shape[-1], dtype=root.dtype)
    half = lax.linalg.triangular_solve(
        root, jnp.where(varies[..., None, :], left, 0.0), left_side=False, lower=True, transpose_a=True
    )
    return lax.linalg.triangular_solve(root, half, left_side=False, lower=True)


def condition(
    mean: Float[Array, "*batch state"],
    covariance: Float[Array, "*#batch state state"],
    linear: Float[Array, "*batch state"],
    precision: Float[Array, "*#batch state state"],
) -> tuple[
    Float[Array, "*batch state"],
    Float[Array, "*#batch state state"],
    Float[Array, "*batch"],
    Float[Array, "*#batch state state"],
]:
    """Multiply N(mean, covariance) by one site: mean of the product, a root of its covariance, its log normaliser
    (centred), and L.

    With P = LL' and M = I + L'JL = NN': covariance R R' of R = L N^-T, mean m + R R'(h - Jm), and
    log Z = [h'm - 1/2 m'Jm] + 1/2 |R'(h - Jm)|^2 - 1/2 log|M|, of which the bracket is left out.
    M >= I, so this is stable however strong the site.
    """
    root = cholesky(covariance)
    # Products with a transposed left factor are slow on CPU; behind the barrier its transpose is an array.
    transposed = lax.optimization_barrier(root.mT)
    inner = jnp.eye(mean.shape[-1], dtype=mean.dtype) + symmetrize(transposed @ (precision @ root))
    inner_root = jnp.linalg.cholesky(inner, symmetrize_input=False)
    updated = lax.linalg.triangular_solve(inner_root, root, left_side=False, lower=True, transpose_a=True)
    step = apply(updated.mT, linear - apply(precision, mean))
    log_determinant = jnp.sum(jnp.log(jnp.diagonal(inner_root, axis1=-2, axis2=-1)), -1)
    return mean + apply(updated, step), updated, 0.5 * jnp.sum(step**2, -1) - log_determinant, root


def predict(
    mean: Float[Array, "*batch state"],
    covariance: Float[Array, "*#batch state state"],
    transition: Float[Array, "... state state"],
    offset: Float[Array, "... state"],
    noise: Float[Array, "... state state"],
) -> Moments:
    """Moments of A x + b + N(0, Q) for x ~ N(mean, covariance)."""
    return apply(transition, mean) + offset, symmetrize(transition @ covariance @ transition.mT + noise)


def apply(matrix: Float[Array, "... n m"], vector: Float[Array, "... m"]) -> Float[Array, "... n"]:
    """Matrix times vector over any leading axes."""
    return jnp.einsum("...ij,...j->...i", matrix, vector)


def until(arrays: Shaped[Array, "..."], bins: int, axis: int) -> Shaped[Array, "..."]:
    """Arrays of so many bins: cut, or held where they end.

    Args:
        arrays: what varies in time.
        bins: how many.
        axis: that of time.
    """
    return jnp.take(arrays, jnp.minimum(jnp.arange(bins), arrays.shape[axis] - 1), axis)


def time_leading(sites: Sites) -> tuple[Float[Array, "time *batch state"], Float[Array, "time *#batch state state"]]:
    """The arrays of sites with the time axis first."""
    return jnp.moveaxis(sites.linear, -2, 0), jnp.moveaxis(sites.precision, -3, 0)


def step_arrays(chain: Chain) -> tuple[StepArrays, StepArrays]:
    """(constant, varying): the arrays of a chain's steps, those that vary with the time axis first.

    `constant` holds the transition, offset and noise that have no time axis, `varying` those that have one; each has
    None where the other has the array.
    """
    steps = (chain.transition, chain.offset, chain.noise)
    axes = (-3, -2, -3)
    varies = [array.ndim >= -axis for array, axis in zip(steps, axes, strict=True)]
    constant: Any = tuple(None if v else array for array, v in zip(steps, varies, strict=True))
    varying: Any = tuple(
        jnp.moveaxis(array, axis, 0) if v else None for array, axis, v in zip(steps, axes, varies, strict=True)
    )
    return constant, varying


def merge(constant: StepArrays, varying: StepArrays) -> StepValues:
    """The transition, offset and noise of one step, from where `step_arrays` put them."""
    step: Any = tuple(fixed if fixed is not None else moving for fixed, moving in zip(constant, varying, strict=True))
    return step
