"""The evidence of single trials against exact answers, and K-fold over trials in ArviZ's form."""

import warnings

import arviz as az
import numpy as np
import pytest
from scipy import stats

import nlbprob as nlb
from nlbprob.posterior import evidence
from nlbprob.posterior.posterior import Posterior
from nlbprob.selection import kfold as folding
from tests.infer import test_switching
from tests.infer.conftest import Case, problem
from tests.infer.test_local import seen_design
from tests.numerics import oracles


def posterior_of(case: Case, precision="float64", **values) -> Posterior:
    """Point estimates at the case's parameters."""
    kind = np.dtype(precision)
    values = {name: np.asarray(value, kind) for name, value in (case.values | values).items()}
    history = {"stage": np.array(["em"]), "elbo": np.zeros(1), "iteration": np.ones(1), "seconds": np.zeros(1)}
    draws = {name: np.asarray(value)[None] for name, value in values.items()}
    config = {"posterior": "map", "seed": 0, "precision": precision}
    return Posterior(case.model, case.context, values, draws, case.trials.neurons["id"], history, config)


def dense(given, case, trial, shift=0.0):
    """log p(y) of a trial with normal observations by dense algebra; shift [time, latent] moves the latents."""
    mean, covariance = oracles.joint(given.chains[0], case.trials.n_bins)
    design, offset, counts, neurons = seen_design(given, case.trials, trial)
    noise = np.diag(case.values["noise_scale"][neurons] ** 2)
    moved = design @ (mean + np.ravel(shift)) + offset
    return stats.multivariate_normal(moved, design @ covariance @ design.T + noise).logpdf(counts)


@pytest.mark.parametrize(("precision", "tolerance"), [("float64", 1e-8), ("float32", 1e-4)])
def test_with_gaussian_observations_every_draw_weighs_the_exact_evidence(double, precision, tolerance):
    case = problem(nlb.Gaussian())
    found = evidence.log_evidence(posterior_of(case, precision), case.trials, draws=8, progress=False)
    exact = [dense(case.given(), case, trial) for trial in range(case.trials.n_trials)]
    np.testing.assert_allclose(found["log_evidence"], exact, rtol=tolerance)
    np.testing.assert_allclose(found["elbo"], exact, rtol=tolerance)
    np.testing.assert_allclose(found["effective_draws"], 8, rtol=100 * tolerance)
    np.testing.assert_array_equal(found["trial"], case.trials.table["id"])


def test_with_poisson_counts_it_is_the_integral_over_the_latents(double):
    case = problem(nlb.Poisson(), dim=1, trials=3, bins=2, neurons=3)
    found = evidence.log_evidence(posterior_of(case), case.trials, draws=2000, progress=False)
    grid = np.linspace(-8, 8, 801)
    x = np.stack(np.meshgrid(grid, grid, indexing="ij"), -1).reshape(-1, 2)
    prior = stats.multivariate_normal(*oracles.joint(case.given().chains[0], 2)).logpdf(x)
    for trial in range(3):
        design, offset, counts, _ = seen_design(case.given(), case.trials, trial)
        log_joint = prior + stats.poisson.logpmf(counts, np.exp(x @ design.T + offset)).sum(1)
        exact = np.logaddexp.reduce(log_joint) + 2 * np.log(grid[1] - grid[0])
        own = found.isel(trial=trial)
        assert float(own["error"]) < 0.01
        # Paths that are too unlikely to be drawn are not in the error.
        assert float(own["log_evidence"]) == pytest.approx(exact, abs=4 * float(own["error"]) + 0.01)
        assert float(own["elbo"]) < exact


def test_regimes_and_templates_are_summed_over(double):
    case = test_switching.case(bins=4)
    found = evidence.log_evidence(posterior_of(case), case.trials, draws=2000, progress=False)
    for trial in range(3):
        own = found.isel(trial=trial)
        exact = test_switching.log_evidence(case, trial)
        assert float(own["error"]) < 0.1
        # Paths that are too unlikely to be drawn are not in the error.
        assert float(own["log_evidence"]) == pytest.approx(exact, abs=4 * float(own["error"]) + 0.01)
        assert float(own["elbo"]) < exact

    case = problem(nlb.Gaussian())
    model = nlb.Model(latents=[nlb.Templates(2, on="lds"), nlb.LDS(2)], observation=nlb.Gaussian())
    basis = model.templates.basis(case.context)
    coefficients = np.random.default_rng(0).standard_normal((2, basis.shape[1], 2))
    values = case.values | {"templates.weights": np.array([0.3, 0.7]), "templates.coefficients": coefficients}
    mixture = Case(model, case.trials, values, case.context)
    found = evidence.log_evidence(posterior_of(mixture), case.trials, draws=8, progress=False)
    shifts = np.einsum("tj,kjl->ktl", basis, coefficients)
    for trial in range(case.trials.n_trials):
        each = [dense(case.given(), mixture, trial, shift) for shift in shifts]
        exact = np.logaddexp.reduce(np.log([0.3, 0.7]) + each)
        assert float(found["log_evidence"][trial]) == pytest.approx(exact, rel=1e-7)


def test_kfold_scores_each_trial_by_the_fit_that_has_not_seen_it(monkeypatch):
    case = problem(nlb.Gaussian(), trials=5)
    shown = []

    def fit(model, trials, *, seed, progress, posterior, svi_steps):
        """The true parameters, the baseline off by a number that tells which trials were fitted."""
        shown.append(list(trials.table["id"]))
        return posterior_of(case, baseline=case.values["baseline"] - 0.2 * len(shown))

    monkeypatch.setattr(
        folding,
        "fit_fold",
        lambda model, trials, learned, room, options: fit(model, trials.select(trials=learned), **options),
    )
    found = folding.kfold(case.model, case.trials, folds=2, seed=3, draws=12, progress=False)
    assert sorted(map(len, shown)) == [2, 3]
    assert set(shown[0]).isdisjoint(shown[1])
    fits = [posterior_of(case, baseline=case.values["baseline"] - 0.2 * k) for k in (1, 2)]
    alone = [evidence.log_evidence(one, case.trials, draws=12, progress=False)["log_evidence"] for one in fits]
    for place, trial in enumerate(case.trials.table["id"]):
        learned = int(trial in shown[1])
        assert float(found.elpd_i[place]) == pytest.approx(float(alone[1 - learned][place]), rel=1e-6)
        apart = alone[learned][place] - alone[1 - learned][place]
        assert float(found.p_kfold_i[place]) == pytest.approx(float(apart), rel=1e-4)
    assert found.elpd == pytest.approx(float(found.elpd_i.sum()))
    assert found.n_folds == 2
    assert not found.warning
    assert {"elbo", "error", "effective_draws", "fold"} <= set(found.elpd_i.coords)
    assert "2-fold cross validation" in str(found)

    worse = folding.kfold(case.model, case.trials, folds=2, seed=3, draws=12, progress=False)
    with warnings.catch_warnings(action="ignore"):  # five trials are few
        table = az.compare({"worse": worse, "better": found}, round_to="none")
    assert list(table.index) == ["better", "worse"]
    assert table["elpd_diff"].iloc[1] == pytest.approx(float((worse.elpd_i - found.elpd_i).sum()))


def test_folds_that_cannot_be_made_are_told(recording):
    with pytest.raises(nlb.InputError, match=r"kfold\(folds=1\): it must be a whole number, at least 2"):
        nlb.kfold(nlb.Model(latents=[nlb.LDS(2)]), recording, folds=1)
