"""A shrinkage prior of a user's own is one class."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist

import nlbprob as nlb
from tests.extension.lifecycle import BRIEF, check_life, check_needs_its_class


@dataclasses.dataclass(frozen=True, eq=False)
class StudentT(nlb.Shrinkage):
    """c_nk ~ StudentT(df, 0, w), w ~ HalfCauchy(scale): large loadings are shrunk less than under a normal."""

    scale: float = 0.5
    df: float = 4.0
    names = ("width",)

    def parameters(self, readout, dim):
        return {"width": readout.sample("width", dist.HalfCauchy(self.scale), ())}

    def start(self, dim):
        return {"width": jnp.asarray(self.scale)}

    def distribution(self, shape, values):
        return dist.StudentT(self.df, 0.0, values["width"]).expand(shape)


def test_it_is_fitted_scored_saved_loaded_and_reported(recording, tmp_path):
    model = nlb.Model(latents=[nlb.LDS(2)], readout=nlb.LinearReadout(StudentT(df=3.0), name="out"))
    posterior = nlb.fit(model, recording.split("train"), **BRIEF)
    again, page = check_life(posterior, recording, tmp_path)
    check_needs_its_class(tmp_path, "StudentT")
    assert again.model.readout.prior == StudentT(0.5, 3.0)
    assert "shrinkage StudentT(scale=0.5, df=3.0)" in page
    width = posterior.parameter_draws()["out.width"]
    assert np.all(width > 0)
    assert np.std(width) > 0
    assert 0.3 < np.mean(width) / np.std(posterior.values["out.loadings"]) < 2.0


def test_its_parameter_takes_the_prior_that_the_readout_is_given():
    priors = {"width": dist.LogNormal(0.0, 0.1)}
    assert nlb.LinearReadout(StudentT(), priors=priors).priors == priors


def test_its_quadratic_touches_its_density_and_lies_below_it():
    prior, values = StudentT(), {"width": jnp.asarray(0.3)}
    density = dist.StudentT(4.0, 0.0, 0.3).log_prob
    for loading in (0.1, 0.6, 2.0):
        precision = prior.precision(jnp.full((1, 1), loading), values)[0, 0]
        grid = jnp.linspace(-3, 3, 401)
        quadratic = density(loading) - 0.5 * precision * (grid**2 - loading**2)
        assert np.all(quadratic <= density(grid) + 1e-5)
