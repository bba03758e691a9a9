"""A nonlinear latent of a user's own is one class: a chain, and what each step adds to it."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist

import nlbprob as nlb
from nlbprob.blocks.latent import Dynamics, Latent
from nlbprob.numerics.gaussian import Chain
from tests.extension.lifecycle import BRIEF, check_life, check_needs_its_class


def hopf(growth, turn, x):
    """What a step adds to a state that is drawn to the unit circle and turns."""
    return growth * (1 - x @ x) * x + turn * jnp.stack([-x[1], x[0]])


@dataclasses.dataclass(frozen=True, eq=False)
class Oscillator(Latent):
    """x_t = x_{t-1} + growth (1 - |x|^2) x + turn J x + N(0, Q): a limit cycle of two latents."""

    name: str = "oscillator"
    priors: dict = dataclasses.field(default_factory=dict)

    dim = 2
    own_coordinates = True

    def prior(self, context):
        growth = self.sample("growth", dist.LogNormal(-2.0, 1.0), ())
        turn = self.sample("turn", dist.Normal(0.0, 0.3), ())
        noise = self.sample("noise", dist.LogNormal(-3.0, 1.0), ())
        zero, eye = jnp.zeros(2), jnp.eye(2)
        drift = jax.tree_util.Partial(hopf, growth, turn)
        return Dynamics(Chain(zero, eye, eye, zero, noise * eye), drift=drift)

    def start(self, initial, context):
        turn = 0.5 * (initial.chain.transition[1, 0] - initial.chain.transition[0, 1])
        values = {"growth": jnp.asarray(0.1), "turn": turn, "noise": jnp.asarray(0.1)}
        return {self.site(name): value for name, value in values.items()}, jnp.eye(2)


def test_it_is_fitted_scored_saved_loaded_and_reported(recording, tmp_path):
    model = nlb.Model(latents=[Oscillator()])
    posterior = nlb.fit(model, recording.split("train"), **BRIEF)
    again, page = check_life(posterior, recording, tmp_path)
    check_needs_its_class(tmp_path, "Oscillator")
    assert again.model.latents == (Oscillator(),)
    assert "<b>Oscillator</b>" in page
    turn = posterior.parameter_draws()["oscillator.turn"]
    assert np.isfinite(turn).all()
    # The recording turns by 0.19 a bin, either way round.
    assert abs(abs(turn.mean()) - 2 * np.pi * 1.5 * 0.02) < 0.1
