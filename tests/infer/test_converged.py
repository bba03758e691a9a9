"""A fit at default settings: EM ends where its parameters stand still, and the posterior about them is centred."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nlbprob as nlb
from nlbprob.blocks.base import Context
from nlbprob.infer.em import convergence
from nlbprob.infer.em.steps import EM
from nlbprob.infer.vi import widths

MODEL = nlb.Model(latents=[nlb.LDS(2)])


@pytest.fixture(scope="module")
def learned(recording):
    return recording.split("train")


@pytest.fixture(scope="module")
def default(learned):
    return nlb.fit(MODEL, learned, seed=1, progress=False)


def test_em_goes_on_until_its_bound_rises_no_more(default):
    assert set(default.history["stage"]) == {"em"}
    bounds = default.elbo
    assert max(bounds[-convergence.WINDOW :]) - max(bounds[: -convergence.WINDOW]) < 1.0
    assert bounds[-1] - bounds[-2] < convergence.LEAST_RISE
    assert len(bounds) < 30  # plain EM still creeps there
    name, moved = default.config["em_moved"]
    assert name in default.values
    assert moved < 0.3
    assert f"moved no parameter by more than {moved:.2g} of its standard deviation ({name})" in default.verdict
    assert default.verdict.startswith("Converged.")


def test_a_bound_is_flat_where_its_last_values_are_no_higher_and_not_far_below():
    rising = -100.0 / np.arange(1, 31)
    level = np.append(rising, np.full(convergence.WINDOW, rising[-1]))
    assert not convergence.flat(rising[:10])
    assert not convergence.flat(level[: convergence.LEAST_ITERATIONS + convergence.WINDOW - 1])
    assert convergence.flat(level)
    assert convergence.flat(level + np.where(np.arange(len(level)) == len(level) - 1, 0.2, 0.0))
    assert not convergence.flat(np.append(level[:-1], level[-1] + 0.3))
    assert not convergence.flat(np.append(level[:-1], level[-1] - 30.0))  # it has just fallen: a step went too far
    assert convergence.flat(np.append(rising, np.full(convergence.WINDOW, rising[-1] - 30.0)))  # and stays there
    swings = rising[-1] - np.tile([30.0, 5.0], convergence.WINDOW)
    assert not convergence.flat(np.append(rising, swings[:-1]))
    assert convergence.flat(np.append(rising, swings))  # it falls again and again, and does not come back


def test_a_bound_has_fallen_where_its_last_value_is_clearly_below_its_highest():
    assert not convergence.fallen([])
    assert not convergence.fallen([-10.0, -5.0, -5.9])
    assert convergence.fallen([-10.0, -5.0, -6.1])


def test_going_on_from_there_changes_little(default, learned):
    again = nlb.fit(MODEL, learned, seed=1, init=default, progress=False)
    assert again.elbo[-1] < default.elbo[-1] + 1.0
    spread = np.log(default.draws["lds.decay_ms"]).std(0)
    change = np.log(again.values["lds.decay_ms"]) - np.log(default.values["lds.decay_ms"])
    assert np.abs(change / spread).max() < 0.5
    assert (
        np.abs((again.values["baseline"] - default.values["baseline"]) / default.draws["baseline"].std(0)).max() < 0.5
    )


def test_rates_that_are_averaged_over_the_posterior_have_the_counts_mean(default, learned):
    rates = default.rates(learned).values
    expected, counted = (np.where(learned.seen, array, 0.0).sum((0, 1)) for array in (rates, learned.counts))
    np.testing.assert_allclose(expected.sum(), counted.sum(), rtol=0.02)
    np.testing.assert_allclose(expected, counted, rtol=0.15)


def test_baselines_of_different_neurons_depend_on_each_other_as_their_loadings_do(default):
    baselines, loadings = default.draws["baseline"], default.values["loadings"]
    found = np.corrcoef(baselines.T)[np.triu_indices(10, 1)]
    alike = (loadings @ loadings.T)[np.triu_indices(10, 1)]
    assert np.abs(found).max() > 0.2
    assert np.corrcoef(found, alike)[0, 1] > 0.5


def test_shared_directions_have_the_precision_that_they_are_given(learned, double):
    """(D^-1 + U (H^-1 - A^-1) U')^-1 is H along U."""
    random, context = np.random.default_rng(0), Context.of(learned)
    model = nlb.Model(latents=[nlb.LDS(2)], readout=nlb.LinearReadout(baseline_scale=1e6, loading_scale=1e6))
    em = EM(model.resolve(learned), context)
    names = tuple(name for name in em.sites if name not in em.model.readout.names)
    scoring = widths.remaining(em, names)
    values = {name: jnp.ones(site.shape.shape) for name, site in em.sites.items()}
    values |= {"lds.initial_covariance": jnp.eye(2), "loadings": jnp.asarray(random.standard_normal((10, 2)))}
    root = random.standard_normal((10, 3, 3)) / 30
    covariance = root @ root.mT + 1e-4 * np.eye(3)
    soft = np.diag([0.01, 0.02, 0.03, 0.04])
    shared = widths.shared_directions(scoring, values, jnp.asarray(covariance), jnp.asarray(soft))
    loadings = np.asarray(values["loadings"])
    directions = np.zeros((10, 3, 4))
    directions[:, 0, 2:] = loadings
    directions[:, [1, 2], [0, 1]] = loadings
    flat = directions.reshape(30, 4)
    whole = np.asarray(shared).reshape(30, 4)
    whole = whole @ whole.T
    for neuron in range(10):
        rows = slice(3 * neuron, 3 * neuron + 3)
        whole[rows, rows] += covariance[neuron]
    limit = np.eye(4) / widths.LARGEST_SCALE**2
    found = flat.T @ np.linalg.solve(whole, flat)
    alone = sum(u.T @ np.linalg.solve(s, u) for u, s in zip(directions, covariance, strict=True))
    inverse = np.linalg.inv(np.linalg.inv(soft) + limit) - np.linalg.inv(alone + limit)
    np.testing.assert_allclose(found, np.linalg.inv(inverse + np.linalg.inv(alone)), rtol=1e-6)
    np.testing.assert_allclose(np.diagonal(found), 1 / np.diagonal(soft), rtol=0.2)


def test_what_a_rotation_changes_does_not_count_as_movement(learned):
    em = EM(MODEL.resolve(learned), Context.of(learned))
    random = np.random.default_rng(1)
    turn = np.array([[0.6, -0.8], [0.8, 0.6]], np.float32)
    loadings = random.standard_normal((10, 2)).astype(np.float32)
    values = {name: jnp.full(site.shape.shape, 0.5) for name, site in em.sites.items()}
    values |= {"lds.initial_covariance": jnp.eye(2), "loadings": jnp.asarray(loadings)}
    shapes = dict(zip(em.sites, em.entries.shapes, strict=True))
    deviations = {name: jnp.full(shape, 0.1) for name, shape in shapes.items()}
    turned = values | {"loadings": jnp.asarray(loadings @ turn)}
    moved = jax.device_get(convergence.movement(em, values, turned, deviations))
    assert max(moved.values()) < 1e-4
    moved = convergence.movement(em, values, values | {"loadings": jnp.asarray(1.1 * loadings)}, deviations)
    assert float(moved["loadings"]) == pytest.approx(np.linalg.norm(loadings, axis=1).max(), rel=1e-3)
    moved = convergence.movement(em, values, values | {"lds.decay_ms": jnp.array([0.5, 0.5 * np.e])}, deviations)
    assert float(moved["lds.decay_ms"]) == pytest.approx(10.0, rel=1e-3)
