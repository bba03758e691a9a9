"""The structured posterior and its bound against exact answers."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import pytest
from numpyro.infer import Trace_ELBO
from scipy import stats

import nlbprob as nlb
from nlbprob.blocks.markov import LinearGaussianMarkov
from nlbprob.infer.trajectories import cvi, likelihood
from nlbprob.numerics import kalman
from tests.infer.conftest import problem
from tests.numerics import oracles


def seen_design(given, trials, trial):
    """Stacked loadings, offsets and counts of the seen entries of one trial."""
    bins, neurons = np.nonzero(trials.seen[trial])
    loadings, baseline = np.asarray(given.loadings, float), np.asarray(given.offset, float)
    state = loadings.shape[1]
    design = np.zeros((len(bins), trials.n_bins * state))
    for row, (t, n) in enumerate(zip(bins, neurons, strict=True)):
        design[row, t * state : (t + 1) * state] = loadings[n]
    return design, baseline[neurons], trials.counts[trial, bins, neurons].astype(float), neurons


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-6), ("float32", 1e-4)])
def test_with_gaussian_observations_the_bound_is_the_log_marginal_likelihood(dtype, tolerance):
    case = problem(nlb.Gaussian())
    with jax.enable_x64(dtype == "float64"):
        elbo = case.converged(4).elbo
        given = case.given()
    for trial in range(case.trials.n_trials):
        mean, covariance = oracles.joint(given.chains[0], case.trials.n_bins)
        design, offset, counts, neurons = seen_design(given, case.trials, trial)
        noise = np.diag(case.values["noise_scale"][neurons] ** 2)
        exact = stats.multivariate_normal(design @ mean + offset, design @ covariance @ design.T + noise)
        assert float(elbo[trial]) == pytest.approx(exact.logpdf(counts), rel=tolerance)


@pytest.mark.parametrize("link", ["exp", "softplus"])
def test_with_poisson_counts_the_bound_is_below_the_evidence_and_close(double, link):
    case = problem(nlb.Poisson(link), dim=1, trials=3, bins=2, neurons=3)
    given, elbo = case.given(), case.converged().elbo
    grid = np.linspace(-8, 8, 801)
    x = np.stack(np.meshgrid(grid, grid, indexing="ij"), -1).reshape(-1, 2)
    prior = stats.multivariate_normal(*oracles.joint(given.chains[0], 2)).logpdf(x)
    for trial in range(3):
        design, offset, counts, _ = seen_design(given, case.trials, trial)
        predictor = x @ design.T + offset
        rate = np.exp(predictor) if link == "exp" else np.log1p(np.exp(predictor))
        log_joint = prior + stats.poisson.logpmf(counts, rate).sum(1)
        evidence = np.logaddexp.reduce(log_joint) + 2 * np.log(grid[1] - grid[0])
        assert elbo[trial] < evidence
        assert float(elbo[trial]) == pytest.approx(evidence, abs=0.05)


def test_the_bound_rises_at_every_step(double):
    bounds = problem().bounds(12)
    assert np.all(np.diff(bounds, axis=0) >= -1e-9)
    assert np.all(bounds[-1] > bounds[0])


def optimised_bound(case, values):
    """The bound of all trials with sites converged at given parameters."""
    return dataclasses.replace(case, values=values).converged(200).elbo.sum()


@pytest.mark.parametrize("name", ["loadings", "baseline", "lds.decay_ms", "lds.rotation_hz", "lds.initial_mean"])
def test_gradient_of_the_bound_matches_finite_differences_of_the_optimised_bound(double, name):
    case = problem()
    value = np.asarray(case.values[name])
    direction = np.random.default_rng(0).standard_normal(value.shape) * np.maximum(np.abs(value), 0.1)
    slope = (case.slopes(case.converged(200))[name] * direction).sum()
    step = 1e-4
    ahead, behind = (optimised_bound(case, case.values | {name: value + s * direction}) for s in (step, -step))
    assert float(slope) == pytest.approx(float(ahead - behind) / (2 * step), rel=1e-4)


def test_numpyros_trace_elbo_agrees_within_its_monte_carlo_error(double):
    case = problem(trials=3)
    local = case.converged()
    fixed = {name: jnp.asarray(value) for name, value in case.values.items()}

    def guide(trials):
        with numpyro.plate("trial", trials.n_trials, dim=-1):
            numpyro.sample("lds", LinearGaussianMarkov.from_smoothed(local.smoothed))

    model = numpyro.handlers.block(
        numpyro.handlers.substitute(case.model, data=fixed), hide_fn=lambda site: site["name"] in fixed
    )

    @jax.jit
    @jax.vmap
    def losses_of(key):
        return Trace_ELBO().loss(key, {}, model, guide, case.trials)

    losses = losses_of(jax.random.split(jax.random.key(0), 4000))
    error = float(losses.std()) / np.sqrt(len(losses))
    assert -float(losses.mean()) == pytest.approx(float(local.elbo.sum()), abs=4 * error)
    assert error < 0.05


def test_an_entry_that_is_not_seen_changes_nothing():
    case = problem()
    counts = np.where(case.trials.seen, case.trials.counts, 200).astype(np.uint8)
    other = dataclasses.replace(case, trials=case.trials.replace(counts=counts))
    np.testing.assert_array_equal(case.converged().elbo, other.converged().elbo)


def test_trials_do_not_touch_each_other(double):
    case, order = problem(), np.array([3, 0, 4, 2, 1])
    other = dataclasses.replace(case, trials=case.trials.select(trials=order))
    np.testing.assert_allclose(case.converged().elbo[order], other.converged().elbo, rtol=1e-12)
    alone = dataclasses.replace(case, trials=case.trials.select(trials=[2]))
    np.testing.assert_allclose(case.converged().elbo[2:3], alone.converged().elbo, rtol=1e-12)


def test_permuting_neurons_leaves_the_bound(double):
    case, order = problem(), np.array([5, 2, 0, 1, 4, 3])
    values = case.values | {name: case.values[name][order] for name in ("loadings", "baseline")}
    other = dataclasses.replace(case, trials=case.trials.select(neurons=order), values=values)
    np.testing.assert_allclose(case.converged().elbo, other.converged().elbo, rtol=1e-10)


def test_an_undamped_start_from_the_prior_does_not_explode():
    case = problem(neurons=6)
    values = case.values | {"loadings": 3.0 * case.values["loadings"]}
    counts = case.trials.counts.astype(np.uint16) * 40
    extreme = dataclasses.replace(case, trials=case.trials.replace(counts=counts), values=values)
    local = extreme.converged(100)
    assert np.isfinite(local.elbo).all()
    with jax.enable_x64(True):
        np.testing.assert_allclose(local.elbo, extreme.converged(200).elbo, rtol=1e-3)


@pytest.mark.parametrize(("width", "baseline"), [(1.0, 0.3), (400.0, 0.3), (1.0, -6.0)])
def test_inference_from_nothing_known_finds_the_optimum_also_where_the_prior_is_wide(double, width, baseline):
    """Under a prior that allows rates beyond all bounds the way from the prior leads nowhere.

    From rates that are far too low a whole step would lead as far beyond.
    """
    case = problem()
    values = dict(case.device_values())
    values["lds.initial_covariance"] = width * jnp.eye(2)
    values["baseline"] = jnp.full(6, baseline)
    given = case.programs.find(values, case.batch())
    first = cvi.first_sites(given, case.model.observation, case.batch())
    found = case.programs.solve(given, case.batch(), first, 60)
    near = case.programs.solve(case.given(), case.batch(), case.sites(), 60)  # where it is not wide
    best = case.programs.solve(given, case.batch(), near.sites, 60)
    np.testing.assert_allclose(found.elbo, best.elbo, rtol=1e-6)
    assert bool(jnp.all(found.converged))


def test_uncertain_loadings_give_the_moments_of_a_product_of_normals(double):
    case = problem()
    random = np.random.default_rng(0)
    root = 0.2 * random.standard_normal((6, 3, 3))
    spread = np.einsum("nij,nkj->nik", root, root)
    given = case.given()._replace(uncertainty=jnp.asarray(spread))
    mean, covariance = np.array([0.4, -0.7]), np.array([[0.5, 0.1], [0.1, 0.3]])
    location, variance = likelihood.predictor(given, jnp.asarray(mean[None]), jnp.asarray(covariance[None]))
    x = random.multivariate_normal(mean, covariance, 200_000)
    for neuron in range(2):
        centre = np.concatenate([given.offset[neuron][None], given.loadings[neuron]])
        drawn = random.multivariate_normal(centre, spread[neuron], 200_000)
        eta = drawn[:, 0] + (drawn[:, 1:] * x).sum(1)
        assert float(location[0, neuron]) == pytest.approx(eta.mean(), abs=0.02)
        assert float(variance[0, neuron]) == pytest.approx(eta.var(), rel=0.02)


def test_the_sites_are_the_gradient_of_the_expected_likelihood(double):
    """h and J are the natural-gradient sites: J = -2 df/dP and h = df/dm + J m, uncertain loadings included."""
    case = problem(trials=2)
    root = 0.2 * np.random.default_rng(0).standard_normal((6, 3, 3))
    uncertain = case.given()._replace(uncertainty=jnp.asarray(np.einsum("nij,nkj->nik", root, root)))
    smoothed = case.converged().smoothed

    @jax.jit
    @functools.partial(jax.grad, argnums=(0, 1), has_aux=True)
    def slopes_and_sites(mean, covariance, given):
        value, sites = likelihood.expected_log_likelihood(given, nlb.Poisson(), case.batch(), mean, covariance)
        return value.sum(), sites

    for given in (case.given(), uncertain):
        (in_mean, in_covariance), sites = slopes_and_sites(smoothed.mean, smoothed.covariance, given)
        np.testing.assert_allclose(sites.precision, -2 * in_covariance, atol=1e-9)
        pulled = np.einsum("btij,btj->bti", sites.precision, smoothed.mean)
        np.testing.assert_allclose(sites.linear, in_mean + pulled, atol=1e-9)
    # Far out, where parameters say nothing, their uncertainty counts up to a limit, and its slope is zero.
    far = 40.0 * smoothed.mean
    added = likelihood.added_variance(uncertain, far, smoothed.covariance.reshape(*far.shape[:2], -1))
    assert 0.1 < np.mean(np.asarray(added) > likelihood.LARGEST_VARIANCE) < 1.0
    _, variance = likelihood.predictor(uncertain, far, smoothed.covariance)
    _, certain = likelihood.predictor(case.given(), far, smoothed.covariance)
    assert np.max(variance - certain) <= likelihood.LARGEST_VARIANCE + 1e-9
    near_zero = uncertain._replace(loadings=0.01 * uncertain.loadings)
    (in_mean, in_covariance), sites = slopes_and_sites(far, smoothed.covariance, near_zero)
    np.testing.assert_allclose(sites.precision, -2 * in_covariance, atol=1e-7)
    pulled = np.einsum("btij,btj->bti", sites.precision, far)
    np.testing.assert_allclose(sites.linear, in_mean + pulled, atol=1e-6)


def test_filter_kinds_give_one_bound(double):
    case = problem()
    given, sites = case.given(), case.converged().sites

    @functools.partial(jax.jit, static_argnums=0)
    def smoothed(parallel, chain):
        return kalman.smooth(chain, sites, kalman.filter(chain, sites, parallel), parallel)

    both = [smoothed(parallel, given.chains[0]) for parallel in (False, True)]
    np.testing.assert_allclose(both[0].divergence, both[1].divergence, rtol=1e-9)
