"""Forward-backward against enumeration of all paths."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax

from nlbprob.numerics import hmm


def problem(seed, varying, bins=5, states=3, trials=2):
    random = np.random.default_rng(seed)
    lead = (trials, bins - 1) if varying else ()
    return (
        log_softmax(random.standard_normal(states)),
        log_softmax(random.standard_normal((*lead, states, states)), -1),
        2 * random.standard_normal((trials, bins, states)),
    )


def enumerated(initial, transition, evidence):
    """Every path of one trial and its log joint probability."""
    bins, states = evidence.shape
    paths = np.array(list(itertools.product(range(states), repeat=bins)))
    logs = initial[paths[:, 0]] + evidence[np.arange(bins), paths].sum(1)
    for t in range(bins - 1):
        now = transition if transition.ndim == 2 else transition[t]
        logs = logs + now[paths[:, t], paths[:, t + 1]]
    return paths, logs


@pytest.mark.parametrize("varying", [False, True])
def test_marginals_and_normalizer_are_those_of_all_paths(varying):
    initial, transition, evidence = problem(0, varying)
    with jax.enable_x64(True):
        arrays = tuple(map(jnp.asarray, (initial, transition, evidence)))
        found = hmm.forward_backward(*arrays)
        divergence = hmm.divergence(found, *arrays[:2])
    for trial in range(2):
        own = transition[trial] if varying else transition
        paths, logs = enumerated(initial, own, evidence[trial])
        total = np.logaddexp.reduce(logs)
        weights = np.exp(logs - total)
        assert found.log_normalizer[trial] == pytest.approx(total)
        for t, s in itertools.product(range(5), range(3)):
            assert found.marginal[trial, t, s] == pytest.approx(weights[paths[:, t] == s].sum())
        for t, a, b in itertools.product(range(4), range(3), range(3)):
            both = (paths[:, t] == a) & (paths[:, t + 1] == b)
            assert found.pair[trial, t, a, b] == pytest.approx(weights[both].sum())
        expected = (weights * evidence[trial][np.arange(5), paths].sum(1)).sum()
        assert divergence[trial] == pytest.approx(expected - total)


@pytest.mark.parametrize("varying", [False, True])
def test_drawn_paths_have_the_posterior_marginals(varying):
    problem_ = tuple(map(jnp.asarray, problem(1, varying)))
    found = hmm.forward_backward(*problem_)
    paths = np.asarray(hmm.draw(jax.random.key(0), *problem_, shape=(4000,)))
    assert paths.shape == (4000, 2, 5)
    for state in range(3):
        np.testing.assert_allclose((paths == state).mean(0), found.marginal[..., state], atol=0.04)
    both = (paths[..., :-1] == 0) & (paths[..., 1:] == 1)
    np.testing.assert_allclose(both.mean(0), found.pair[..., 0, 1], atol=0.04)


def test_paths_sampled_forward_from_marginals_are_those_of_the_posterior():
    found = hmm.forward_backward(*map(jnp.asarray, problem(2, False)))
    paths = np.asarray(jax.vmap(lambda key: hmm.sample(key, found))(jax.random.split(jax.random.key(0), 4000)))
    assert paths.shape == (4000, 2, 5)
    for state in range(3):
        np.testing.assert_allclose((paths == state).mean(0), found.marginal[..., state], atol=0.04)
    both = (paths[..., :-1] == 2) & (paths[..., 1:] == 1)
    np.testing.assert_allclose(both.mean(0), found.pair[..., 2, 1], atol=0.04)
