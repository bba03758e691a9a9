"""Forward-backward on random chains of several layouts against enumeration of all paths in float64.

Bins are masked, and steps and first states impossible; long chains in float32 are compared with filters in float64.
"""

import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax, logsumexp

from nlbprob.numerics import hmm

CLOSE = {"rtol": 1e-9, "atol": 1e-9}
SHARES, SCALES, SEEDS = st.sampled_from([0.5, 0.0, 1.0]), st.sampled_from([1.0, 30.0]), st.integers(0, 2**32 - 1)


class Layout(NamedTuple):
    """The sizes of a problem, and the leading axes of the initial and the transition probabilities."""

    batch: tuple[int, ...]
    bins: int
    states: int
    initial: tuple[int, ...]
    transition: tuple[int, ...]


#: A handful, since each is compiled.
LAYOUTS = {
    "one bin": Layout((), 1, 2, (), ()),
    "one trial": Layout((), 5, 3, (), (4,)),
    "one state": Layout((2,), 3, 1, (2,), ()),
    "own transitions": Layout((2, 2), 4, 3, (2, 2), (2, 2, 3)),
}


def forbid(probabilities, random, keep):
    """The same with some set to zero, but for those to `keep`."""
    probabilities[(random.random(probabilities.shape) < 0.5) & ~keep] = 0
    return probabilities / probabilities.sum(-1, keepdims=True)


def problem(layout, impossible, share, scale, random):
    """Log probabilities; a bin is masked, equally likely in every state, with probability 1 - `share`."""
    states = layout.states
    initial = random.dirichlet(np.ones(states), layout.initial)
    transition = random.dirichlet(np.ones(states), (*layout.transition, states))
    if impossible:
        initial = forbid(initial, random, np.arange(states) == 0)
        transition = forbid(transition, random, np.eye(states, dtype=bool))
    seen = random.random((*layout.batch, layout.bins)) < share
    evidence = scale * random.standard_normal((*layout.batch, layout.bins, states)) * seen[..., None]
    with np.errstate(divide="ignore"):
        return np.log(initial), np.log(transition), evidence


def enumerated(initial, transition, evidence):
    """Every path [path, time] of one trial and its log joint probability."""
    bins, states = evidence.shape
    paths = np.array(list(itertools.product(range(states), repeat=bins)))
    steps = np.broadcast_to(transition, (bins - 1, states, states))
    logs = initial[paths[:, 0]] + evidence[np.arange(bins), paths].sum(1)
    return paths, logs + steps[np.arange(bins - 1), paths[:, :-1], paths[:, 1:]].sum(1)


@jax.jit
def solved(initial, transition, evidence):
    """The marginals of a path, and its divergence from the prior."""
    path = hmm.forward_backward(initial, transition, evidence)
    return path, hmm.divergence(path, initial, transition)


@pytest.mark.parametrize("impossible", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@settings(max_examples=6, deadline=None, derandomize=True)
@given(SHARES, SCALES, SEEDS)
def test_marginals_normalizer_and_divergence_are_those_of_all_paths(layout, impossible, share, scale, seed):
    initial, transition, evidence = problem(layout, impossible, share, scale, np.random.default_rng(seed))
    with jax.enable_x64(True):
        path, divergence = solved(*map(jnp.asarray, (initial, transition, evidence)))
    states = np.arange(layout.states)
    for trial in np.ndindex(layout.batch):
        own_initial = initial[trial] if layout.initial else initial
        own = transition[trial] if len(layout.transition) > 1 else transition
        paths, logs = enumerated(own_initial, own, evidence[trial])
        total = logsumexp(logs)
        weights = np.exp(logs - total)
        visits = (paths[..., None] == states).astype(float)  # [path, time, state]
        np.testing.assert_allclose(path.log_normalizer[trial], total, **CLOSE)
        np.testing.assert_allclose(path.marginal[trial], np.einsum("p,pts->ts", weights, visits), **CLOSE)
        pair = np.einsum("p,pta,ptb->tab", weights, visits[:, :-1], visits[:, 1:])
        np.testing.assert_allclose(path.pair[trial], pair, **CLOSE)
        expected = weights @ evidence[trial][np.arange(layout.bins), paths].sum(1) - total
        np.testing.assert_allclose(divergence[trial], expected, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("impossible", [False, True])
def test_the_marginals_are_the_derivatives_of_the_normalizer(impossible):
    given = problem(LAYOUTS["one trial"], impossible, 0.8, 1.0, np.random.default_rng(3))
    if impossible:  # the last state is out of reach in the first two bins
        given[0][:], given[1][0, 0, 2] = (0, -np.inf, -np.inf), -np.inf
    with jax.enable_x64(True):
        given = tuple(map(jnp.asarray, given))
        path, divergence = solved(*given)
        first, steps, bins = jax.jit(jax.grad(lambda *a: hmm.forward(*a)[1], (0, 1, 2)))(*given)
        slope = jax.jit(jax.grad(lambda evidence: solved(*given[:2], evidence)[1]))(given[2])
        step = 1e-4 * np.random.default_rng(4).standard_normal(slope.shape)
        change = (solved(*given[:2], given[2] + step)[1] - solved(*given[:2], given[2] - step)[1]) / 2
        np.testing.assert_allclose((slope * step).sum(), change, rtol=1e-5)
    np.testing.assert_allclose(first, path.marginal[0], **CLOSE)
    np.testing.assert_allclose(steps, path.pair, **CLOSE)
    np.testing.assert_allclose(bins, path.marginal, **CLOSE)
    assert np.isfinite(divergence)


def test_a_state_whose_evidence_is_impossible_is_left_out():
    initial, transition, evidence = problem(LAYOUTS["one trial"], False, 1.0, 1.0, np.random.default_rng(5))
    evidence[:, 1] = -np.inf
    kept = np.array([0, 2])
    with jax.enable_x64(True):
        path, _ = solved(*map(jnp.asarray, (initial, transition, evidence)))
        rest = (initial[kept], transition[:, kept[:, None], kept], evidence[:, kept])
        expected, _ = solved(*map(jnp.asarray, rest))
    path, expected = jax.tree.map(np.asarray, (path, expected))
    np.testing.assert_allclose(path.marginal[:, kept], expected.marginal, **CLOSE)
    np.testing.assert_allclose(path.log_normalizer, expected.log_normalizer, **CLOSE)
    assert np.all(path.marginal[:, 1] == 0)


def filtered(initial, transition, evidence):
    """Marginals and log normaliser of one trial by forward and backward passes of normalised probabilities."""
    first, steps = np.exp(initial), np.exp(transition)
    scale = evidence.max(1)
    likelihood = np.exp(evidence - scale[:, None])
    ahead, back, total = np.zeros_like(likelihood), np.ones_like(likelihood), scale.sum()
    for t in range(len(evidence)):
        ahead[t] = (ahead[t - 1] @ steps if t else first) * likelihood[t]
        total += np.log(ahead[t].sum())
        ahead[t] /= ahead[t].sum()
    for t in reversed(range(len(evidence) - 1)):
        back[t] = steps @ (likelihood[t + 1] * back[t + 1])
        back[t] /= back[t].sum()
    pair = ahead[:-1, :, None] * steps * (likelihood[1:] * back[1:])[:, None]
    marginal = ahead * back
    return marginal / marginal.sum(1, keepdims=True), pair / pair.sum((1, 2), keepdims=True), total


@pytest.mark.parametrize("level", [-50.0, 50.0])
def test_a_long_chain_keeps_its_digits_in_float32(level):
    random = np.random.default_rng(6)
    initial, transition = np.log(np.full(3, 1 / 3)), log_softmax(4 * np.eye(3), -1)
    evidence = (level + 0.3 * random.standard_normal((5000, 3))).astype(np.float32)
    path, divergence = solved(*(jnp.asarray(a, jnp.float32) for a in (initial, transition, evidence)))
    marginal, pair, total = filtered(initial, transition, evidence.astype(float))
    np.testing.assert_allclose(path.marginal, marginal, atol=1e-4)
    np.testing.assert_allclose(path.pair, pair, atol=1e-4)
    np.testing.assert_allclose(path.log_normalizer, total, rtol=1e-5)
    np.testing.assert_allclose(divergence, (marginal * evidence).sum() - total, rtol=1e-3)


def test_drawn_paths_take_no_impossible_step():
    initial, transition, evidence = problem(LAYOUTS["one trial"], True, 1.0, 1.0, np.random.default_rng(7))
    given = tuple(jnp.asarray(a, jnp.float32) for a in (initial, transition, evidence))
    path, _ = solved(*given)
    keys = jax.random.split(jax.random.key(0), 2000)
    forward = jax.jit(jax.vmap(lambda key: hmm.sample(key, path)))(keys)
    backward = jax.jit(lambda key, *given: hmm.draw(key, *given, shape=(2000,)))(keys[0], *given)
    for draws in (np.asarray(backward), np.asarray(forward)):
        assert np.all(initial[draws[:, 0]] > -np.inf)
        assert np.all(transition[np.arange(4), draws[:, :-1], draws[:, 1:]] > -np.inf)
        for state in range(3):
            np.testing.assert_allclose((draws == state).mean(0), path.marginal[:, state], atol=0.05)
