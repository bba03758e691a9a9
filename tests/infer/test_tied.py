"""EM whose trials share the precision of their sites: a bound, on the way to the one without, in less time."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

import nlbprob as nlb
from nlbprob.infer.em.m_step import data_step, parameter_step
from nlbprob.infer.em.steps import e_step
from nlbprob.infer.fit import setup
from nlbprob.infer.fit.checkpoint import Checkpoints
from nlbprob.infer.fit.loop import steps
from nlbprob.infer.trajectories import cvi
from nlbprob.numerics import kalman
from nlbprob.numerics.gaussian import Sites, apply
from tests.infer.conftest import problem

MODEL = nlb.Model(latents=[nlb.LDS(3)])
MIXTURE = nlb.Model(latents=[nlb.Templates(3, dim=2), nlb.LDS(1)])


@pytest.fixture(scope="module")
def whole():
    """Trials in which everything is seen, in which tied sites can be used."""
    return problem(trials=7, dim=3).trials.replace(seen=np.ones((7, 9, 6), bool))


@pytest.fixture
def tied(monkeypatch):
    """EM starts with tied sites whatever the size of the data."""
    monkeypatch.setattr(setup, "TIED_WORK", 0)


@pytest.mark.parametrize("parallel", [False, True])
def test_a_smoother_of_tied_sites_is_that_of_the_same_sites_trial_by_trial(double, parallel):
    random = np.random.default_rng(0)
    chain = problem(dim=3).given().chains[0]
    root = jnp.asarray(random.standard_normal((1, 8, 3, 3)))
    sites = Sites(jnp.asarray(random.standard_normal((5, 8, 3))), root @ root.mT)
    assert sites.tied
    assert not sites.untied().tied
    found, each = (
        kalman.smooth(chain, s, kalman.filter(chain, s, parallel), parallel) for s in (sites, sites.untied())
    )
    assert found.covariance.shape == (1, 8, 3, 3)
    for one, other in zip(found, each, strict=True):
        np.testing.assert_allclose(jnp.broadcast_to(one, other.shape), other, rtol=1e-10, atol=1e-12)
    one, other = (kalman.log_normalizer(kalman.filter(chain, s, parallel), s) for s in (sites, sites.untied()))
    np.testing.assert_allclose(one, other, rtol=1e-10)


def solved(case, sites, count=80):
    """Converged from the prior."""
    return case.programs.solve(case.given(), case.batch(), sites, count)


def test_the_bound_with_tied_sites_is_below_the_one_without_and_near(double, whole):
    case = dataclasses.replace(problem(trials=7, dim=3), trials=whole)
    free, start = case.converged(), case.sites()
    found = solved(case, start._replace(precision=start.precision[:1]))
    assert found.sites.tied
    assert found.smoothed.covariance.shape[0] == 1
    gap = float(free.elbo.sum() - found.elbo.sum())
    assert 0 < gap < 0.01 * abs(float(free.elbo.sum()))
    np.testing.assert_allclose(found.smoothed.mean, free.smoothed.mean, atol=0.15)
    # It is the optimum of its family: no other precision that all share has a higher bound.
    for factor in (0.9, 1.1):
        change = (factor - 1) * found.sites.precision
        linear = found.sites.linear + apply(change, found.smoothed.mean)
        other = Sites(linear, found.sites.precision + change)
        _, elbo, _ = cvi.evaluate(case.given(), case.model.observation, case.batch(), other, found.held)
        assert float(elbo.sum()) < float(found.elbo.sum())


def test_trials_that_are_all_alike_lose_nothing(double, whole):
    same = whole.replace(counts=np.broadcast_to(whole.counts[:1], whole.counts.shape).copy())
    case = dataclasses.replace(problem(trials=7, dim=3), trials=same)
    free, start = case.converged(), case.sites()
    found = solved(case, start._replace(precision=start.precision[:1]))
    np.testing.assert_allclose(found.elbo, free.elbo, rtol=1e-9)
    np.testing.assert_allclose(found.sites.precision[0], free.sites.precision[3], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("model", [MODEL, MIXTURE], ids=["chain", "mixture"])
def test_trials_that_pad_a_chunk_change_nothing(double, whole, tied, model):
    """An E-step of five trials, and of the same with two of which nothing is seen."""
    running = steps(model, whole, nlb.FitConfig(precision="float64"))
    assert running.setup.tied
    (batch, *_), em, values = running.setup.batches, running.setup.em, running.state.em.values
    padded = jax.tree.map(lambda a: jnp.pad(a, ((0, 2), *[(0, 0)] * (a.ndim - 1))), batch)
    found = []
    for each in (batch, padded):
        state = em.init(values, (each,), len(each.counts), tied=True)
        found.append(e_step(em, values, each, state.rows[0], 8, True, False))
    one, other = found
    np.testing.assert_allclose(other.elbo[: len(one.elbo)], one.elbo, rtol=1e-10)
    np.testing.assert_array_equal(other.elbo[len(one.elbo) :], 0.0)
    parts = ((part.statistics, part.shift) for part in found)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-8), *parts)


def test_em_ends_where_it_ends_without_them(double, whole, monkeypatch):
    bounds, stages = {}, {}
    for work in (0, np.inf):
        monkeypatch.setattr(setup, "TIED_WORK", work)
        running = steps(MODEL, whole, nlb.FitConfig(em_iterations=400, precision="float64"))
        stages[work] = {info.stage for _, info in running}
        bounds[work] = running.state.result.elbo
    assert stages == {0: {"tied", "em"}, np.inf: {"em"}}
    assert bounds[0] == pytest.approx(bounds[np.inf], abs=1.0)


@pytest.mark.parametrize(
    ("model", "after"),
    [
        pytest.param(MODEL, 3, id="tied"),
        pytest.param(MODEL, 10, id="untied"),
        pytest.param(MIXTURE, 6, id="mixture", marks=pytest.mark.slow),
    ],
)
def test_a_fit_that_was_stopped_goes_on_bit_for_bit(whole, tied, tmp_path, model, after):
    config = nlb.FitConfig(em_iterations=12, svi_steps=20)
    unbroken = steps(model, whole, config)
    stages = [info.stage for _, info in unbroken]
    assert stages[0] == "tied"
    assert ("em" in stages) == (model is MODEL)  # a mixture's stay tied
    running = steps(model, whole, config)
    kept = Checkpoints(running, tmp_path)
    for _ in range(min(after, len(stages) - 1)):
        next(running)
    kept.write()
    again = steps(model, whole, config, checkpoint=tmp_path)
    assert again.state.iteration == running.state.iteration
    list(again)
    one, other = unbroken.posterior(), again.posterior()
    for name in one.values:
        np.testing.assert_array_equal(other.values[name], one.values[name])
        np.testing.assert_array_equal(other.draws[name], one.draws[name])
    np.testing.assert_array_equal(other.elbo, one.elbo)


@pytest.mark.parametrize(
    ("model", "options"),
    [
        (nlb.Model(latents=[nlb.SwitchingLDS(2, dim=2)]), {}),
        (MODEL, {"early_stopping": 0.1}),
        (MODEL, {"em_iterations": 0}),
    ],
    ids=["regimes", "early stopping", "no EM"],
)
def test_sites_are_not_tied_where_trials_differ(whole, tied, model, options):
    assert not steps(model, whole, nlb.FitConfig(**options)).setup.tied


def test_sites_are_not_tied_where_trials_differ_in_what_is_seen(tied):
    trials = problem(trials=7, dim=3).trials
    assert not trials.seen.all()
    assert not steps(MODEL, trials).setup.tied


def test_sites_of_small_data_are_not_tied(whole):
    assert not steps(MODEL, whole).setup.tied


def test_the_steps_of_parameters_are_compiled_once_with_tied_sites_and_without(tied, whole):
    model = nlb.Model(latents=[nlb.LDS(2, priors={"decay_ms": dist.LogNormal(5.0, 1.25)})])
    before = parameter_step.jitted._cache_size(), data_step.jitted._cache_size()
    log = [info for _, info in steps(model, whole, nlb.FitConfig(em_iterations=8, svi_steps=0))]
    assert {info.stage for info in log} == {"tied", "em"}
    after = parameter_step.jitted._cache_size(), data_step.jitted._cache_size()
    assert [b - a for a, b in zip(before, after, strict=True)] == [1, 2]
