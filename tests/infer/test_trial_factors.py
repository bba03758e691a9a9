"""Trial factors against the dense Gaussian that they make, and found again in simulated trials."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import nlbprob as nlb
from nlbprob.blocks.base import Context
from nlbprob.infer.parameters import sites as parameters
from nlbprob.infer.runtime.batch import Batch
from nlbprob.infer.trajectories import marginals
from tests.conftest import EM_ALONE, holes

BINS, NEURONS, FACTORS, LATENTS = 25, 6, 2, 2
BLOCK = nlb.TrialFactors(FACTORS, LATENTS)


def values(random):
    """Sites of a model with these factors, far from zero."""
    basis = BLOCK.basis(Context(20.0, np.full(BINS, 1 / BINS), NEURONS)).shape[1]
    return {
        "factors.coefficients": random.standard_normal((FACTORS, basis, LATENTS)),
        "factors.mean": np.array([1.5, -0.5]),
        "loadings": 0.6 * random.standard_normal((NEURONS, LATENTS)),
        "baseline": np.full(NEURONS, 0.3),
    }


def test_factors_have_the_posterior_and_the_evidence_of_the_dense_gaussian(double):
    random = np.random.default_rng(0)
    sites = values(random) | {"noise_scale": np.linspace(0.5, 1.0, NEURONS)}
    model = nlb.Model(latents=[BLOCK], observation=nlb.Gaussian())
    counted = {name: sites[name] for name in sites if name != "noise_scale"}
    options = {"neurons": NEURONS, "bins": BINS, "bin_ms": 20.0, "seed": 1, "values": counted}
    trials = holes(nlb.simulate(nlb.Model(latents=[BLOCK]), 3, **options).trials)
    arrays = {name: jnp.asarray(value) for name, value in sites.items()}
    theta = parameters.parameters_at(model, Context.of(trials), arrays)
    batch = Batch(jnp.asarray(trials.counts), jnp.asarray(trials.seen), {})
    _, _, local = jax.jit(lambda theta, batch: marginals.infer(model, theta, batch))(theta, batch)
    design = np.einsum("nl,tlj->tnj", sites["loadings"], theta.dynamics[0].emission).reshape(-1, FACTORS)
    for trial in range(3):
        kept = trials.seen[trial].ravel()
        noise = np.diag(np.tile(sites["noise_scale"] ** 2, BINS)[kept])
        seen, mean = design[kept], sites["factors.mean"]
        covariance = seen @ seen.T + noise
        residual = (trials.counts[trial] - sites["baseline"]).ravel()[kept] - seen @ mean
        evidence = stats.multivariate_normal(np.zeros(len(residual)), covariance).logpdf(residual)
        assert float(local.elbo[trial]) == pytest.approx(evidence, rel=1e-9)
        gain = seen.T @ np.linalg.inv(covariance)
        np.testing.assert_allclose(local.smoothed.mean[trial, 0], mean + gain @ residual, atol=1e-6)
        np.testing.assert_allclose(local.smoothed.covariance[trial, -1], np.eye(FACTORS) - gain @ seen, atol=1e-6)


@pytest.fixture(scope="module")
def simulated():
    """80 trials that two numbers each determine."""
    model, sites = nlb.Model(latents=[BLOCK]), values(np.random.default_rng(3))
    return nlb.simulate(model, 80, neurons=NEURONS, bins=BINS, bin_ms=20.0, seed=2, values=sites)


@pytest.fixture(scope="module")
def found(simulated):
    return nlb.fit(
        nlb.Model(latents=[BLOCK]), simulated.trials.split("train"), seed=0, **EM_ALONE | {"em_iterations": 25}
    )


def test_every_iteration_raises_the_bound(found):
    assert np.all(np.diff(found.elbo) > -0.1)


def test_a_fit_finds_the_rates_of_trials_that_it_has_not_seen(simulated, found):
    val = simulated.trials.table["split"] == "val"
    rates = np.log(np.asarray(found.rates(simulated.trials.split("val"))))
    truth = np.log(simulated.rates[val])
    centred = [array - array.mean((0, 1)) for array in (rates, truth)]
    assert np.corrcoef(centred[0].ravel(), centred[1].ravel())[0, 1] > 0.95


def test_factors_make_up_the_latents(simulated, found):
    trials = simulated.trials.split("val")
    factors, latents = found.factors(trials), found.latents(trials)["mean"]
    made = np.einsum("rj,jtl->rtl", factors["factors"], factors["factors_trajectories"])
    np.testing.assert_allclose(made, latents, atol=2e-3)
    assert factors["factors_covariance"].dims == ("trial", "factors_factor", "factors_factor_2")
    assert np.all(np.linalg.eigvalsh(factors["factors_covariance"]) > 0)


def test_factors_of_a_model_without_any_are_refused(fitted, recording):
    with pytest.raises(nlb.InputError, match="factors: no block of the model is TrialFactors"):
        fitted.factors(recording)


def test_defaults_follow_the_recording(simulated):
    block = nlb.TrialFactors().resolve(simulated.trials)
    assert (block.factors, block.dim) == (80 // 12, 2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda trials: nlb.TrialFactors(0), r"TrialFactors\(factors=0\).*at least 1"),
        (lambda trials: nlb.TrialFactors(smoothness_ms=-1), r"smoothness_ms=-1.*above zero"),
        (lambda trials: nlb.TrialFactors(80, 2).check(trials), r"80 trials do not determine.*Lower factors"),
        (lambda trials: nlb.TrialFactors().n_states, r"depends on the recording.*TrialFactors\(factors\)"),
    ],
)
def test_what_cannot_be_meant_is_refused(simulated, make, message):
    with pytest.raises(nlb.InputError, match=message):
        make(simulated.trials)
