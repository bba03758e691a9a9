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
from nlbprob.infer.local import Batch
from nlbprob.simulation import simulate


def holes(trials, seed=1):
    """The same trials with a tenth of the entries unseen and the last trial a third shorter."""
    seen = np.random.default_rng(seed).uniform(size=trials.seen.shape) > 0.1
    seen[-1, 2 * trials.n_bins // 3 :] = False
    return trials.replace(seen=seen)


@dataclasses.dataclass(frozen=True)
class Problem:
    """A model, trials drawn from it, the parameters they were drawn with."""

    model: nlb.Model
    trials: nlb.Trials
    values: dict
    context: Context

    def theta(self):
        given = jax.tree.map(jnp.asarray, self.values)
        return jax.jit(lambda values: em.parameters_at(self.model, self.context, values))(given)

    def batch(self):
        return Batch(jnp.asarray(self.trials.counts), jnp.asarray(self.trials.seen))

    def sites(self):
        return local_inference.empty_sites(*self.trials.counts.shape[:2], self.model.dim, jnp.result_type(float))

    def converged(self, steps=60):
        @jax.jit
        def solve(theta, batch, sites):
            return local_inference.iterate(theta, self.model.observation, batch, local_inference.begin(sites), steps)

        return solve(self.theta(), self.batch(), self.sites())


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
    return Problem(truth, data, values, Context.of(data))


#: What the recording below was drawn with: one plane that turns at 1.5 Hz and fades within 300 ms.
FREQUENCY_HZ, DECAY_MS = 1.5, 300.0


@pytest.fixture(scope="session")
def truth():
    """30 trials of 20 bins of 20 ms, 10 neurons of which two are held out, drawn from a plane that turns."""
    random = np.random.default_rng(5)
    values = {
        "lds.decay_ms": np.full(2, DECAY_MS),
        # The orthogonal factor is a Cayley transform, so that the angle of a turn is 2 atan of half the entry.
        "lds.rotation_hz": np.array([2 * np.tan(np.pi * FREQUENCY_HZ * 0.02) / (2 * np.pi * 0.02)]),
        "loadings": 0.8 * random.standard_normal((10, 2)),
        "baseline": np.full(10, np.log(0.6)),
    }
    return simulate(nlb.Model(latents=[nlb.LDS(2)]), 30, neurons=10, bins=20, bin_ms=20.0, seed=2, values=values)


@pytest.fixture(scope="session")
def recording(truth):
    """The same with holes, a short trial, a forward window of two bins, conditions and a behavior."""
    trials = holes(truth.trials)
    random = np.random.default_rng(0)
    return trials.replace(
        table=trials.table | {"side": np.where(np.arange(30) % 2, "left", "right")},
        condition=("side",),
        forward_bins=2,
        behavior=random.standard_normal((30, 20, 2)),
        behavior_name="hand_vel",
        behavior_channels=("x", "y"),
    )


#: A fit that ends in seconds.
SHORT = {"em_iterations": 10, "svi_steps": 20, "progress": False}


@pytest.fixture(scope="session")
def fitted(recording):
    """The default form of posterior of a model of the recording."""
    return nlb.fit(nlb.Model(latents=[nlb.LDS(2)]), recording.split("train"), seed=1, **SHORT)


@pytest.fixture
def double():
    """float64 inside the test."""
    with jax.enable_x64(True):
        yield
