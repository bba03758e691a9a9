"""Discrete states of the blocks that switch: their posterior, and the prior of x given it.

The posterior is q(x) q(s): x given the marginals of s is a chain with averaged precisions, s given the moments of x
comes from forward-backward, in turns, inside one bound. Recurrent transitions use E[-log sum_k exp a_k] >= -log sum_k
exp(E a_k + 1/2 Var a_k).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nlbprob.blocks.latent import Regimes
from nlbprob.infer.trajectories.problem import TrialProblem, expected_chain, joined, state_slices
from nlbprob.numerics import hmm
from nlbprob.numerics.gaussian import Chain, Sites, Smoothed
from nlbprob.numerics.hmm import Paths


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


def no_paths(problem: TrialProblem) -> Paths:
    """The paths of a model in which no block switches."""
    assert all(regimes is None for regimes in problem.regimes)
    return (None,) * len(problem.regimes)


def first_paths(problem: TrialProblem, rows: int, bins: int) -> Paths:
    """Where the posterior of the discrete states starts: their prior, of x at zero where transitions depend on x."""
    paths = []
    for chain, regimes in zip(problem.chains, problem.regimes, strict=True):
        if regimes is None:
            paths.append(None)
            continue
        transition = jax.nn.log_softmax(regimes.transition, -1)
        evidence = jnp.zeros((rows, bins, regimes.initial.shape[0]), chain.initial_mean.dtype)
        paths.append(hmm.forward_backward(regimes.initial, transition, evidence))
    return tuple(paths)


def prior(problem: TrialProblem, paths: Paths) -> Prior:
    """The prior of the whole state given the posterior of the discrete states."""
    if all(path is None for path in paths):
        return Prior(joined(list(problem.chains)), None, 0.0)
    lead, dtype = next((path.marginal.shape[:2], path.marginal.dtype) for path in paths if path is not None)
    size = state_slices(problem)[-1].stop
    linear, precision = jnp.zeros((*lead, size), dtype), jnp.zeros((*lead, size, size), dtype)
    chains, constant = [], jnp.zeros(lead[:1], dtype)
    for chain, path, columns in zip(problem.chains, paths, state_slices(problem), strict=True):
        if path is None:
            chains.append(chain)
            continue
        expected = expected_chain(chain, path.marginal)
        chains.append(expected.chain)
        constant = constant + expected.constant
        linear = linear.at[..., columns].set(expected.extra.linear)
        precision = precision.at[..., columns, columns].set(expected.extra.precision)
    return Prior(joined(chains), Sites(linear, precision), constant)


def block_moments(
    smoothed: Smoothed, columns: slice
) -> tuple[Float[Array, "row time state"], Float[Array, "row time state state"], Float[Array, "row step state state"]]:
    """Mean, covariance and E[x_{t+1} x_t'] of one block's state."""
    mean, covariance = smoothed.mean[..., columns], smoothed.covariance[..., columns, columns]
    cross = smoothed.cross_covariance[..., columns, columns] + mean[:, 1:, :, None] * mean[:, :-1, None, :]
    return mean, covariance, cross


def log_transitions(
    regimes: Regimes, mean: Float[Array, "row time state"], covariance: Float[Array, "row time state state"]
) -> Float[Array, "... regime regime"]:
    """The bound on E[log p(s_{t+1} | s_t, x_t)]: [row, step, from, to], or [from, to] where it does not depend on x."""
    if regimes.recurrence is None:
        return jax.nn.log_softmax(regimes.transition, -1)
    weights = regimes.recurrence
    score = (mean[:, :-1] @ weights.T)[..., None, :] + regimes.transition
    variance = jnp.einsum("btij,ki,kj->btk", covariance[:, :-1], weights, weights)
    return score - jax.nn.logsumexp(score + 0.5 * variance[..., None, :], -1, keepdims=True)


def update(problem: TrialProblem, smoothed: Smoothed, paths: Paths) -> Paths:
    """The posterior of the discrete states given the moments of x: exact coordinate ascent."""
    updated = []
    for chain, regimes, columns, path in zip(
        problem.chains, problem.regimes, state_slices(problem), paths, strict=True
    ):
        if path is None or regimes is None:
            updated.append(None)
            continue
        mean, covariance, cross = block_moments(smoothed, columns)
        evidence = expected_log_steps(chain, mean, covariance, cross)
        evidence = jnp.concatenate([jnp.zeros_like(evidence[:, :1]), evidence], 1)
        updated.append(hmm.forward_backward(regimes.initial, log_transitions(regimes, mean, covariance), evidence))
    return tuple(updated)


def expected_log_steps(
    chain: Chain,
    mean: Float[Array, "row time state"],
    covariance: Float[Array, "row time state state"],
    cross: Float[Array, "row step state state"],
) -> Float[Array, "row step regime"]:
    """E_q[log N(x_t; A_s x_{t-1} + b_s, Q_s)] for every regime: [row, step, regime]."""
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


def path_terms(problem: TrialProblem, paths: Paths, smoothed: Smoothed) -> Float[Array, " row"] | float:
    """E[log p(s)] - E[log q(s)] of all blocks that switch, the transitions' bound at the moments of x."""
    total = 0.0
    for regimes, columns, path in zip(problem.regimes, state_slices(problem), paths, strict=True):
        if path is not None and regimes is not None:
            mean, covariance, _ = block_moments(smoothed, columns)
            total = total - hmm.divergence(path, regimes.initial, log_transitions(regimes, mean, covariance))
    return total


def correction(
    problem: TrialProblem, paths: Paths, prior: Prior, smoothed: Smoothed
) -> tuple[Float[Array, " row"], Sites | None]:
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


def recurrent_sites(problem: TrialProblem, paths: Paths, smoothed: Smoothed) -> Sites | None:
    """The natural-gradient sites of the transitions' bound: J = sum_j q_j sum_k p_jk R_k R_k', h = gradient + J m."""
    if all(regimes is None or regimes.recurrence is None for regimes in problem.regimes):
        return None
    linear, precision = jnp.zeros_like(smoothed.mean), jnp.zeros_like(smoothed.covariance)
    for regimes, columns, path in zip(problem.regimes, state_slices(problem), paths, strict=True):
        if path is None or regimes is None or regimes.recurrence is None:
            continue
        mean, covariance, _ = block_moments(smoothed, columns)
        weights = regimes.recurrence
        score = (mean[:, :-1] @ weights.T)[..., None, :] + regimes.transition
        variance = jnp.einsum("btij,ki,kj->btk", covariance[:, :-1], weights, weights)
        probability = jax.nn.softmax(score + 0.5 * variance[..., None, :], -1)
        into = path.pair.sum(-2)
        expected = jnp.einsum("btj,btjk->btk", path.pair.sum(-1), probability)
        j = jnp.einsum("btk,ki,kl->btil", expected, weights, weights)
        h = (into - expected) @ weights + jnp.einsum("btij,btj->bti", j, mean[:, :-1])
        linear = linear.at[:, :-1, columns].set(h)
        precision = precision.at[:, :-1, columns, columns].set(j)
    if problem.emission is None:
        return Sites(linear, precision)
    # The states of a block that switches are its latents: the emission only moves them to their place.
    return Sites(linear @ problem.emission.T, problem.emission @ precision @ problem.emission.T)
