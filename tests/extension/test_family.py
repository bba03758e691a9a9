"""A family of distributions over the parameters is one class."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

import nlbprob as nlb
from nlbprob.infer.fit.checkpoint import Checkpoints
from tests.extension.lifecycle import BRIEF, check_life


@dataclasses.dataclass(frozen=True, eq=False)
class Heavy(nlb.Family, name="heavy"):
    """A Student t distribution for each parameter, independent of all others."""

    df: float = 5.0
    words = "independent Student t distributions"

    def sample(self, frames, enough_trials):
        for group, frame in frames.items():
            log_scale = self.log_scale(group, frame)
            student = dist.StudentT(self.df, jnp.zeros_like(frame.centre), 1.0).to_event(2)
            draw = self.auxiliary(group, student)
            yield group, self.shift(group, frame) + jnp.exp(log_scale) * draw, log_scale.sum()


MODEL = nlb.Model(latents=[nlb.LDS(2)])
#: The second stage takes two calls of seven steps.
NUMBERS = {name: value for name, value in BRIEF.items() if name != "progress"} | {"svi_steps": 14}


@pytest.fixture(scope="module")
def posterior(recording):
    return nlb.fit(MODEL, recording.split("train"), posterior=Heavy(df=3.0), progress=False, **NUMBERS)


def test_it_is_fitted_scored_saved_loaded_and_reported(posterior, recording, tmp_path):
    again, page = check_life(posterior, recording, tmp_path)
    assert again.config["posterior"] == "heavy"
    assert "parameters: independent Student t distributions" in page
    assert "parameters 'heavy'" in repr(again)
    rows = posterior.draws["loadings"] - np.median(posterior.draws["loadings"], 0)
    low, high = np.quantile(np.abs(rows), [0.5, 0.99], axis=0)
    assert np.median(high / low) > 5  # 3.8 of a normal, 7.6 of this distribution


def test_a_fit_with_it_is_resumed_amid_its_steps(posterior, recording, tmp_path):
    learned = recording.split("train")
    running = nlb.steps(MODEL, learned, nlb.FitConfig(posterior=Heavy(df=3.0), **NUMBERS))
    for _, info in running:
        if info.stage == "svi":
            break
    assert running.state.stage == "svi"
    Checkpoints(running, tmp_path).write()
    again = nlb.fit(MODEL, learned, posterior=Heavy(df=3.0), checkpoint=tmp_path, progress=False, **NUMBERS)
    np.testing.assert_array_equal(again.draws["loadings"], posterior.draws["loadings"])
    with pytest.raises(nlb.InputError, match="another configuration"):
        nlb.fit(MODEL, learned, posterior=Heavy(df=4.0), checkpoint=tmp_path, progress=False, **NUMBERS)
