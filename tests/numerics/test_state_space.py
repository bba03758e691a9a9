"""State-space forms of kernels against matrix exponentials, closed forms and finite differences."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import linalg, special

from nlbprob.numerics.state_space import MATERN, StateSpace, matern, periodic, product, weighted_sum

CLOSE = {"rtol": 1e-9, "atol": 1e-12}
LAGS = np.arange(30)


@pytest.fixture(autouse=True)
def float64():
    """Forms have the width of their hyper-parameters."""
    with jax.enable_x64(True):
        yield


def numbers(form):
    """A form as NumPy arrays."""
    return StateSpace(*map(np.asarray, form))


def kernel(form):
    """h'A^k P h at every lag k."""
    state, found = form.stationary, []
    for _ in LAGS:
        found.append(form.emission @ state @ form.emission)
        state = form.transition @ state
    return np.array(found)


def matern_kernel(order, timescale):
    """The Matern kernel by its Bessel function, which is one at lag zero."""
    nu = order - 0.5
    u = np.sqrt(2 * nu) * LAGS[1:] / timescale
    return np.concatenate([[1.0], 2 ** (1 - nu) / special.gamma(nu) * u**nu * special.kv(nu, u)])


def check_stationary(form):
    """P = A P A' + Q."""
    moved = form.transition @ form.stationary @ form.transition.T + form.noise
    np.testing.assert_allclose(moved, form.stationary, **CLOSE)


def by_exponential(order, step):
    """Transition and step noise of the stochastic differential equation, from one matrix exponential (Van Loan)."""
    drift = np.eye(order, k=1)
    drift[-1] -= [special.comb(order, k) for k in range(order)]
    shocks = np.zeros((order, order))
    shocks[-1, -1] = MATERN[order][1]
    whole = linalg.expm(step * np.block([[-drift, shocks], [np.zeros_like(drift), drift.T]]))
    transition = whole[order:, order:].T
    return transition, transition @ whole[:order, order:]


@pytest.mark.parametrize("order", [1, 2, 3])
def test_matern_is_its_differential_equation_seen_at_the_bins(order):
    make = jax.jit(functools.partial(matern, order))
    for timescale in (0.5, 3.0, 40.0):
        form = numbers(make(timescale))
        transition, noise = by_exponential(order, np.sqrt(2 * order - 1) / timescale)
        np.testing.assert_allclose(form.transition, transition, **CLOSE)
        np.testing.assert_allclose(form.noise, noise, **CLOSE)
        np.testing.assert_allclose(kernel(form), matern_kernel(order, timescale), **CLOSE)
        check_stationary(form)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_noise_of_bins_much_shorter_than_the_timescale_keeps_its_digits_in_float32(order):
    timescale = 3000.0
    make = jax.jit(functools.partial(matern, order))
    found = make(jnp.float32(timescale)).noise
    step = np.sqrt(2 * order - 1) / timescale
    powers = order - 1 - np.arange(order)  # Q_ij ~ q u^(a + b + 1) / (a! b! (a + b + 1)) for small u
    total = powers + powers[:, None] + 1
    factorials = special.factorial(powers)
    expected = MATERN[order][1] * step**total / (factorials * factorials[:, None] * total)
    np.testing.assert_allclose(found, expected, rtol=6 * step)
    np.testing.assert_allclose(found, make(timescale).noise, rtol=2e-6)


def test_periodic_is_its_kernel():
    make = jax.jit(lambda period, smoothness: periodic(period, smoothness, 40))
    for smoothness in (0.3, 1.0, 5.0):
        form = numbers(make(7.3, smoothness))
        expected = np.exp(-2 * np.sin(np.pi * LAGS / 7.3) ** 2 / smoothness**2)
        np.testing.assert_allclose(kernel(form), expected, **CLOSE)
        assert np.all(form.noise == 0)
        check_stationary(form)


def test_fewer_harmonics_are_the_first_of_the_series_scaled_to_unit_variance():
    form = numbers(jax.jit(lambda x: periodic(5.0, x, 2))(0.5))
    weights = special.ive([0, 1, 2], 4.0) * [1, 2, 2]
    waves = np.cos(2 * np.pi * LAGS[:, None] * np.arange(3) / 5.0)
    np.testing.assert_allclose(kernel(form), waves @ weights / weights.sum(), **CLOSE)


def test_sums_and_products_of_kernels():
    parts = jax.jit(lambda x: [matern(2, 8 * x), periodic(6.0, x, 3), matern(1, 20 * x)])(1.0)
    one, two, three = map(kernel, map(numbers, parts))
    total = numbers(jax.jit(weighted_sum)(parts, jnp.array([0.2, 0.5, 0.3])))
    np.testing.assert_allclose(kernel(total), 0.2 * one + 0.5 * two + 0.3 * three, **CLOSE)
    together = numbers(jax.jit(lambda one, two, three: product(one, product(two, three)))(*parts))
    np.testing.assert_allclose(kernel(together), one * two * three, **CLOSE)
    for form in (total, together):
        check_stationary(form)
        assert np.linalg.eigvalsh(form.noise).min() > -1e-12


@pytest.mark.parametrize("name", ["matern", "periodic"])
def test_derivatives_in_the_hyper_parameters_match_finite_differences(name):
    make = {"matern": lambda x: matern(3, x), "periodic": lambda x: periodic(2 * x, x, 4)}[name]

    @jax.jit
    def flat(x):
        """All numbers of the form."""
        return jnp.concatenate([array.ravel() for array in make(x)])

    found, step = jax.jit(jax.jacfwd(flat))(1.7), 1e-5
    change = (flat(1.7 + step) - flat(1.7 - step)) / (2 * step)
    np.testing.assert_allclose(found, change, rtol=1e-6, atol=1e-8)
