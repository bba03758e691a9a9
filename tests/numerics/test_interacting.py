"""The interacting multiple-model filter against one Kalman filter, enumeration of all paths, and known paths."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nlbprob.numerics import hmm, interacting, kalman
from nlbprob.numerics.gaussian import Chain, Sites

ROWS, BINS, DIM = 3, 6, 2


def chain_of(regimes, seed=0, apart=1.0):
    """Stable regimes whose transitions, offsets and noises differ by `apart`."""
    random = np.random.default_rng(seed)
    noise = np.tile(0.1 * np.eye(DIM), (regimes, 1, 1))
    transition = 0.5 * np.eye(DIM) + apart * 0.4 * random.standard_normal((regimes, DIM, DIM))
    offset = apart * random.standard_normal((regimes, DIM))
    return Chain(jnp.zeros(DIM), jnp.eye(DIM), *(jnp.asarray(a) for a in (transition, offset, noise)))


def sites_of(seed=0, strength=2.0):
    """Random potentials on the state of each bin."""
    random = np.random.default_rng(seed)
    root = random.standard_normal((ROWS, BINS, DIM, DIM))
    precision = strength * root @ root.swapaxes(-1, -2)
    return Sites(jnp.asarray(strength * random.standard_normal((ROWS, BINS, DIM))), jnp.asarray(precision))


def log_normalizers(chain, initial, transition, sites):
    """log p(path, sites) of every path [path, row], and the paths."""
    paths = list(itertools.product(range(len(initial)), repeat=BINS))
    found = []
    for path in paths:
        later = list(path[1:])
        given = chain._replace(
            transition=chain.transition[jnp.array(later)],
            offset=chain.offset[jnp.array(later)],
            noise=chain.noise[jnp.array(later)],
        )
        prior = initial[path[0]] + sum(transition[a, b] for a, b in itertools.pairwise(path))
        found.append(prior + kalman.log_normalizer(kalman.filter(given, sites), sites))
    return np.array(found), np.array(paths)


def logs(regimes, stay=0.8):
    """Log probabilities of the first regime and of the next."""
    transition = np.full((regimes, regimes), (1 - stay) / max(regimes - 1, 1))
    np.fill_diagonal(transition, stay if regimes > 1 else 1.0)
    return jnp.log(jnp.full(regimes, 1 / regimes)), jnp.log(jnp.asarray(transition))


def found_path(chain, initial, transition, sites):
    return interacting.find_path(chain, initial, lambda mean, covariance: transition, sites)


@pytest.fixture(autouse=True)
def double():
    """float64 inside each test."""
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize("regimes", [1, 3])
def test_regimes_that_are_alike_have_the_evidence_of_one_filter(regimes):
    chain, (initial, transition), sites = chain_of(1), logs(regimes), sites_of()
    alike = chain._replace(
        **{name: jnp.repeat(getattr(chain, name), regimes, 0) for name in ("transition", "offset", "noise")}
    )
    path = found_path(alike, initial, transition, sites)
    one = Chain(*chain[:2], *(a[0] for a in chain[2:]))
    first = Chain(*chain[:2], jnp.eye(DIM), jnp.zeros(DIM), jnp.eye(DIM))
    start = jax.tree.map(lambda a: a[:, :1], sites)
    expected = kalman.log_normalizer(kalman.filter(one, sites), sites)
    expected = expected - kalman.log_normalizer(kalman.filter(first, start), start)
    np.testing.assert_allclose(path.log_normalizer, expected, rtol=1e-9)
    np.testing.assert_allclose(path.marginal, 1 / regimes, rtol=1e-9)


def test_marginals_are_near_those_of_all_paths():
    errors, agree = [], []
    for seed in range(4):
        chain, (initial, transition), sites = chain_of(2, seed), logs(2), sites_of(seed)
        joint, paths = log_normalizers(chain, initial, transition, sites)
        posterior = np.exp(joint - np.logaddexp.reduce(joint, 0))
        exact = np.einsum("pb,ptk->btk", posterior, np.eye(2)[paths])
        found = np.asarray(found_path(chain, initial, transition, sites).marginal)
        errors.append(np.abs(found - exact).mean())
        agree.append(np.mean(found.argmax(-1) == exact.argmax(-1)))
    print("mean errors of marginals:", np.round(errors, 3), "same regime:", np.round(agree, 3))
    assert np.mean(errors) < 0.1
    assert np.mean(agree) > 0.85


def test_a_path_that_changes_in_mid_trial_is_found():
    chain, (initial, transition) = chain_of(2, apart=0.0), logs(2, stay=0.9)
    chain = chain._replace(offset=jnp.array([[1.0, 0.0], [-1.0, 0.0]]))
    truth = np.array([[0, 0, 0, 1, 1, 1], [1, 1, 0, 0, 0, 0], [1, 1, 1, 1, 1, 0]])
    states = [np.zeros((ROWS, DIM))]
    for now in truth[:, 1:].T:
        states.append(0.5 * states[-1] + np.array([[1.0, 0.0], [-1.0, 0.0]])[now])
    x, precision = np.stack(states, 1), 50.0 * np.eye(DIM)
    sites = Sites(jnp.asarray(x @ precision), jnp.broadcast_to(precision, (ROWS, BINS, DIM, DIM)))
    found = np.asarray(found_path(chain, initial, transition, sites).marginal.argmax(-1))
    np.testing.assert_array_equal(found[:, 1:], truth[:, 1:])


def test_transitions_may_depend_on_the_state():
    chain, (initial, transition), sites = chain_of(2), logs(2), sites_of(2)

    def recurrent(weights, mean, covariance):
        return jax.nn.log_softmax(transition + (mean @ weights)[..., None] * jnp.array([1.0, -1.0]), -1)

    still = interacting.find_path(chain, initial, functools.partial(recurrent, jnp.zeros(DIM)), sites)
    np.testing.assert_allclose(still.marginal, found_path(chain, initial, transition, sites).marginal, rtol=1e-9)
    moved = interacting.find_path(chain, initial, functools.partial(recurrent, jnp.array([3.0, 0.0])), sites)
    assert np.abs(moved.marginal - still.marginal).max() > 0.05
    assert isinstance(moved, hmm.Path)
