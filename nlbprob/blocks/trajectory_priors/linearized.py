"""Nonlinear dynamics by statistical linearisation: a chain whose steps fit best under the posterior of the state.

For x_{t+1} = A x_t + b + f(x_t) + N(0, Q) the expected log density of a step under a normal q of (x_t, x_{t+1}) is that
of the linear step with A_t = A + E[f'(x_t)], b_t = b + E[f(x_t)] - E[f'(x_t)] m_t, plus a term R(m_t, P_t) that is zero
where f is linear. The gradient of R in the moments gives each bin a Gaussian site, as that of the likelihood does, so
that a fixed point of chain and sites is a stationary point of E_q[log p(y | x)] + E_q[log p(x)] - E_q[log q(x)]. The
chain alone is that of posterior linearisation (Garcia-Fernandez, Svensson and Sarkka 2017, "Iterated statistical linear
regression for Bayesian smoothers"). Expectations are sums over a cubature rule.
"""

import dataclasses
from collections.abc import Callable
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from nlbprob.blocks.trajectory_priors.base import Surrogate, TrajectoryPrior
from nlbprob.numerics import cubature
from nlbprob.numerics.gaussian import Chain, Sites, Smoothed, apply, cholesky, predict, symmetrize

#: Least eigenvalue of P_t^(1/2) J_t P_t^(1/2), J_t the precision of a site, which may be negative.
LEAST_PRECISION = -0.5


class StepMoments(NamedTuple):
    """Moments of the state in every bin and of neighbours, about which the steps are linearised."""

    mean: Float[Array, "row time state"]
    covariance: Float[Array, "row time state state"]
    cross_covariance: Float[Array, "row step state state"]


class Linear(NamedTuple):
    """f(x) = slope x + level + an error of mean zero, uncorrelated with x, whose covariance is `error`."""

    slope: Float[Array, "*row state state"]
    level: Float[Array, "*row state"]
    error: Float[Array, "*row state state"]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class LinearizedPrior(TrajectoryPrior):
    """x_{t+1} = A x_t + b + f(x_t) + N(0, Q), (A, b, Q) of the chain; the auxiliary posterior is a `StepMoments`.

    Steps beyond the last bin in which anything is seen are predictions: they match the moments of A x + b + f(x) and
    add nothing to the bound.

    Attributes:
        drift: f [state] -> [state], a pytree.
        inside: the bins of each row up to the last in which anything is seen.
    """

    drift: Callable[[Array], Array]
    inside: Bool[Array, "row time"]
    proper: ClassVar[bool] = False

    def init(self, rows: int, bins: int) -> StepMoments:
        """The moments of the prior, each bin predicted from the one before as if it were normal."""
        mean, covariance = self.chain.initial_mean, self.chain.initial_covariance
        size = mean.shape[-1]
        mean = jnp.broadcast_to(mean[..., None, :], (rows, bins, size))
        covariance = jnp.broadcast_to(covariance[..., None, :, :], (rows, bins, size, size))
        start = StepMoments(mean, covariance, jnp.zeros((rows, bins - 1, size, size), mean.dtype))
        return self.predicted(start, jnp.zeros((rows, bins), bool))

    def update(self, smoothed: Smoothed, auxiliary: StepMoments) -> StepMoments:
        """The moments under q; beyond the bins `inside`, predictions from the last of these."""
        return self.predicted(moments_of(smoothed), self.inside)

    def move(self, current: StepMoments, updated: StepMoments, size: Float[Array, " row"]) -> StepMoments:
        def toward(a: Float[Array, "row ..."], b: Float[Array, "row ..."]) -> Float[Array, "row ..."]:
            return a + size.reshape(-1, *[1] * (a.ndim - 1)) * (b - a)

        return jax.tree.map(toward, current, updated)

    def expected(self, auxiliary: StepMoments) -> Surrogate:
        linear, chain = self.linear(auxiliary), self.steps(auxiliary)
        inside = self.inside[:, 1:, None, None]
        fitted = chain._replace(
            transition=chain.transition + linear.slope,
            offset=chain.offset + linear.level,
            noise=chain.noise + jnp.where(inside, 0.0, linear.error),
        )
        sites = lax.stop_gradient(self.sites(auxiliary, linear))
        return Surrogate(fitted, sites, self.excess(auxiliary, linear) - expected_sites(sites, auxiliary))

    def terms(self, auxiliary: StepMoments, surrogate: Surrogate, smoothed: Smoothed) -> Float[Array, " row"]:
        """E_q[log p(x)] - E_q[log surrogate(x)]; its gradient is zero where the linearisation is at q."""
        moments, fitted, sites = moments_of(smoothed), surrogate.chain, surrogate.sites
        assert sites is not None
        chain = self.steps(moments)
        linear = Linear(fitted.transition - chain.transition, fitted.offset - chain.offset, fitted.noise)
        return lax.stop_gradient(self.excess(moments, linear) - expected_sites(sites, moments) - surrogate.constant)

    def log_ratio(self, auxiliary: StepMoments, x: Float[Array, "row time state"]) -> Float[Array, " row"]:
        linear, chain, before = self.linear(auxiliary), self.steps(auxiliary), x[:, :-1]
        error = jax.vmap(jax.vmap(self.drift))(before) - apply(linear.slope, before) - linear.level
        ahead = apply(chain.transition + linear.slope, before) + chain.offset + linear.level
        each = jnp.sum(error * apply(jnp.linalg.inv(chain.noise), x[:, 1:] - ahead - 0.5 * error), -1)
        return jnp.where(self.inside[:, 1:], each, 0.0).sum(1)

    def steps(self, moments: StepMoments) -> Chain:
        """The linear part of the prior, its steps one by one [row, step]."""
        chain, (rows, bins, size) = self.chain, moments.mean.shape
        transition, noise = (jnp.broadcast_to(a, (rows, bins - 1, size, size)) for a in (chain.transition, chain.noise))
        offset = jnp.broadcast_to(chain.offset, (rows, bins - 1, size))
        return chain._replace(transition=transition, offset=offset, noise=noise)

    def linear(self, moments: StepMoments) -> Linear:
        """The linearisation of f in every step [row, step]."""
        each = jax.vmap(jax.vmap(lambda mean, covariance: linearized(self.drift, mean, covariance)))
        return each(moments.mean[:, :-1], moments.covariance[:, :-1])

    def excess(self, moments: StepMoments, linear: Linear) -> Float[Array, " row"]:
        """E[log p(x)] - E[log chain(x)] under some moments, for the chain of some linearisation."""
        arguments = step_arguments(self.steps(moments), linear, moments)
        each = jax.vmap(jax.vmap(lambda *step: step_excess(self.drift, *step)))(*arguments)
        return jnp.where(self.inside[:, 1:], each, 0.0).sum(1)

    def sites(self, moments: StepMoments, linear: Linear) -> Sites:
        """The sites whose exponents have the gradient of `excess` in the moments of each bin, the next bin's fixed."""
        arguments = step_arguments(self.steps(moments), linear, moments)
        slopes = jax.grad(lambda *step: step_excess(self.drift, *step), (0, 1))
        gradient, precision = jax.vmap(jax.vmap(slopes))(*arguments)
        precision = bounded(-2.0 * symmetrize(precision), moments.covariance[:, :-1])
        pulled = gradient + apply(precision, moments.mean[:, :-1])
        inside = self.inside[:, 1:, None]
        parts = jnp.where(inside, pulled, 0.0), jnp.where(inside[..., None], precision, 0.0)
        return Sites(*(jnp.concatenate([a, jnp.zeros_like(a[:, :1])], 1) for a in parts))

    def predicted(self, moments: StepMoments, fixed: Bool[Array, "row time"]) -> StepMoments:
        """The moments where they are `fixed`, beyond the last such bin those of predictions.

        Where f takes a prediction beyond what the numbers hold, the bin before stands for it.
        """
        each = jax.vmap(lambda mean, covariance: linearized(self.drift, mean, covariance))

        def advance(
            carry: tuple[Float[Array, "row state"], Float[Array, "row state state"]], step: tuple[Array, ...]
        ) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
            transition, offset, noise, fixed, mean, covariance, cross = step
            linear = each(*carry)
            transition, offset = transition + linear.slope, offset + linear.level
            ahead = predict(carry[0], carry[1], transition, offset, noise + linear.error)
            finite = jnp.isfinite(ahead[0]).all(-1) & jnp.isfinite(ahead[1]).all((-1, -2))
            ahead = tuple(choose(finite, new, old) for new, old in zip(ahead, carry, strict=True))
            moved = choose(finite, transition @ carry[1], noise)
            now = choose(fixed, mean, ahead[0]), choose(fixed, covariance, ahead[1])
            return now, (*now, choose(fixed, cross, moved))

        chain = self.steps(moments)
        steps = (chain.transition, chain.offset, chain.noise, fixed[:, 1:])
        steps = (*steps, moments.mean[:, 1:], moments.covariance[:, 1:], moments.cross_covariance)
        first = moments.mean[:, 0], moments.covariance[:, 0]
        _, later = lax.scan(advance, first, jax.tree.map(lambda a: jnp.moveaxis(a, 1, 0), steps))
        mean, covariance, cross = (jnp.moveaxis(a, 0, 1) for a in later)
        mean, covariance = (jnp.concatenate([a[:, None], b], 1) for a, b in zip(first, (mean, covariance), strict=True))
        return StepMoments(mean, covariance, cross)


def moments_of(smoothed: Smoothed) -> StepMoments:
    """The moments of a smoother."""
    return StepMoments(smoothed.mean, smoothed.covariance, smoothed.cross_covariance)


def choose(condition: Bool[Array, " row"], yes: Array, no: Array) -> Array:
    """Row by row, one array or the other."""
    return jnp.where(condition.reshape(-1, *[1] * (yes.ndim - 1)), yes, no)


def step_arguments(chain: Chain, linear: Linear, moments: StepMoments) -> tuple[Array, ...]:
    """The arguments of `step_excess` after `drift`, of every row and step."""
    mean, covariance = moments.mean, moments.covariance
    pair = mean[:, :-1], covariance[:, :-1], mean[:, 1:], moments.cross_covariance
    return (*pair, chain.transition, chain.offset, chain.noise, linear.slope, linear.level)


def step_excess(
    drift: Callable[[Array], Array],
    mean: Float[Array, " state"],
    covariance: Float[Array, "state state"],
    after: Float[Array, " state"],
    cross: Float[Array, "state state"],
    transition: Float[Array, "state state"],
    offset: Float[Array, " state"],
    noise: Float[Array, "state state"],
    slope: Float[Array, "state state"],
    level: Float[Array, " state"],
) -> Float[Array, ""]:
    """E[log N(x'; A x + b + f(x), Q)] - E[log N(x'; (A + S) x + b + l, Q)], f(x) ~ S x + l, of one step.

    With d = f(x) - S x - l it is E[d'Q^-1 (x' - (A + S) x - b - l - d / 2)].

    Args:
        drift: f.
        mean: of x.
        covariance: of x.
        after: the mean of x'.
        cross: Cov(x', x).
        transition, offset, noise: A, b and Q.
        slope, level: S and l.
    """
    x, standard, weights, root = cubature.nodes(mean, covariance)
    error = jax.vmap(drift)(x) - x @ slope.T - level
    conditional = after + standard @ lax.linalg.triangular_solve(root, cross.T, left_side=True, lower=True)
    residual = conditional - x @ (transition + slope).T - offset - level - 0.5 * error
    return weights @ jnp.sum(error * jnp.linalg.solve(noise, residual.T).T, -1)


def linearized(
    drift: Callable[[Array], Array], mean: Float[Array, " state"], covariance: Float[Array, "state state"]
) -> Linear:
    """The linear function of x ~ N(mean, covariance) that is nearest to f in mean square."""
    x, standard, weights, root = cubature.nodes(mean, covariance)
    values = jax.vmap(drift)(x)
    centre = weights @ values
    moved = (weights[:, None] * standard).T @ values
    slope = lax.linalg.triangular_solve(root, moved, left_side=True, lower=True, transpose_a=True).T
    error = values - centre - (x - mean) @ slope.T
    return Linear(slope, centre - slope @ mean, symmetrize((weights[:, None] * error).T @ error))


def bounded(precision: Float[Array, "*row n n"], covariance: Float[Array, "*row n n"]) -> Float[Array, "*row n n"]:
    """J with the eigenvalues of L'JL, covariance = LL', raised to `LEAST_PRECISION` where they are below."""
    root = cholesky(covariance)
    values, vectors = jnp.linalg.eigh(symmetrize(root.mT @ precision @ root))
    lacking = jnp.maximum(LEAST_PRECISION - values, 0.0)
    half = lax.linalg.triangular_solve(root, vectors, left_side=True, lower=True, transpose_a=True)
    return precision + (half * lacking[..., None, :]) @ half.mT


def expected_sites(sites: Sites, moments: StepMoments) -> Float[Array, " row"]:
    """E[h'x - 1/2 x'Jx] summed over bins."""
    pulled = apply(sites.precision, moments.mean)
    linear = jnp.sum((sites.linear - 0.5 * pulled) * moments.mean, (1, 2))
    return linear - 0.5 * jnp.sum(sites.precision * moments.covariance, (1, 2, 3))
