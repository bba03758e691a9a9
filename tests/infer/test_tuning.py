"""Task variables and latents; and latents along orthonormal directions."""

import numpy as np
import pytest
from scipy import stats

import nlbprob as nlb
from nlbprob.posterior.tuning import design, explained
from tests.infer.known import posterior_at

MODEL = nlb.Model(latents=[nlb.LDS(2, initial="condition")])
TRIALS, NEURONS = 40, 12


@pytest.fixture(scope="module")
def made():
    """Trials start where their side says; the other columns say nothing, or nothing new."""
    random = np.random.default_rng(0)
    side = np.where(np.arange(TRIALS) % 2, "left", "right")
    design = nlb.simulate(nlb.Model(latents=[nlb.LDS(2)]), TRIALS, neurons=NEURONS, bins=12, bin_ms=20, seed=0).trials
    columns = {"side": side, "noise": random.standard_normal(TRIALS), "block": np.repeat([0, 1], TRIALS // 2)}
    design = design.replace(table=design.table | columns, condition=("side",))
    values = {"loadings": 0.8 * random.standard_normal((NEURONS, 2)), "baseline": np.full(NEURONS, np.log(0.5))}
    return nlb.simulate(MODEL, design, seed=1, values=values)


@pytest.fixture(scope="module")
def posterior(made):
    return posterior_at(made, MODEL)


@pytest.fixture(scope="module")
def found(posterior, made):
    return posterior.tuning(made.trials, ["side", "noise", "block"], permutations=200)


def test_the_fraction_is_that_of_an_analysis_of_variance(posterior, made, found):
    latents = posterior.latents(made.trials)["mean"].values.astype(float)
    groups = [latents[made.trials.table["side"] == side] for side in ("left", "right")]
    total = ((latents - latents.mean(0)) ** 2).sum(0)
    between = sum(len(group) * (group.mean(0) - latents.mean(0)) ** 2 for group in groups)
    np.testing.assert_allclose(found["fraction"].sel(variable="side"), between.sum(0) / total.sum(0), rtol=1e-6)
    by_time = found["fraction_by_time"].sel(variable="side").values
    np.testing.assert_allclose(by_time.T, between / total, rtol=1e-6)
    f = stats.f_oneway(*(group[:, 0, 0] for group in groups)).statistic
    fraction = by_time[0, 0]
    assert f == pytest.approx(fraction / (1 - fraction) * (TRIALS - 2), rel=1e-6)


def test_p_tells_the_variable_that_matters_from_the_others(found):
    assert found["p"].sel(variable="side").min() == pytest.approx(1 / 201)
    assert (found["p"].sel(variable=["noise", "block"]) > 0.01).all()
    chance = found["chance"].sel(variable="noise").values
    np.testing.assert_allclose(chance, 1 / (TRIALS - 1), rtol=0.35)
    assert (found["fraction"].sel(variable="side").max() > 3 * found["chance"].sel(variable="side").max()).item()


def test_numbers_are_regressed_on_linearly():
    random = np.random.default_rng(0)
    x = random.standard_normal(30)
    latents = random.standard_normal((30, 4, 1)) + x[:, None, None]
    inside = np.ones((30, 4), bool)
    _, by_time = explained(latents, inside, design("x", x))
    expected = [stats.pearsonr(x, latents[:, time, 0]).statistic ** 2 for time in range(4)]
    np.testing.assert_allclose(by_time[0], expected)
    inside[:28, 3], missing = False, np.where(np.arange(30) < 5, np.nan, x)
    _, by_time = explained(latents, inside, design("x", missing))
    assert np.isnan(by_time[0, 3])
    assert by_time[0, 0] == pytest.approx(stats.pearsonr(x[5:], latents[5:, 0, 0]).statistic ** 2)


def test_columns_of_no_use_are_told(posterior, made):
    with pytest.raises(nlb.InputError, match="no trials column 'sied'.*side"):
        posterior.tuning(made.trials, "sied")
    constant = made.trials.replace(table=made.trials.table | {"one": np.ones(TRIALS)})
    with pytest.raises(nlb.InputError, match="column 'one' has the same value in all trials"):
        posterior.tuning(constant, "one")
    named = made.trials.replace(table=made.trials.table | {"name": np.array([f"t{n}" for n in range(TRIALS)])})
    with pytest.raises(nlb.InputError, match="column 'name' has 40 different values in 40 trials"):
        posterior.tuning(named, "name")
    with pytest.raises(nlb.InputError, match="the trials have no condition; name columns"):
        posterior.tuning(made.trials.replace(condition=()))


def test_orthonormal_latents_keep_the_predictors(posterior, made):
    found, latents = posterior.orthonormal_latents(made.trials), posterior.latents(made.trials)
    loadings = posterior.parameter_mean["loadings"]
    directions = found["directions"].values
    np.testing.assert_allclose(directions.T @ directions, np.eye(2), atol=1e-5)
    np.testing.assert_allclose(found["mean"].values @ directions.T, latents["mean"].values @ loadings.T, atol=1e-4)
    wide = np.einsum("ni,btij,nj->btn", directions, found["covariance"].values, directions)
    expected = np.einsum("ni,btij,nj->btn", loadings, latents["covariance"].values, loadings)
    np.testing.assert_allclose(wide, expected, atol=1e-4)
    assert 1 < float(found["used"]) < 2
    assert found["variance"].values[0] > found["variance"].values[1]
    assert float(found["variance"].sum()) == pytest.approx(1)
