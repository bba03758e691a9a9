"""Gaussian processes in state-space form against the kernels that they stand for."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from numpyro import handlers

import nlbprob as nlb
from nlbprob.blocks.base import Context

BIN_MS = 5.0
CONTEXT = Context(BIN_MS, np.full(40, 1 / 40), 6)
#: Everything from 20 ms to a second, as a chain of one latent each.
SCALES = (20.0, 100.0, 1000.0)


def matern(order, lengthscale):
    def kernel(lag):
        u = np.sqrt(2 * order - 1) * np.abs(lag) / lengthscale
        return {1: 1.0, 2: 1 + u, 3: 1 + u + u**2 / 3}[order] * np.exp(-u)

    return kernel


def periodic(period, smoothness):
    return lambda lag: np.exp(-2 * np.sin(np.pi * lag / period) ** 2 / smoothness**2)


def free(kernel, **values):
    """A GP of one latent, and its sites at the given values."""
    return nlb.GP(kernel, 1), {
        f"gp.{name}": np.atleast_2d(v) if name == "weight" else [v] for name, v in values.items()
    }


def cases():
    for scale in SCALES:
        for order, kind in enumerate((nlb.Matern12, nlb.Matern32, nlb.Matern52), 1):
            yield f"{kind.__name__} {scale:g}", (*free(kind(), lengthscale_ms=scale), matern(order, scale))
    yield "Periodic", (*free(nlb.Periodic(), period_ms=120.0, smoothness=1.5), periodic(120, 1.5))
    sharp = nlb.Periodic(harmonics=20)
    yield "Periodic, sharp", (*free(sharp, period_ms=300.0, smoothness=0.6), periodic(300, 0.6))
    turning = free(nlb.QuasiPeriodic(), period_ms=150.0, smoothness=1.5, lengthscale_ms=400.0)
    yield "QuasiPeriodic", (*turning, lambda lag: periodic(150, 1.5)(lag) * matern(2, 400)(lag))
    both = free(
        nlb.Matern52() + nlb.Matern12() + nlb.Periodic(period_ms=100.0, smoothness=2.0),
        lengthscale_ms_1=500.0,
        lengthscale_ms_2=30.0,
        weight=[0.5, 0.2, 0.3],
    )
    yield (
        "sum",
        (*both, lambda lag: 0.5 * matern(3, 500)(lag) + 0.2 * matern(1, 30)(lag) + 0.3 * periodic(100, 2)(lag)),
    )
    times = free(nlb.Matern32() * nlb.Matern52(), lengthscale_ms_1=50.0, lengthscale_ms_2=700.0)
    yield "product", (*times, lambda lag: matern(2, 50)(lag) * matern(3, 700)(lag))
    mixed = free(
        (nlb.Matern12() + nlb.Matern32()) * nlb.Matern52(),
        lengthscale_ms_1=50.0,
        lengthscale_ms_2=200.0,
        weight=[0.25, 0.75],
        lengthscale_ms_3=300.0,
    )
    yield (
        "product of a sum",
        (*mixed, lambda lag: (0.25 * matern(1, 50)(lag) + 0.75 * matern(2, 200)(lag)) * matern(3, 300)(lag)),
    )


CASES = dict(cases())


def dynamics(block, values, wide, context=CONTEXT):
    """The block's dynamics at given values of its sites, in float64 or float32, as NumPy arrays."""
    with jax.enable_x64(wide):
        given = {name: jnp.asarray(value, jnp.result_type(float)) for name, value in values.items()}
        program = handlers.substitute(handlers.seed(block.prior, 0), data=given)
        return jax.tree.map(np.asarray, program(context))


def covariances(found, lags):
    """Cov(x_t, x_{t+k}) = H A^k P H' for k below `lags`."""
    h, state, covariance = found.emission, found.chain.initial_covariance, []
    for _ in range(lags):
        covariance.append((h @ state @ h.T)[0, 0])
        state = found.chain.transition @ state
    return np.array(covariance)


@pytest.mark.parametrize("name", CASES)
def test_the_chain_has_the_kernels_covariance_at_every_lag(name):
    block, values, kernel = CASES[name]
    found = dynamics(block, values, wide=True)
    # What a periodic kernel leaves out, its last harmonics, is the tolerance.
    np.testing.assert_allclose(covariances(found, 40), kernel(BIN_MS * np.arange(40)), rtol=1e-6, atol=1e-7)
    single = dynamics(block, values, wide=False)
    assert single.chain.noise.dtype == np.float32
    np.testing.assert_allclose(covariances(single, 40), kernel(BIN_MS * np.arange(40)), atol=3e-5)


@pytest.mark.parametrize("name", CASES)
def test_the_chain_is_stationary_and_its_noise_keeps_its_digits_in_float32(name):
    block, values, _ = CASES[name]
    chain, single = (dynamics(block, values, wide).chain for wide in (True, False))
    stationary = chain.transition @ chain.initial_covariance @ chain.transition.T + chain.noise
    np.testing.assert_allclose(stationary, chain.initial_covariance, atol=1e-12)
    size = np.sqrt(np.maximum(np.diag(chain.noise), 1e-300))
    np.testing.assert_allclose(single.noise / size / size[:, None], chain.noise / size / size[:, None], atol=1e-5)
    np.testing.assert_allclose(single.transition, chain.transition, atol=1e-6)


def test_latents_are_independent_each_with_its_own_timescale():
    found = dynamics(nlb.GP(nlb.Matern32(), 2), {"gp.lengthscale_ms": [30.0, 300.0]}, wide=True)
    assert found.emission.shape == (2, 4)
    state = found.chain.initial_covariance
    for lag in range(10):
        expected = np.diag([matern(2, scale)(BIN_MS * lag) for scale in (30.0, 300.0)])
        np.testing.assert_allclose(found.emission @ state @ found.emission.T, expected, atol=1e-12)
        state = found.chain.transition @ state


def test_names_and_shapes_of_sites():
    def sites(block):
        traced = handlers.trace(handlers.seed(block.prior, 0)).get_trace(CONTEXT)
        return {name: tuple(site["infer"]["event_dims"]) for name, site in traced.items()}

    kernel = nlb.Matern32() + nlb.QuasiPeriodic(period_ms=200.0)
    block = nlb.GP(kernel, 3, name="slow")
    assert sites(block) == {
        "slow.lengthscale_ms_1": ("latent",),
        "slow.smoothness": ("latent",),
        "slow.lengthscale_ms_2": ("latent",),
        "slow.weight": ("latent", "slow_part"),
    }
    assert block.n_states == 3 * (2 + 13 * 2)
    assert sites(nlb.GP(nlb.Matern12(lengthscale_ms=50.0), 2)) == {}
    assert dynamics(nlb.GP(nlb.Matern12(lengthscale_ms=50.0), 2), {}, wide=False).chain.transition.shape == (2, 2)
    assert len((nlb.Matern12() + nlb.Matern32() + nlb.Matern52()).parts) == 3


TRIALS = nlb.Trials.from_arrays(np.ones((2, 10, 3), int), BIN_MS)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nlb.GP(nlb.Matern32(lengthscale_ms=2.0), 1), "lengthscale_ms is 2 ms, below the 5 ms.*smaller bins"),
        (
            lambda: nlb.GP(nlb.Matern32(), 1, priors={"lengthscale_ms": dist.LogNormal(np.log(3.0), 0.1)}),
            "the prior of lengthscale_ms has its median at 3.0. ms, below the 5 ms",
        ),
        (lambda: nlb.GP(nlb.Periodic(period_ms=8.0), 1), "period_ms is 8 ms, below the 10 ms"),
    ],
)
def test_timescales_that_the_bins_cannot_show_are_named(make, message):
    with pytest.raises(nlb.InputError, match=message):
        nlb.Model(latents=[make()]).check(TRIALS)


def test_kernels_that_make_no_sense_are_named():
    with pytest.raises(nlb.InputError, match="dim=0.*at least 1"):
        nlb.GP(nlb.Matern32(), 0)
    with pytest.raises(nlb.InputError, match="lengthscale_ms=-3.0.*above zero"):
        nlb.QuasiPeriodic(lengthscale_ms=-3.0)
    with pytest.raises(nlb.InputError, match="harmonics=0"):
        nlb.Periodic(harmonics=0)
    with pytest.raises(nlb.InputError, match="no parameter 'lengthscale'.*Did you mean 'lengthscale_ms'"):
        nlb.GP(nlb.Matern32(), 1, priors={"lengthscale": dist.LogNormal(0.0, 1.0)})
