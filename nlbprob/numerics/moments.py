"""Expected moments of neighbouring states, and the dynamics that they make most probable."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from nlbprob.numerics.gaussian import Chain, symmetrize

#: Weight of the priors, in bins (dynamics) and in trials (initial state), and the decay time they expect.
PRIOR_BINS, PRIOR_TRIALS, PRIOR_DECAY_MS = 20.0, 4.0, 200.0


class Moments(NamedTuple):
    """Sums over rows and steps of E[x_t x_t'], E[x_{t-1} x_{t-1}'], E[x_t x_{t-1}'] and of E[x_t], E[x_{t-1}]; of the
    first bin, E[x_1 x_1'] and E[x_1]; and how many steps and rows these are.
    """

    current: Float[Array, "*regime state state"]
    previous: Float[Array, "*regime state state"]
    cross: Float[Array, "*regime state state"]
    current_mean: Float[Array, "*regime state"]
    previous_mean: Float[Array, "*regime state"]
    steps: Float[Array, "*regime"]
    first: Float[Array, "state state"]
    first_mean: Float[Array, " state"]
    rows: Float[Array, ""]


def gather(mean, covariance, cross, offset, apart, within, shares=None) -> Moments:
    """Moments of the state less each step's offset and each row's own start, in the bins `within`.

    Args:
        mean: of the smoothed state.
        covariance: of the smoothed state.
        cross: Cov(x_{t+1}, x_t).
        offset: of each step.
        apart: shift of each row's start.
        within: [row, time].
        shares: [row, time, regime], splits the steps among regimes, which become a leading axis.
    """
    moved, before, start = mean[:, 1:] - offset, mean[:, :-1], mean[:, 0] - apart
    later, starts = within[:, 1:], within[:, 0]
    weight = later[..., None] if shares is None else later[..., None] * shares[:, 1:]

    def second(covariance, left, right):
        return jnp.einsum("bts,btij->sij", weight, covariance + left[..., :, None] * right[..., None, :])

    steps = (
        second(covariance[:, 1:], moved, moved),
        second(covariance[:, :-1], before, before),
        second(cross, moved, before),
        jnp.einsum("bts,bti->si", weight, moved),
        jnp.einsum("bts,bti->si", weight, before),
        weight.sum((0, 1)),
    )
    if shares is None:
        steps = tuple(a[0] for a in steps)
    first = jnp.einsum("b,bij->ij", starts, covariance[:, 0] + start[:, :, None] * start[:, None, :])
    return Moments._make((*steps, first, starts @ start, starts.sum()))


def initial(moments: Moments):
    """Mean and covariance of the first state, with the weight of a standard normal seen in a few trials."""
    identity = jnp.eye(moments.first.shape[0], dtype=moments.first.dtype)
    mean = moments.first_mean / (moments.rows + PRIOR_TRIALS)
    around = moments.first - moments.first_mean[:, None] * mean[None, :] - mean[:, None] * moments.first_mean[None, :]
    around = around + moments.rows * mean[:, None] * mean[None, :]
    return mean, symmetrize(around + PRIOR_TRIALS * identity) / (moments.rows + PRIOR_TRIALS)


def fit_chain(moments: Moments, bin_ms: float) -> Chain:
    """The chain without offset that maximises E_q[log p(x)] plus conjugate priors.

    The prior is a persistent state, decaying in 200 ms, seen for a few bins:

    A = (S10 + n0 a0 I)(S00 + n0 I)^-1,
    Q = (S11 - A S10' - S10 A' + A S00 A' + n0 [(A - a0 I)(A - a0 I)' + q0 I]) / (n + n0).
    """
    identity = jnp.eye(moments.first.shape[0], dtype=moments.first.dtype)
    persistence = jnp.exp(-bin_ms / PRIOR_DECAY_MS)
    gram = moments.previous + PRIOR_BINS * identity
    target = moments.cross + PRIOR_BINS * persistence * identity
    transition = jnp.linalg.solve(gram, target.T).T
    noise = residual_noise(moments, transition, persistence)
    return Chain(*initial(moments), transition, jnp.zeros_like(moments.first_mean), noise)


def residual_noise(moments: Moments, transition, persistence):
    """Q of the steps about A x, with its prior."""
    identity = jnp.eye(transition.shape[0], dtype=transition.dtype)
    residual = moments.current - transition @ moments.cross.T - moments.cross @ transition.T
    residual = residual + transition @ moments.previous @ transition.T
    shift = transition - persistence * identity
    prior = PRIOR_BINS * (shift @ shift.T + (1 - persistence**2) * identity)
    return symmetrize(residual + prior) / (moments.steps + PRIOR_BINS)


def fit_affine(moments: Moments, bin_ms: float):
    """A, b and Q of one regime, x_t = A x_{t-1} + b + N(0, Q), under the same priors and b near zero.

    Moments of one regime, without the leading axis. The offset is removed by centring; b has the weight of the prior's
    bins at zero.
    """
    identity = jnp.eye(moments.first.shape[0], dtype=moments.first.dtype)
    persistence = jnp.exp(-bin_ms / PRIOR_DECAY_MS)
    count = moments.steps + PRIOR_BINS
    after, before = moments.current_mean / count, moments.previous_mean / count
    centred = moments._replace(
        current=moments.current - count * jnp.outer(after, after),
        previous=moments.previous - count * jnp.outer(before, before),
        cross=moments.cross - count * jnp.outer(after, before),
    )
    gram = centred.previous + PRIOR_BINS * identity
    target = centred.cross + PRIOR_BINS * persistence * identity
    transition = jnp.linalg.solve(gram, target.T).T
    return transition, after - transition @ before, residual_noise(centred, transition, persistence)
