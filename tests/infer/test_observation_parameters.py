"""The observation's own parameters: each step of EM raises the bound, and a fit finds what counts were drawn with."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nlbprob as nlb
from nlbprob.blocks.base import Context
from nlbprob.infer.em import updates as maximize
from nlbprob.infer.parameters import sites as parameters
from nlbprob.infer.runtime.batch import Batch

TRUE = {"dispersion": np.array([0.1, 0.3, 0.6, 1.0, 0.2, 0.5, 0.8, 0.4]), "gate": np.linspace(0.05, 0.6, 8)}
OBSERVATIONS = {"dispersion": nlb.NegativeBinomial, "gate": nlb.ZeroInflatedPoisson}


def drawn(name, link="exp"):
    model = nlb.Model(latents=[nlb.LDS(1)], observation=OBSERVATIONS[name](link))
    values = {name: TRUE[name], "baseline": np.full(8, 0.7), "lds.decay_ms": np.array([200.0])}
    return model, nlb.simulate(model, 40, neurons=8, bins=25, bin_ms=20.0, seed=1, values=values)


@pytest.mark.parametrize("link", ["exp", "softplus"])
@pytest.mark.parametrize("name", OBSERVATIONS)
def test_a_step_raises_the_expected_log_likelihood_and_prior(name, link):
    model, simulated = drawn(name, link)
    trials, context = simulated.trials, Context.of(simulated.trials)
    supports = {name: site.support for name, site in parameters.parameter_sites(model, context).items()}
    batch = Batch(jnp.asarray(trials.counts), jnp.asarray(trials.seen), {})
    moments = jnp.asarray(simulated.latents), jnp.full((40, 25, 1, 1), 0.05)
    rows = jax.tree.map(lambda a: a[None], (moments, jnp.ones(40)))
    values = jax.tree.map(jnp.asarray, dict(simulated.parameters))

    @jax.jit
    def step(own):
        theta = parameters.parameters_at(model, context, values | {name: own})
        data = jax.tree.map(lambda a: a[None], batch)
        location = jnp.zeros(1 + model.dim), jnp.zeros((8, 1 + model.dim))
        likelihood = maximize.readout_objective(model, theta, data, rows, location)[0].sum()
        prior = parameters.log_prior(model, context, values | {name: own})
        moved = maximize.observation(model, context, supports, values | {name: own}, theta, data, rows)
        return likelihood + prior, moved[name]

    for start in (0.05, 0.9):
        own, objective = jnp.full(8, start), []
        for _ in range(12):
            total, own = step(own)
            objective.append(total)
        assert np.all(np.diff(objective) > -0.05), name
        np.testing.assert_allclose(own, TRUE[name], atol=0.3)


@pytest.mark.parametrize("name", ["dispersion", pytest.param("gate", marks=pytest.mark.slow)])
def test_a_fit_finds_the_parameters(name):
    model, simulated = drawn(name)
    found = nlb.fit(model, simulated.trials, em_iterations=15, svi_steps=0, progress=False)
    bounds = found.elbo
    assert bounds.max() - bounds[-1] < 1.0  # a step of accelerated EM may go too far, and is taken back
    np.testing.assert_allclose(found.parameter_mean[name], TRUE[name], atol=0.2)
    assert np.corrcoef(found.parameter_mean[name], TRUE[name])[0, 1] > 0.8
