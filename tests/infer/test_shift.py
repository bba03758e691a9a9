"""The shift of all latents, which baselines undo, against dense algebra and against plain EM."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nlbprob as nlb
from nlbprob.blocks.base import Context
from nlbprob.infer.em import shift, updates
from nlbprob.infer.em.steps import EM, e_step
from nlbprob.infer.parameters.sites import parameters_at
from nlbprob.infer.runtime.batch import chunks
from nlbprob.infer.start.initial import initial_guess, site_values
from nlbprob.model import Parameters
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
        found = jax.jit(shift.statistics)(given, local, ones)
    slope, information = by_algebra(case, given)
    np.testing.assert_allclose(
        found.information, information, rtol=tolerance, atol=tolerance * np.abs(information).max()
    )
    np.testing.assert_allclose(found.slope, slope, rtol=tolerance, atol=tolerance * np.abs(slope).max() * 10)


def test_with_templates_the_slope_is_that_of_the_expected_log_likelihood(recording, double):
    """d/db of E_q[log p(y | x + b)], summed over the neurons' own slopes."""
    model = nlb.Model(latents=[nlb.Templates(2, dim=2), nlb.LDS(1)]).resolve(recording)
    context = Context.of(recording)
    em = EM(model, context)
    values = site_values(model, context, initial_guess(model, recording, 0))
    ((_, batch),) = chunks(model, context, recording, recording.n_trials)
    state = em.init(values, [batch], recording.n_trials)
    chunk = e_step(em, values, batch, state.rows[0], 8, True, True)
    theta = parameters_at(model, context, values)
    assert np.ptp(theta.mixture.trajectories) > 0.1
    _, slope, *_ = updates.readout_terms(model, theta, batch, chunk.moments, chunk.responsibility)
    expected = np.asarray(slope).sum((0, 1)) @ np.asarray(theta.loadings)
    np.testing.assert_allclose(chunk.shift.slope, expected, rtol=1e-6, atol=1e-6 * np.abs(slope).sum())


def test_a_step_leads_to_the_best_shift_of_gaussian_counts(double):
    case = problem(nlb.Gaussian())
    given = case.given()
    slope, information = map(jnp.asarray, by_algebra(case, given))
    loadings = given.loadings
    statistics = shift.ShiftStatistics(1e-3 * slope, information)
    baseline, zero = given.offset, jnp.zeros(len(given.offset))
    step = shift.step(statistics, baseline, loadings, zero, zero)
    np.testing.assert_allclose(information @ step, 1e-3 * slope, rtol=1e-3)


def test_what_a_step_of_the_readout_holds_of_a_shift_is_found():
    rng = np.random.default_rng(0)
    loadings, by = jnp.asarray(rng.standard_normal((20, 3))), jnp.asarray([0.3, -0.1, 0.2])
    before = Parameters((), loadings, jnp.zeros(20), {})
    mean, weight = rng.standard_normal((20, 3)), rng.uniform(1.0, 3.0, 20)
    design = np.concatenate([np.ones((20, 1)), mean], 1)
    curvature = jnp.asarray(weight[:, None, None] * (design[:, :, None] * design[:, None, :]))
    turned = jnp.asarray(0.1 * rng.standard_normal((20, 3)))  # its mean effect on the predictors is taken back
    baseline = loadings @ by - jnp.sum(turned * mean, 1)
    after = before._replace(baseline=baseline, loadings=loadings + turned)
    np.testing.assert_allclose(shift.within(before, after, curvature), by, rtol=1e-3)
    still = shift.within(before, after, curvature, [slice(0, 1)])
    assert still[0] == 0
