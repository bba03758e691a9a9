"""Sufficient statistics of neighbouring states, and the dynamics that they make most probable."""

from typing import NamedTuple

import jax.numpy as jnp
from jax.scipy.linalg import solve
from jaxtyping import Array, Float

from nlbprob.numerics.gaussian import Chain, Moments, symmetrize

#: Weight of the priors, in bins (dynamics) and in trials (initial state), and the decay time they expect.
PRIOR_BINS, PRIOR_TRIALS, PRIOR_DECAY_MS = 5.0, 2.0, 200.0


class SufficientStatistics(NamedTuple):
    """Sums over trials and steps of E[x_t x_t'], E[x_{t-1} x_{t-1}'], E[x_t x_{t-1}'] and of E[x_t], E[x_{t-1}]; of the
    first bin, E[x_1 x_1'] and E[x_1]; and how many steps and trials these are.
    """

    current: Float[Array, "*regime state state"]
    previous: Float[Array, "*regime state state"]
    cross: Float[Array, "*regime state state"]
    current_mean: Float[Array, "*regime state"]
    previous_mean: Float[Array, "*regime state"]
    steps: Float[Array, "*regime"]
    first: Float[Array, "state state"]
    first_mean: Float[Array, " state"]
    trials: Float[Array, ""]


def gather(
    mean: Float[Array, "row time state"],
    covariance: Float[Array, "#row time state state"],
    cross: Float[Array, "#row step state state"],
    offset: Float[Array, "... state"] | float,
    condition_shift: Float[Array, "*batch state"],
    bin_weights: Float[Array, "row time"],
    regime_weights: Float[Array, "row time regime"] | None = None,
) -> SufficientStatistics:
    """Statistics of the state less each step's offset and each trial's shift of the initial mean.

    A row is a trial, or a trial and one of its components.

    Args:
        mean: of the smoothed state.
        covariance: of the smoothed state.
        cross: Cov(x_{t+1}, x_t).
        offset: of each step.
        condition_shift: what the row's condition adds to the initial mean.
        bin_weights: weight of each bin: zero after the last in which anything is seen.
        regime_weights: splits the steps among regimes, which become a leading axis.
    """
    moved, before, initial = mean[:, 1:] - offset, mean[:, :-1], mean[:, 0] - condition_shift
    later, first_weights = bin_weights[:, 1:], bin_weights[:, 0]
    weight = later[..., None] if regime_weights is None else later[..., None] * regime_weights[:, 1:]

    def second(
        covariance: Float[Array, "#row step state state"],
        left: Float[Array, "row step state"],
        right: Float[Array, "row step state"],
    ) -> Float[Array, "regime state state"]:
        of_means = jnp.einsum("bts,bti,btj->sij", weight, left, right)
        return of_means + jnp.einsum("bts,btij->sij", weight, covariance)

    steps = (
        second(covariance[:, 1:], moved, moved),
        second(covariance[:, :-1], before, before),
        second(cross, moved, before),
        jnp.einsum("bts,bti->si", weight, moved),
        jnp.einsum("bts,bti->si", weight, before),
        weight.sum((0, 1)),
    )
    if regime_weights is None:
        steps = tuple(a[0] for a in steps)
    first = jnp.einsum("b,bij->ij", first_weights, covariance[:, 0]) + (initial.T * first_weights) @ initial
    return SufficientStatistics._make((*steps, first, first_weights @ initial, first_weights.sum()))


def initial(statistics: SufficientStatistics, expected: Float[Array, "state state"] | None = None) -> Moments:
    """Mean and covariance of the first state, with the weight of a normal of mean zero seen in a few trials.

    expected: its covariance; None takes the identity.
    """
    if expected is None:
        expected = jnp.eye(statistics.first.shape[0], dtype=statistics.first.dtype)
    mean = statistics.first_mean / (statistics.trials + PRIOR_TRIALS)
    around = (
        statistics.first
        - statistics.first_mean[:, None] * mean[None, :]
        - mean[:, None] * statistics.first_mean[None, :]
    )
    around = around + statistics.trials * mean[:, None] * mean[None, :]
    return mean, symmetrize(around + PRIOR_TRIALS * expected) / (statistics.trials + PRIOR_TRIALS)


def fit_chain(statistics: SufficientStatistics, bin_ms: float) -> Chain:
    """The chain without offset that maximises E_q[log p(x)] plus conjugate priors.

    The prior is a persistent state, decaying in 200 ms, seen for a few bins:

    A = (S10 + n0 a0 I)(S00 + n0 I)^-1,
    Q = (S11 - A S10' - S10 A' + A S00 A' + n0 [(A - a0 I)(A - a0 I)' + q0 I]) / (n + n0).
    """
    identity = jnp.eye(statistics.first.shape[0], dtype=statistics.first.dtype)
    persistence = jnp.exp(-bin_ms / PRIOR_DECAY_MS)
    gram = statistics.previous + PRIOR_BINS * identity
    target = statistics.cross + PRIOR_BINS * persistence * identity
    transition = solve(gram, target.T, assume_a="pos").T
    noise = chain_noise(statistics, transition, bin_ms)
    return Chain(*initial(statistics), transition, jnp.zeros_like(statistics.first_mean), noise)


def chain_noise(
    statistics: SufficientStatistics, transition: Float[Array, "state state"], bin_ms: float
) -> Float[Array, "state state"]:
    """The Q of `fit_chain` about any transition."""
    identity, persistence = jnp.eye(transition.shape[0], dtype=transition.dtype), jnp.exp(-bin_ms / PRIOR_DECAY_MS)
    residual = statistics.current - transition @ statistics.cross.T - statistics.cross @ transition.T
    residual = residual + transition @ statistics.previous @ transition.T
    shift = transition - persistence * identity
    prior = PRIOR_BINS * (shift @ shift.T + (1 - persistence**2) * identity)
    return symmetrize(residual + prior) / (statistics.steps + PRIOR_BINS)


def fit_affine(
    statistics: SufficientStatistics, bin_ms: float
) -> tuple[Float[Array, "state state"], Float[Array, " state"], Float[Array, "state state"]]:
    """A, b and Q of one regime, x_t = A x_{t-1} + b + N(0, Q), under the same priors and b near zero.

    The statistics are of one regime, without the leading axis. The offset is removed by centring; b has the weight of
    the prior's bins at zero.
    """
    identity = jnp.eye(statistics.first.shape[0], dtype=statistics.first.dtype)
    persistence = jnp.exp(-bin_ms / PRIOR_DECAY_MS)
    count = statistics.steps + PRIOR_BINS
    after, before = statistics.current_mean / count, statistics.previous_mean / count
    centred = statistics._replace(
        current=statistics.current - count * jnp.outer(after, after),
        previous=statistics.previous - count * jnp.outer(before, before),
        cross=statistics.cross - count * jnp.outer(after, before),
    )
    gram = centred.previous + PRIOR_BINS * identity
    target = centred.cross + PRIOR_BINS * persistence * identity
    transition = solve(gram, target.T, assume_a="pos").T
    return transition, after - transition @ before, chain_noise(centred, transition, bin_ms)
