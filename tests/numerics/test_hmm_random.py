"""Forward-backward on random chains of several layouts, bins masked, against enumeration of all paths in float64."""

import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax, logsumexp

from nlbprob.numerics import hmm

CLOSE = {"rtol": 1e-9, "atol": 1e-9}


class Layout(NamedTuple):
    """The sizes of a problem, and the leading axes of the initial and the transition probabilities."""

    batch: tuple[int, ...]
    bins: int
    states: int
    initial: tuple[int, ...]
    transition: tuple[int, ...]


#: A handful, since each is compiled.
LAYOUTS = (
    Layout((), 1, 2, (), ()),
    Layout((), 4, 3, (), (3,)),
    Layout((2,), 3, 1, (2,), ()),
    Layout((3,), 5, 2, (3,), (3, 4)),
    Layout((2, 2), 2, 3, (), (2, 2, 1)),
)


def problem(layout, share, scale, random):
    """Log probabilities; a bin is masked, equally likely in every state, with probability 1 - `share`."""
    states = layout.states
    initial = log_softmax(random.standard_normal((*layout.initial, states)), -1)
    transition = log_softmax(random.standard_normal((*layout.transition, states, states)), -1)
    seen = random.random((*layout.batch, layout.bins)) < share
    evidence = scale * random.standard_normal((*layout.batch, layout.bins, states)) * seen[..., None]
    return initial, transition, evidence


def enumerated(initial, transition, evidence):
    """Every path [path, time] of one trial and its log joint probability."""
    bins, states = evidence.shape
    paths = np.array(list(itertools.product(range(states), repeat=bins)))
    steps = np.broadcast_to(transition, (bins - 1, states, states))
    logs = initial[paths[:, 0]] + evidence[np.arange(bins), paths].sum(1)
    return paths, logs + steps[np.arange(bins - 1), paths[:, :-1], paths[:, 1:]].sum(1)


@jax.jit
def solve(initial, transition, evidence):
    """The marginals of a path, and its divergence from the prior."""
    path = hmm.forward_backward(initial, transition, evidence)
    return path, hmm.divergence(path, initial, transition)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(LAYOUTS),
    st.sampled_from([0.0, 0.5, 0.8, 1.0]),
    st.sampled_from([0.1, 1.0, 30.0]),
    st.integers(0, 2**32 - 1),
)
def test_marginals_normalizer_and_divergence_are_those_of_all_paths(layout, share, scale, seed):
    initial, transition, evidence = problem(layout, share, scale, np.random.default_rng(seed))
    with jax.enable_x64(True):
        path, divergence = solve(*map(jnp.asarray, (initial, transition, evidence)))
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
