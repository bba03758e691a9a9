"""The shift of all latents, which baselines undo, against dense algebra and against plain EM."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nlbprob as nlb
from nlbprob.infer.em import shift
from tests.infer.conftest import problem
from tests.infer.test_local import seen_design
from tests.numerics import oracles


def by_algebra(case, given):
    """Slope and information of the log marginal likelihood of Gaussian counts in b."""
    slope, information = 0.0, 0.0
    for trial in range(case.trials.n_trials):
        mean, covariance = oracles.joint(given.chains[0], case.trials.n_bins)
        design, offset, counts, neurons = seen_design(given, case.trials, trial)
        noise = np.diag(case.values["noise_scale"][neurons] ** 2)
        total = design @ covariance @ design.T + noise
        loadings = np.asarray(given.loadings, float)[neurons]
        slope = slope + loadings.T @ np.linalg.solve(total, counts - design @ mean - offset)
        information = information + loadings.T @ np.linalg.solve(total, loadings)
    return slope, information


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-8), ("float32", 2e-3)])
def test_slope_and_information_of_a_shift_are_those_of_the_marginal_likelihood(dtype, tolerance):
    case = problem(nlb.Gaussian())
    with jax.enable_x64(dtype == "float64"):
        given, local = case.given(), case.converged(4)
        ones = jnp.ones(len(local.elbo))
        moments = local.smoothed.mean, local.smoothed.covariance
        found = jax.jit(shift.statistics, static_argnums=0)(
            case.model, given, case.batch(), local.sites, local.held, moments, ones
        )
    slope, information = by_algebra(case, given)
    np.testing.assert_allclose(
        found.information, information, rtol=tolerance, atol=tolerance * np.abs(information).max()
    )
    np.testing.assert_allclose(found.slope, slope, rtol=tolerance, atol=tolerance * np.abs(slope).max() * 10)


def test_a_step_leads_to_the_best_shift_of_gaussian_counts(double):
    case = problem(nlb.Gaussian())
    given = case.given()
    slope, information = map(jnp.asarray, by_algebra(case, given))
    loadings = given.loadings
    statistics = shift.ShiftStatistics(1e-3 * slope, information)
    baseline, zero = given.offset, jnp.zeros(len(given.offset))
    step = shift.step(statistics, baseline, loadings, zero, zero)
    np.testing.assert_allclose(information @ step, 1e-3 * slope, rtol=1e-3)
