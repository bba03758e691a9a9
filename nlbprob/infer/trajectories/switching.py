"""Discrete states of the blocks that switch: their posterior, and what it makes of the prior of x.

The posterior is q(x) q(s): x given the marginals of s is a chain with averaged precisions, s given the moments of x
comes from forward-backward, in turns, inside one bound. Recurrent transitions use E[-log sum_k exp a_k] >= -log sum_k
exp(E a_k + 1/2 Var a_k).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nlbprob.infer.trajectories.problem import TrialProblem, expected_chain, joined, state_slices
from nlbprob.numerics import hmm
from nlbprob.numerics.gaussian import Chain, Sites, Smoothed
from nlbprob.numerics.hmm import Path


class Prior(NamedTuple):
    """The chain of all blocks; where some switch, the sites and constant that go with their averaged dynamics."""

    chain: Chain
    extra: Sites | None
    constant: Float[Array, " row"] | float

    def with_extra(self, sites: Sites) -> Sites:
        """Sites on the state, and those of the averaged dynamics."""
        if self.extra is None:
            return sites
        return Sites(sites.linear + self.extra.linear, sites.precision + self.extra.precision)


def no_paths(problem: TrialProblem) -> tuple[Path | None, ...]:
    """The paths of a model in which no block switches."""
    assert all(one is None for one in problem.regimes)
    return (None,) * len(problem.regimes)


def first_paths(problem: TrialProblem, rows: int, bins: int) -> tuple[Path | None, ...]:
    """Where the posterior of the discrete states starts: their prior, of x at zero where transitions depend on x."""
    found = []
    for chain, regimes in zip(problem.chains, problem.regimes, strict=True):
        if regimes is None:
            found.append(None)
            continue
        transition = jax.nn.log_softmax(regimes.transition, -1)
        evidence = jnp.zeros((rows, bins, regimes.initial.shape[0]), chain.initial_mean.dtype)
        found.append(hmm.forward_backward(regimes.initial, transition, evidence))
    return tuple(found)


def prior(problem: TrialProblem, paths: tuple[Path | None, ...]) -> Prior:
    """The prior of the whole state given the posterior of the discrete states."""
    if all(path is None for path in paths):
        return Prior(joined(list(problem.chains)), None, 0.0)
    lead, dtype = next((path.marginal.shape[:2], path.marginal.dtype) for path in paths if path is not None)
    size = state_slices(problem)[-1].stop
    linear, precision = jnp.zeros((*lead, size), dtype), jnp.zeros((*lead, size, size), dtype)
    chains, constant = [], jnp.zeros(lead[:1], dtype)
    for chain, path, place in zip(problem.chains, paths, state_slices(problem), strict=True):
        if path is None:
            chains.append(chain)
            continue
        found = expected_chain(chain, path.marginal)
        chains.append(found.chain)
        constant = constant + found.constant
        linear = linear.at[..., place].set(found.extra.linear)
        precision = precision.at[..., place, place].set(found.extra.precision)
    return Prior(joined(chains), Sites(linear, precision), constant)


def moments(smoothed: Smoothed, place: slice):
    """Mean, covariance and E[x_{t+1} x_t'] of one block's state."""
    mean, covariance = smoothed.mean[..., place], smoothed.covariance[..., place, place]
    cross = smoothed.cross_covariance[..., place, place] + mean[:, 1:, :, None] * mean[:, :-1, None, :]
    return mean, covariance, cross


def log_transitions(regimes, mean, covariance):
    """The bound on E[log p(s_{t+1} | s_t, x_t)]: [row, step, from, to], or [from, to] where it does not depend on x."""
    if regimes.recurrence is None:
        return jax.nn.log_softmax(regimes.transition, -1)
    weights = regimes.recurrence
    score = (mean[:, :-1] @ weights.T)[..., None, :] + regimes.transition
    spread = jnp.einsum("btij,ki,kj->btk", covariance[:, :-1], weights, weights)
    return score - jax.nn.logsumexp(score + 0.5 * spread[..., None, :], -1, keepdims=True)


def update(problem: TrialProblem, smoothed: Smoothed, paths: tuple[Path | None, ...]) -> tuple[Path | None, ...]:
    """The posterior of the discrete states given the moments of x: exact coordinate ascent."""
    found = []
    for chain, regimes, place, path in zip(problem.chains, problem.regimes, state_slices(problem), paths, strict=True):
        if path is None or regimes is None:
            found.append(None)
            continue
        mean, covariance, cross = moments(smoothed, place)
        evidence = expected_log_steps(chain, mean, covariance, cross)
        evidence = jnp.concatenate([jnp.zeros_like(evidence[:, :1]), evidence], 1)
        found.append(hmm.forward_backward(regimes.initial, log_transitions(regimes, mean, covariance), evidence))
    return tuple(found)


def expected_log_steps(chain: Chain, mean, covariance, cross):
    """E_q[log N(x_t; A_s x_{t-1} + b_s, Q_s)] for every regime: [row, step, regime]."""
    second = covariance + mean[..., :, None] * mean[..., None, :]
    before, after = mean[:, :-1], mean[:, 1:]

    def one(transition, offset, noise):
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

    return jnp.moveaxis(jax.vmap(one)(chain.transition, chain.offset, chain.noise), 0, -1)


def path_terms(problem: TrialProblem, paths, smoothed: Smoothed):
    """E[log p(s)] - E[log q(s)] of all blocks that switch, the transitions' bound at the moments of x."""
    total = 0.0
    for regimes, place, path in zip(problem.regimes, state_slices(problem), paths, strict=True):
        if path is not None and regimes is not None:
            mean, covariance, _ = moments(smoothed, place)
            total = total - hmm.divergence(path, regimes.initial, log_transitions(regimes, mean, covariance))
    return total


def correction(problem: TrialProblem, paths, prior: Prior, smoothed: Smoothed):
    """(what the bound gains, sites that recurrent transitions add to the target).

    The smoother's divergence counts the extra sites as data: the bound gets E[extra sites] and the constant back, and
    the terms of the discrete states.
    """
    assert prior.extra is not None
    mean, covariance = smoothed.mean, smoothed.covariance
    second = covariance + mean[..., :, None] * mean[..., None, :]
    extra = jnp.sum(prior.extra.linear * mean, (-1, -2)) - 0.5 * jnp.sum(prior.extra.precision * second, (-1, -2, -3))
    gained = extra + prior.constant + path_terms(problem, paths, smoothed)
    return gained, recurrent_sites(problem, paths, smoothed)


def recurrent_sites(problem: TrialProblem, paths, smoothed: Smoothed) -> Sites | None:
    """The natural-gradient sites of the transitions' bound: J = sum_j q_j sum_k p_jk R_k R_k', h = gradient + J m."""
    if all(one is None or one.recurrence is None for one in problem.regimes):
        return None
    linear, precision = jnp.zeros_like(smoothed.mean), jnp.zeros_like(smoothed.covariance)
    for regimes, place, path in zip(problem.regimes, state_slices(problem), paths, strict=True):
        if path is None or regimes is None or regimes.recurrence is None:
            continue
        mean, covariance, _ = moments(smoothed, place)
        weights = regimes.recurrence
        score = (mean[:, :-1] @ weights.T)[..., None, :] + regimes.transition
        spread = jnp.einsum("btij,ki,kj->btk", covariance[:, :-1], weights, weights)
        chance = jax.nn.softmax(score + 0.5 * spread[..., None, :], -1)
        into = path.pair.sum(-2)
        expected = jnp.einsum("btj,btjk->btk", path.pair.sum(-1), chance)
        j = jnp.einsum("btk,ki,kl->btil", expected, weights, weights)
        h = (into - expected) @ weights + jnp.einsum("btij,btj->bti", j, mean[:, :-1])
        linear = linear.at[:, :-1, place].set(h)
        precision = precision.at[:, :-1, place, place].set(j)
    if problem.emission is None:
        return Sites(linear, precision)
    # The states of a block that switches are its latents: the emission only moves them to their place.
    return Sites(linear @ problem.emission.T, problem.emission @ precision @ problem.emission.T)
