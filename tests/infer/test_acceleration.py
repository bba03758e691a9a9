"""Anderson acceleration: fast on linear maps, the same in every basis of the latents, and never downhill for long."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nlbprob as nlb
from nlbprob.blocks.base import Context
from nlbprob.infer.em import acceleration, convergence
from nlbprob.infer.em.acceleration import Metric, Point
from nlbprob.infer.em.steps import EM
from nlbprob.infer.fit.loop import steps
from nlbprob.infer.parameters.sites import parameters_at
from nlbprob.numerics import matrices, statistics
from nlbprob.numerics.gaussian import Chain

NEURONS, LATENTS = 4, 2
STEP = jax.jit(acceleration.step)


def chain_of(random, decay=0.9):
    """Stable dynamics with full covariance matrices."""
    turn, _ = np.linalg.qr(random.standard_normal((LATENTS, LATENTS)))
    roots = 0.3 * random.standard_normal((2, LATENTS, LATENTS)) + np.eye(LATENTS)
    first, noise = (root @ root.T for root in roots)
    chain = Chain(random.standard_normal(LATENTS), first, decay * turn, np.zeros(LATENTS), noise)
    return jax.tree.map(jnp.asarray, chain)


def metric_of(random, chain):
    root = random.standard_normal((NEURONS, 1 + LATENTS, 1 + LATENTS))
    curvature = root @ root.mT + np.eye(1 + LATENTS)
    return Metric(jnp.asarray(curvature), (chain,), ((jnp.array(500.0), jnp.array(20.0)),))


def test_a_linear_map_is_solved_long_before_plain_iterations_solve_it(double):
    """Six directions at six rates, and what the ridge leaves: plain iterations would take hundreds."""
    random = np.random.default_rng(0)
    chain = chain_of(random)
    metric = metric_of(random, chain)._replace(readout=jnp.broadcast_to(jnp.eye(1 + LATENTS), (NEURONS, 3, 3)))
    goal, here = (jnp.asarray(random.standard_normal((NEURONS, 1 + LATENTS))) for _ in range(2))
    rates = np.zeros((NEURONS, 1 + LATENTS))
    rates.flat[:6] = [0.3, 0.6, 0.8, 0.9, 0.97, 0.99]
    memory, start = acceleration.init(NEURONS, [LATENTS]), float(jnp.abs(here - goal).max())
    for _ in range(25):
        image = Point(goal + rates * (here - goal), (chain,))
        bound = -jnp.sum((here - goal) ** 2)
        following, memory = STEP(memory, Point(here, (chain,)), image, bound, metric)
        here = following.readout
    assert float(jnp.abs(here - goal).max()) < 0.02 * start
    assert 0.99**25 > 0.75


def history(random, chain, iterations=4):
    """What is handed to each of a few steps."""
    for _ in range(iterations):
        here, image = random.standard_normal((2, NEURONS, 1 + LATENTS))
        moved = jax.tree.map(lambda a: a + 0.01 * jnp.asarray(random.standard_normal(a.shape)), chain)
        symmetric = {n: (getattr(moved, n) + getattr(moved, n).T) / 2 for n in ("initial_covariance", "noise")}
        moved = moved._replace(offset=chain.offset, **symmetric)
        yield Point(jnp.asarray(here), (chain,)), Point(jnp.asarray(image), (moved,))


def test_a_change_of_basis_changes_no_point(double):
    random = np.random.default_rng(1)
    chain, basis = chain_of(random), jnp.asarray(random.standard_normal((LATENTS, LATENTS)) + 2 * np.eye(LATENTS))
    metric = metric_of(random, chain)
    # Latents of unit second moment: what the metric takes for granted holds in bases that are rotations of each other.
    basis = jnp.linalg.qr(basis)[0]
    whole = matrices.diagonal_blocks([jnp.eye(1), basis])

    def turn(point):
        return Point(point.readout @ whole, tuple(matrices.change_basis(c, basis) for c in point.chains))

    turned_metric = Metric(whole.T @ metric.readout @ whole, (matrices.change_basis(chain, basis),), metric.counts)
    one = other = acceleration.init(NEURONS, [LATENTS])
    for number, (here, image) in enumerate(history(random, chain)):
        bound = jnp.array(float(number))
        found, one = STEP(one, here, image, bound, metric)
        turned, other = STEP(other, turn(here), turn(image), bound, turned_metric)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-8), turn(found), turned)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-8), acceleration.turned(one, [basis]).images, other.images
    )
    assert int(one.count) > 1


def test_where_the_bound_has_fallen_em_goes_back_to_the_image(double):
    random = np.random.default_rng(2)
    chain = chain_of(random)
    metric, empty = metric_of(random, chain), acceleration.init(NEURONS, [LATENTS])
    (first, image), (second, last), (third, _), _ = history(random, chain)
    _, memory = STEP(empty, first, image, jnp.array(-10.0), metric)
    assert not bool(memory.extrapolated)  # of one iteration there is nothing to extrapolate
    _, memory = STEP(memory, second, last, jnp.array(-9.0), metric)
    memory = memory._replace(extrapolated=jnp.array(True))
    back, after = STEP(memory, third, third, jnp.array(-9.5), metric)
    jax.tree.map(np.testing.assert_array_equal, back, last)
    assert float(after.reach) == 0.25 * float(memory.reach)
    assert not bool(after.extrapolated)
    again, _ = STEP(memory, third, image, jnp.array(np.nan), metric)
    jax.tree.map(np.testing.assert_array_equal, again, last)


def test_covariances_stay_positive_definite_and_move_as_they_are_told_to_first_order(double):
    random = np.random.default_rng(3)
    covariance, change = chain_of(random).noise, jnp.asarray(np.diag([-5.0, 3.0]))
    assert np.linalg.eigvalsh(acceleration.changed_covariance(covariance, change)).min() > 0
    little = acceleration.changed_covariance(covariance, 1e-6 * change)
    np.testing.assert_allclose((little - covariance) / 1e-6, change, atol=1e-4)


def slow_statistics(bins=4000):
    """Statistics of a trajectory with a direction that hardly decays and one that does."""
    random = np.random.default_rng(4)
    state, path = np.zeros(LATENTS), []
    for _ in range(bins):
        state = np.array([0.99999, 0.9]) * state + random.normal(size=LATENTS) * np.array([0.003, 0.4])
        path.append(state)
    mean = jnp.asarray(path)[None] / jnp.asarray(path).std(0)
    zeros = jnp.zeros((1, bins, LATENTS, LATENTS))
    return statistics.gather(mean, zeros, zeros[:, 1:], 0.0, jnp.zeros(LATENTS), jnp.ones((1, bins)))


def steps_log_likelihood(stats, chain):
    """E[log p(x_t | x_{t-1})] of all steps."""
    cross = chain.transition @ stats.cross.T
    residual = stats.current - cross - cross.T + chain.transition @ stats.previous @ chain.transition.T
    return -0.5 * (
        jnp.trace(jnp.linalg.solve(chain.noise, residual)) + stats.steps * jnp.linalg.slogdet(chain.noise)[1]
    )


def test_the_regression_is_the_chain_of_the_sites_made_from_it(double, recording):
    """Also where a direction would decay more slowly than sites can say."""
    block, context = nlb.LDS(LATENTS), Context.of(recording)
    stats = slow_statistics()
    free = statistics.fit_chain(stats, context.bin_ms)
    slowest_ms = 20 * context.mean_bins * context.bin_ms
    assert float(jnp.max(block.directions(free, context)[2])) == pytest.approx(slowest_ms)
    held = block.regression(stats, context)
    sites, basis = block.from_chain(held, context, {})
    assert float(sites["lds.decay_ms"].max()) <= 1.0001 * slowest_ms
    model = nlb.Model(latents=[block]).resolve(recording)
    em = EM(model, context)
    values = {name: jnp.zeros(site.shape.shape) for name, site in em.sites.items()} | sites
    (dynamics,) = parameters_at(model, context, values).dynamics
    found = matrices.change_basis(dynamics.chain, jnp.linalg.inv(basis))
    np.testing.assert_allclose(found.transition, held.transition, atol=1e-3)
    # It costs little more than the slowest decay by itself, with the noise about it.
    values, vectors = map(np.real, np.linalg.eig(np.asarray(free.transition)))  # they are real here
    transition = vectors @ np.diag(np.minimum(values, np.exp(-context.bin_ms / slowest_ms))) @ np.linalg.inv(vectors)
    noise = statistics.chain_noise(stats, jnp.asarray(transition), context.bin_ms)
    slowest = free._replace(transition=jnp.asarray(transition), noise=noise)
    losses = [float(steps_log_likelihood(stats, free) - steps_log_likelihood(stats, one)) for one in (slowest, found)]
    assert 0 < losses[1] < 1.2 * losses[0] + 1.0


def test_accelerated_em_is_ahead_of_plain_em_and_ends_where_it_would(recording, monkeypatch):
    learned, options = recording.split("train"), {"seed": 1, "svi_steps": 0, "posterior": "map", "progress": False}
    model = nlb.Model(latents=[nlb.LDS(3)])
    fast = nlb.fit(model, learned, em_iterations=60, **options)
    monkeypatch.setattr(EM, "accelerated", property(lambda em: False))
    plain = nlb.fit(nlb.Model(latents=[nlb.LDS(3, name="lds")]), learned, em_iterations=60, **options)
    assert fast.elbo.max() > plain.elbo[min(len(fast.elbo), len(plain.elbo)) - 1]
    assert fast.elbo.max() > plain.elbo[-1] - 1.0


def test_where_em_has_converged_nothing_is_left_to_extrapolate(double, recording, monkeypatch):
    """Priors pull the scale of latents one way and the normalisation takes it back: that is no step."""
    monkeypatch.setattr(convergence, "LEAST_RISE", 0.0)  # a level bound is no end
    running = steps(nlb.Model(latents=[nlb.LDS(3)]), recording.split("train"), nlb.FitConfig(em_iterations=120))
    for state, info in running:
        if info.stage != "em" or state.stage != "em":
            break
        last, (name, moved) = state.em.memory, info.moved or ("", np.inf)
    assert moved < 0.1, name
    residual, image = (np.asarray(point.chains[0].noise[0]) for point in (last.residuals, last.images))
    assert np.abs(residual).max() < 0.03 * np.abs(image).max()
