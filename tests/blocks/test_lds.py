"""The linear dynamical system: stable by construction, of unit size, its priors its user's to change."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from numpyro import handlers

import nlbprob as nlb
from nlbprob.blocks.base import Context
from nlbprob.data.trials import Trials


@pytest.fixture(scope="module")
def trials():
    """Six trials of 12 bins, the last one seen for six bins alone."""
    counts = np.random.default_rng(0).poisson(1.0, (6, 12, 5))
    seen = np.ones(counts.shape, bool)
    seen[-1, 6:] = False
    return Trials.from_arrays(np.where(seen, counts, 0), 20.0, seen=seen)


def drawn(block, trials, key=0, **values):
    """The block's chain at a draw from its priors, in float64, and its sites."""
    with jax.enable_x64(True):
        given = {name: jnp.asarray(value) for name, value in values.items()}
        with handlers.trace() as sites, handlers.seed(rng_seed=key), handlers.substitute(data=given):
            chain = jax.tree.map(np.asarray, block.prior(Context.of(trials)).chain)
    return chain, sites


@pytest.mark.parametrize("key", range(5))
@pytest.mark.parametrize("dim", [1, 4])
def test_latents_are_stable_and_of_unit_second_moment_over_the_bins_of_trials(trials, dim, key):
    chain, _ = drawn(nlb.LDS(dim), trials, key)
    assert np.abs(np.linalg.eigvals(chain.transition)).max() < 1
    weights = np.r_[np.full(6, 6.0), np.full(6, 5.0)]
    mean, covariance, total = chain.initial_mean, chain.initial_covariance, np.zeros((dim, dim))
    for weight in weights / weights.sum():
        total += weight * (covariance + np.outer(mean, mean))
        mean = chain.transition @ mean + chain.offset
        covariance = chain.transition @ covariance @ chain.transition.T + chain.noise
    np.testing.assert_allclose(total, np.eye(dim), atol=2e-5)


def test_decay_and_rotation_are_the_eigenvalues_in_ms_and_hz(trials):
    frequency, decay = 1.5, 300.0
    entry = 2 * math.tan(math.pi * frequency * 0.02) / (2 * math.pi * 0.02)
    values = {"lds.decay_ms": np.full(2, decay), "lds.rotation_hz": np.array([entry])}
    chain, _ = drawn(nlb.LDS(2), trials, **values)
    eigenvalue = np.linalg.eigvals(chain.transition)[0]
    assert -20.0 / math.log(abs(eigenvalue)) == pytest.approx(decay, rel=1e-5)
    assert abs(np.angle(eigenvalue)) / (2 * math.pi * 0.02) == pytest.approx(frequency, rel=1e-5)


def test_sites_carry_the_blocks_name_and_the_names_of_their_dimensions(trials):
    _, sites = drawn(nlb.LDS(3, name="slow"), trials)
    assert {name: tuple(site["infer"]["event_dims"]) for name, site in sites.items()} == {
        "slow.decay_ms": ("latent",),
        "slow.rotation_hz": ("pair",),
        "slow.initial_mean": ("latent",),
        "slow.initial_covariance": ("latent", "latent_2"),
    }


def test_a_prior_is_overridden_by_name_and_spread_over_its_entries(trials):
    block = nlb.LDS(3, priors={"decay_ms": dist.Uniform(40.0, 41.0), "initial_mean": dist.Normal(np.arange(3.0), 1e-3)})
    _, sites = drawn(block, trials)
    decay = np.asarray(sites["lds.decay_ms"]["value"])
    assert decay.shape == (3,)
    assert np.all((decay > 40) & (decay < 41))
    np.testing.assert_allclose(sites["lds.initial_mean"]["value"], np.arange(3.0), atol=0.01)


def test_priors_that_do_not_fit_are_named(trials):
    with pytest.raises(nlb.InputError, match="LDS.*no parameter 'decay'.*Did you mean 'decay_ms'"):
        nlb.LDS(3, priors={"decay": dist.LogNormal(5.0, 1.0)})
    with pytest.raises(nlb.InputError, match="'decay_ms'.*'lds'.*shape"):
        drawn(nlb.LDS(3, priors={"decay_ms": dist.LogNormal(np.zeros(2), 1.0)}), trials)


@pytest.mark.parametrize("dim", [0, -1, 2.5, True, "4"])
def test_a_number_of_latents_that_is_none_is_named(dim):
    # Where shapes and types are checked, as in these tests, beartype may come first; users meet InputError.
    with pytest.raises(Exception, match="dim"):
        nlb.LDS(dim)


def test_the_number_of_latents_is_not_known_before_a_recording_is():
    with pytest.raises(nlb.InputError, match="depends on the recording"):
        nlb.Model(latents=[nlb.LDS()]).dim  # noqa: B018
