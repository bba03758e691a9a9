"""Small problems for inference, whole enough to have every feature: unseen entries, padding, two splits."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nlbprob as nlb
from nlbprob.blocks.base import Context
from nlbprob.infer.parameters import sites as parameters
from nlbprob.infer.runtime.batch import Batch
from nlbprob.infer.trajectories import bound as bound_of
from nlbprob.infer.trajectories import cvi
from nlbprob.infer.trajectories.problem import trial_problem
from nlbprob.simulation import simulate
from tests.conftest import holes


class Programs:
    """What tests ask of a model, compiled once for all values and trials of the same shapes."""

    known = {}

    def __init__(self, model, context):
        def find(values, batch):
            return trial_problem(model, parameters.parameters_at(model, context, values), batch)[0]

        def solve(given, batch, sites, steps):
            local = cvi.init(given, sites)
            return cvi.iterate_anew(given, model.observation, batch, local, steps)

        def step(given, batch, local):
            return cvi.step(given, model.observation, batch, local)

        def bound(values, batch, local):
            return bound_of.bound(find(values, batch), model.observation, batch, local).sum()

        self.find, self.solve, self.step, self.slope = map(jax.jit, (find, solve, step, jax.grad(bound)))
        self.owners = model, context

    @classmethod
    def of(cls, *owners):
        """The programs of these very objects, which do not hash; they are kept, so that no other takes their place."""
        key = tuple(map(id, owners))
        if key not in cls.known:
            cls.known[key] = cls(*owners)
        return cls.known[key]


@dataclasses.dataclass(frozen=True)
class Case:
    """A model, trials drawn from it, the parameters they were drawn with."""

    model: nlb.Model
    trials: nlb.Trials
    values: dict
    context: Context

    @property
    def programs(self):
        return Programs.of(self.model, self.context)

    def device_values(self):
        return jax.tree.map(jnp.asarray, self.values)

    def given(self):
        return self.programs.find(self.device_values(), self.batch())

    def batch(self):
        covariates = jax.tree.map(jnp.asarray, self.model.covariates(self.trials))
        return Batch(jnp.asarray(self.trials.counts), jnp.asarray(self.trials.seen), covariates)

    def sites(self):
        return cvi.empty_sites(*self.trials.counts.shape[:2], self.model.dim, jnp.result_type(float))

    def converged(self, steps=60):
        return self.programs.solve(self.given(), self.batch(), self.sites(), steps)

    def bounds(self, steps):
        """The bound of each trial after each of so many steps from the prior: [step, trial]."""
        given, batch, found = self.given(), self.batch(), []
        local = cvi.init(given, self.sites())
        for _ in range(steps):
            local = self.programs.step(given, batch, local)
            found.append(np.asarray(local.elbo))
        return np.array(found)

    def slopes(self, local):
        """The gradient of the bound of all trials in every site, with the local posterior held fixed."""
        return self.programs.slope(self.device_values(), self.batch(), local)


#: What `problem` has made, by the observation's form, since blocks do not hash.
MADE = {}


def problem(observation=None, **design):
    """A problem whose counts are Poisson whatever the model's observation is."""
    observation = observation or nlb.Poisson()
    key = repr(observation), *design.items()
    if key not in MADE:
        found = drawn(repr(observation), **design)
        MADE[key] = dataclasses.replace(found, model=dataclasses.replace(found.model, observation=observation))
    return MADE[key]


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
