"""An observation of a user's own is one class."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

import nlbprob as nlb
from tests.extension.lifecycle import BRIEF, check_life, check_needs_its_class


@dataclasses.dataclass(frozen=True, eq=False)
class Background(nlb.Observation):
    """y ~ Poisson(b_n + e^eta), b_n ~ LogNormal(log of `typical_hz`, 1): spikes that do not depend on the latents."""

    typical_hz: float = 1.0
    priors: dict = dataclasses.field(default_factory=dict)

    def parameters(self, context):
        typical = jnp.full(context.n_neurons, jnp.log(self.typical_hz * context.bin_ms / 1000))
        return {"background": self.sample("background", dist.LogNormal(typical, 1.0), ("neuron",))}

    def start(self, mean, variance):
        return {"background": 0.1 * mean + 1e-4}

    def distribution(self, predictor, parameters):
        return dist.Poisson(parameters["background"] + jnp.exp(predictor))

    def predictor_of_mean(self, mean):
        return jnp.log(mean)


def test_it_is_fitted_scored_saved_loaded_and_reported(recording, tmp_path):
    model = nlb.Model(latents=[nlb.LDS(2)], observation=Background(typical_hz=2.0))
    posterior = nlb.fit(model, recording.split("train"), **BRIEF)
    again, page = check_life(posterior, recording, tmp_path)
    check_needs_its_class(tmp_path, "Background")
    assert again.model.observation == Background(2.0)
    assert "<b>Background</b> (typical_hz 2.0)" in page
    background = posterior.parameter_draws()["background"]
    assert background.shape[1:] == (recording.n_neurons,)
    assert np.all(background > 0)
    other = nlb.Model(latents=[nlb.LDS(2)], observation=Background(3.0))
    with pytest.raises(nlb.InputError, match="observation.typical_hz was '2.0' and is '3.0'"):
        nlb.Posterior.load(tmp_path / "posterior", model=other)
