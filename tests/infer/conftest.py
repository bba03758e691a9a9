"""Small problems for inference, whole enough to have every feature: unseen entries, padding, two splits."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nlbprob as nlb
from nlbprob.blocks.base import Context
from nlbprob.infer import em
from nlbprob.infer import local as local_inference
from nlbprob.infer.problem import Batch
from nlbprob.infer.problem import problem as problem_of
from nlbprob.simulation import simulate
from tests.conftest import holes


@dataclasses.dataclass(frozen=True)
class Case:
    """A model, trials drawn from it, the parameters they were drawn with."""

    model: nlb.Model
    trials: nlb.Trials
    values: dict
    context: Context

    def given(self):
        values = jax.tree.map(jnp.asarray, self.values)

        @jax.jit
        def find(values, batch):
            return problem_of(self.model, em.parameters_at(self.model, self.context, values), batch)[0]

        return find(values, self.batch())

    def batch(self):
        covariates = jax.tree.map(jnp.asarray, self.model.covariates(self.trials))
        return Batch(jnp.asarray(self.trials.counts), jnp.asarray(self.trials.seen), covariates)

    def sites(self):
        return local_inference.empty_sites(*self.trials.counts.shape[:2], self.model.dim, jnp.result_type(float))

    def converged(self, steps=60):
        @jax.jit
        def solve(given, batch, sites):
            local = local_inference.begin(given, sites)
            return local_inference.iterate(given, self.model.observation, batch, local, steps)

        return solve(self.given(), self.batch(), self.sites())


def problem(observation=None, **design):
    """A problem whose counts are Poisson whatever the model's observation is (blocks do not hash, their forms do)."""
    observation = observation or nlb.Poisson()
    found = drawn(repr(observation), **design)
    return dataclasses.replace(found, model=dataclasses.replace(found.model, observation=observation))


@functools.cache
def drawn(observation, dim=2, trials=5, bins=9, neurons=6, seed=0, bin_ms=20.0):
    """The problem for an observation's kind, drawn once."""
    truth = nlb.Model(latents=[nlb.LDS(dim)])
    values = {"baseline": jnp.full(neurons, 0.3)}
    made = simulate(truth, trials, neurons=neurons, bins=bins, bin_ms=bin_ms, seed=seed, values=values)
    values = {name: np.asarray(value, float) for name, value in made.parameters.items()}
    if observation.startswith("Gaussian"):
        values["noise_scale"] = np.linspace(0.7, 1.5, neurons)
    data = holes(made.trials)
    return Case(truth, data, values, Context.of(data))


@pytest.fixture
def double():
    """float64 inside the test."""
    with jax.enable_x64(True):
        yield
