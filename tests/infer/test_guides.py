"""Variational families over parameters: their density, their draws, and what each can tell of a known posterior."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import optax
import pytest
from numpyro.distributions import constraints
from numpyro.infer import SVI, Trace_ELBO
from scipy import stats

from nlbprob.infer.vi.families import FAMILIES
from nlbprob.infer.vi.guides import ParameterGuide, initial_params
from nlbprob.infer.vi.lowrank import LowRank
from nlbprob.infer.vi.numpyro_guide import WrittenGuide

NEURONS = 4
SHAPES = {"baseline": (NEURONS,), "loadings": (NEURONS, 1), "decay_ms": (2,)}
SUPPORTS = {"baseline": constraints.real, "loadings": constraints.real_matrix, "decay_ms": constraints.positive}
SIZE = 3 * NEURONS - 2


def guide_of(family, trials=100):
    """A guide, and frames whose roots are not the identity."""
    random = np.random.default_rng(0)
    shapes = {name: jax.ShapeDtypeStruct(shape, jnp.float32) for name, shape in SHAPES.items()}
    guide = ParameterGuide(FAMILIES[family](), shapes, SUPPORTS, ("baseline", "loadings"), enough_trials=trials > 2)
    values = {name: jnp.asarray(random.uniform(0.5, 1.5, shape), jnp.float32) for name, shape in SHAPES.items()}
    root = 0.3 * random.standard_normal((NEURONS, 2, 2))
    covariance = jnp.asarray(root @ root.transpose(0, 2, 1) + 0.02 * np.eye(2), jnp.float32)
    return guide, guide.frames(values, covariance, jnp.array([[0.2, 0.0], [0.1, 0.3]]))


def flat(values):
    """Baselines, loadings and log decay times as one vector [..., entry], neuron by neuron."""
    rows = np.concatenate([values["baseline"][..., None], values["loadings"]], -1)
    return np.concatenate([rows.reshape(*rows.shape[:-2], -1), np.log(values["decay_ms"])], -1)


def moments(guide, frames, params):
    """Mean and covariance of the flat vector under a low-rank guide, from the formula."""
    root = np.zeros((SIZE, SIZE))
    for row in range(NEURONS):
        root[2 * row : 2 * row + 2, 2 * row : 2 * row + 2] = frames["neuron"].root[row]
    root[2 * NEURONS :, 2 * NEURONS :] = frames["rest"].root[0]
    centre = np.concatenate([frames["neuron"].centre.ravel(), frames["rest"].centre.ravel()])
    shift = np.concatenate([np.ravel(params["neuron.shift"]), np.ravel(params["rest.shift"])])
    factor, scale = np.asarray(params["factor"], float), np.exp(np.asarray(params["log_scale"], float))
    return centre + root @ shift, root @ (factor @ factor.T + np.diag(scale**2)) @ root.T


@pytest.fixture
def changed():
    """A low-rank guide with parameters that are not those of the start."""
    guide, frames = guide_of("lowrank")
    random = np.random.default_rng(1)
    params = {
        name: jnp.asarray(value + 0.4 * random.standard_normal(value.shape), jnp.float32)
        for name, value in initial_params(guide, frames).items()
    }
    return guide, frames, params


def test_the_low_rank_density_is_that_of_one_normal(changed):
    guide, frames, params = changed
    seeded = numpyro.handlers.seed(numpyro.handlers.substitute(guide, data=params), 3)
    sites = numpyro.handlers.trace(seeded).get_trace(None, None, frames, None)
    sampled = {name: site for name, site in sites.items() if site["type"] == "sample"}
    found = sum(float(site["fn"].log_prob(site["value"]).sum()) for site in sampled.values())
    values = {name: np.asarray(sites[name]["value"], float) for name in SHAPES}
    exact = stats.multivariate_normal(*moments(guide, frames, params)).logpdf(flat(values))
    assert found == pytest.approx(exact - np.log(values["decay_ms"]).sum(), abs=1e-3)


def test_low_rank_draws_have_its_moments(changed):
    guide, frames, params = changed
    mean, covariance = moments(guide, frames, params)
    keys = jax.random.split(jax.random.key(0), 20_000)
    draws = flat(jax.tree.map(np.asarray, guide.draws(params, frames, keys)))
    scale = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose((draws.mean(0) - mean) / scale, 0.0, atol=0.04)
    np.testing.assert_allclose(np.cov(draws.T) / np.outer(scale, scale), covariance / np.outer(scale, scale), atol=0.05)
    np.testing.assert_allclose(flat(guide.locations(params, frames)), mean, rtol=1e-4, atol=1e-5)


def test_low_rank_finds_what_parameters_of_different_neurons_share():
    """The target is a normal in which all baselines move together, against a log decay time."""
    guide, frames = guide_of("lowrank")
    shared = np.zeros(SIZE)
    shared[0 : 2 * NEURONS : 2], shared[-1] = 0.5, -0.4
    covariance = np.outer(shared, shared) + 0.04 * np.eye(SIZE)
    centre, _ = moments(guide, frames, initial_params(guide, frames))
    target = dist.MultivariateNormal(jnp.asarray(centre, jnp.float32), jnp.asarray(covariance, jnp.float32))

    def model(index, data, frames, store):
        values = {
            name: numpyro.sample(name, dist.ImproperUniform(SUPPORTS[name], (), shape))
            for name, shape in SHAPES.items()
        }
        rows = jnp.concatenate([values["baseline"][:, None], values["loadings"]], 1).ravel()
        logs = jnp.log(values["decay_ms"])
        numpyro.factor("target", target.log_prob(jnp.concatenate([rows, logs])) - logs.sum())

    adam = optax.adam(optax.cosine_decay_schedule(0.05, 3000))
    svi = SVI(model, guide, numpyro.optim.optax_to_numpyro(adam), Trace_ELBO())
    params = svi.run(jax.random.key(0), 3000, None, None, frames, None, progress_bar=False).params
    mean, found = moments(guide, frames, params)
    np.testing.assert_allclose(mean, centre, atol=0.2)
    np.testing.assert_allclose(found, covariance, atol=0.08)


@pytest.mark.parametrize(("trials", "fitted"), [(100, False), (2, True)])
def test_dynamics_keep_the_widths_that_enough_trials_tell(trials, fitted):
    guide, frames = guide_of("neuron", trials)
    assert ("rest.log_scale" in initial_params(guide, frames)) == fitted


def test_a_guide_written_for_numpyro_is_called_with_the_trials(recording):
    called = []
    WrittenGuide(called.append, recording, ())(None, None, {}, None)
    assert called[0] is recording


def test_families_are_equal_by_what_they_are():
    assert LowRank(10) == LowRank()
    assert hash(LowRank(10)) == hash(LowRank())
    assert LowRank(5) != LowRank()
    assert [name for name, kind in FAMILIES.items() if not kind.has_width] == ["map"]
