"""Priors of covariances have the means that the blocks state."""

import jax
import numpy as np
import numpyro
import pytest

import nlbprob as nlb
from nlbprob.blocks.base import Context

CONTEXT = Context(20.0, np.full(10, 0.1), 8)
BLOCKS = {
    "lds": nlb.LDS(2),
    "slds": nlb.SwitchingLDS(2, 2),
    "flow": nlb.Flow(lambda x: -0.1 * x, 2),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_covariances_have_the_means_that_are_stated(name):
    traced = numpyro.handlers.trace(numpyro.handlers.seed(BLOCKS[name].prior, jax.random.key(0))).get_trace(CONTEXT)
    means = {site.removeprefix(f"{name}."): value["fn"].mean for site, value in traced.items() if "covariance" in site}
    np.testing.assert_allclose(means["initial_covariance"], np.eye(2), rtol=1e-5)
    if name != "lds":
        noise = traced[f"{name}.noise"]["fn"].mean
        np.testing.assert_allclose(noise, np.broadcast_to(0.05 * np.eye(2), noise.shape), rtol=1e-5, atol=1e-8)
