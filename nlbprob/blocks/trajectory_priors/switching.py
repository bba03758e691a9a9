"""Switching dynamics: the posterior of the discrete states, and the prior of x given it.

The posterior is q(x) q(s): x given the marginals of s is a chain with averaged precisions, s given the moments of x
comes from forward-backward, in turns, inside one bound. Recurrent transitions use E[-log sum_k exp a_k] >= -log sum_k
exp(E a_k + 1/2 Var a_k).
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from nlbprob.blocks.latent import Dynamics, Regimes
from nlbprob.blocks.markov import LinearGaussianMarkov
from nlbprob.blocks.switching_markov import SwitchingLinearGaussian
from nlbprob.blocks.trajectory_priors.base import Surrogate, TrajectoryPrior
from nlbprob.numerics import hmm, interacting
from nlbprob.numerics.gaussian import Chain, Sites, Smoothed, symmetrize
from nlbprob.numerics.hmm import Path


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class SwitchingPrior(TrajectoryPrior):
    """A chain whose steps are chosen by a hidden Markov chain; the auxiliary posterior is a `Path`.

    chain: its transition, offset and noise have a leading axis `regime`.
    """

    regimes: Regimes
    proposes = True

    def init(self, rows: int, bins: int) -> Path:
        """The prior of the discrete states, of x at zero where transitions depend on x."""
        transition = jax.nn.log_softmax(self.regimes.transition, -1)
        evidence = jnp.zeros((rows, bins, self.regimes.initial.shape[0]), self.chain.initial_mean.dtype)
        return hmm.forward_backward(self.regimes.initial, transition, evidence)

    def expected(self, auxiliary: Path) -> Surrogate:
        return expected_chain(self.chain, auxiliary.marginal)

    def update(self, smoothed: Smoothed, auxiliary: Path) -> Path:
        """The posterior of the discrete states given the moments of x: exact coordinate ascent."""
        evidence = expected_log_steps(self.chain, smoothed)
        evidence = jnp.concatenate([jnp.zeros_like(evidence[:, :1]), evidence], 1)
        return hmm.forward_backward(self.regimes.initial, smoothed_transitions(self.regimes, smoothed), evidence)

    def terms(self, auxiliary: Path, surrogate: Surrogate, smoothed: Smoothed) -> Float[Array, " row"]:
        """E[log p(s)] - E[log q(s)], the transitions' bound at the moments of x."""
        return -hmm.divergence(auxiliary, self.regimes.initial, smoothed_transitions(self.regimes, smoothed))

    def target(self, auxiliary: Path, smoothed: Smoothed) -> Sites | None:
        return None if self.regimes.recurrence is None else recurrent_sites(self.regimes, auxiliary, smoothed)

    def proposal(self, sites: Sites) -> Path:
        """The path that the interacting multiple-model filter finds: unlike `update`, it sees each regime by itself."""
        transitions = functools.partial(log_transitions, self.regimes)
        return interacting.find_path(self.chain, self.regimes.initial, transitions, sites)

    def sample(self, key: Key[Array, ""], auxiliary: Path) -> dict[str, Array]:
        return {"regime": hmm.sample(key, auxiliary)}

    def log_ratio(self, auxiliary: Path, x: Float[Array, "row time state"]) -> Float[Array, " row"]:
        bins = x.shape[1]
        prior = SwitchingLinearGaussian(Dynamics(self.chain, regimes=self.regimes), bins)
        mean = LinearGaussianMarkov.from_chain(self.expected(auxiliary).chain, bins)
        return prior.log_prob(x) - mean.log_prob(x)


def expected_chain(chain: Chain, weights: Float[Array, "row time regime"]) -> Surrogate:
    """The expected log density of a switching chain under the marginals of its regimes.

    With L = sum_s w_s Q_s^-1, M = sum_s w_s Q_s^-1 A_s, beta = sum_s w_s Q_s^-1 b_s, N = sum_s w_s A_s'Q_s^-1 A_s and
    nu = sum_s w_s A_s'Q_s^-1 b_s it is log N(x_t; L^-1 (M x + beta), L^-1) plus the site at x = x_{t-1} with precision
    N - M'L^-1 M and linear term M'L^-1 beta - nu, plus a constant.
    """
    transition, offset, noise = chain.transition, chain.offset, chain.noise
    inverse = symmetrize(jnp.linalg.inv(noise))
    pulled = inverse @ transition
    bias = jnp.einsum("sij,sj->si", inverse, offset)
    later = weights[:, 1:]

    def mean(arrays: Float[Array, "regime *shape"]) -> Float[Array, "row step *shape"]:
        return jnp.einsum("bts,s...->bt...", later, arrays)

    precision, cross, beta = symmetrize(mean(inverse)), mean(pulled), mean(bias)
    quadratic = mean(transition.mT @ pulled)
    nu = mean(jnp.einsum("sij,si->sj", transition, bias))
    kappa = mean(jnp.einsum("si,si->s", offset, bias))
    covariance = symmetrize(jnp.linalg.inv(precision))
    moved = covariance @ cross
    shift = jnp.einsum("btij,btj->bti", covariance, beta)
    site = symmetrize(quadratic - cross.mT @ moved)
    linear = jnp.einsum("btij,bti->btj", moved, beta) - nu
    log_precision = jnp.linalg.slogdet(precision)[1]
    constant = 0.5 * (jnp.sum(beta * shift, -1) - kappa - log_precision - mean(jnp.linalg.slogdet(noise)[1]))
    fixed = Chain(chain.initial_mean, chain.initial_covariance, moved, shift, covariance)

    def pad(a: Float[Array, "row step ..."]) -> Float[Array, "row time ..."]:
        return jnp.concatenate([a, jnp.zeros_like(a[:, :1])], 1)

    extra = Sites(pad(linear), pad(site))
    return Surrogate(fixed, extra, constant.sum(1))


def log_transitions(
    regimes: Regimes, mean: Float[Array, "*batch from state"], covariance: Float[Array, "*batch from state state"]
) -> Float[Array, "... regime regime"]:
    """The bound on E[log p(s_{t+1} | s_t, x_t)]: [*batch, from, to], or [from, to] where it does not depend on x.

    Args:
        regimes: their transitions.
        mean: of x_t; the axis `from` has length 1 where it is the same whichever s_t is.
        covariance: of x_t.
    """
    if regimes.recurrence is None:
        return jax.nn.log_softmax(regimes.transition, -1)
    weights = regimes.recurrence
    score = mean @ weights.T + regimes.transition
    variance = jnp.einsum("...ij,ki,kj->...k", covariance, weights, weights)
    return score - jax.nn.logsumexp(score + 0.5 * variance, -1, keepdims=True)


def smoothed_transitions(regimes: Regimes, smoothed: Smoothed) -> Float[Array, "... regime regime"]:
    """The same for every step but the last, at the moments of all trials: [row, step, from, to], or [from, to]."""
    return log_transitions(regimes, smoothed.mean[:, :-1, None], smoothed.covariance[:, :-1, None])


def expected_log_steps(chain: Chain, smoothed: Smoothed) -> Float[Array, "row step regime"]:
    """E_q[log N(x_t; A_s x_{t-1} + b_s, Q_s)] for every regime: [row, step, regime]."""
    mean, covariance = smoothed.mean, smoothed.covariance
    cross = smoothed.cross_covariance + mean[:, 1:, :, None] * mean[:, :-1, None, :]
    second = covariance + mean[..., :, None] * mean[..., None, :]
    before, after = mean[:, :-1], mean[:, 1:]

    def of_regime(
        transition: Float[Array, "state state"], offset: Float[Array, " state"], noise: Float[Array, "state state"]
    ) -> Float[Array, "row step"]:
        inverse = jnp.linalg.inv(noise)
        pulled = inverse @ transition
        quadratic = (
            jnp.einsum("ij,btij->bt", inverse, second[:, 1:])
            - 2 * jnp.einsum("ij,btij->bt", pulled, cross)
            + jnp.einsum("ij,btij->bt", transition.T @ pulled, second[:, :-1])
        )
        bias = inverse @ offset
        linear = after @ bias - before @ (transition.T @ bias) - 0.5 * offset @ bias
        size = offset.shape[0]
        return linear - 0.5 * (quadratic + jnp.linalg.slogdet(noise)[1] + size * jnp.log(2 * jnp.pi))

    return jnp.moveaxis(jax.vmap(of_regime)(chain.transition, chain.offset, chain.noise), 0, -1)


def recurrent_sites(regimes: Regimes, path: Path, smoothed: Smoothed) -> Sites:
    """The natural-gradient sites of the transitions' bound: J = sum_j q_j sum_k p_jk R_k R_k', h = gradient + J m."""
    weights = regimes.recurrence
    assert weights is not None
    mean, covariance = smoothed.mean, smoothed.covariance
    score = (mean[:, :-1] @ weights.T)[..., None, :] + regimes.transition
    variance = jnp.einsum("btij,ki,kj->btk", covariance[:, :-1], weights, weights)
    probability = jax.nn.softmax(score + 0.5 * variance[..., None, :], -1)
    into = path.pair.sum(-2)
    expected = jnp.einsum("btj,btjk->btk", path.pair.sum(-1), probability)
    precision = jnp.einsum("btk,ki,kl->btil", expected, weights, weights)
    linear = (into - expected) @ weights + jnp.einsum("btij,btj->bti", precision, mean[:, :-1])
    return Sites(*(jnp.concatenate([a, jnp.zeros_like(a[:, :1])], 1) for a in (linear, precision)))
