"""Priors of covariances have the means that docstrings state."""

import jax.numpy as jnp
import numpy as np
import numpyro
import pytest

import nlbprob as nlb
from nlbprob.blocks.base import Context


def flow(x):
    return -0.1 * x


@pytest.mark.parametrize(
    ("block", "means"),
    [
        (nlb.LDS(3), {"lds.initial_covariance": 1.0}),
        (nlb.SwitchingLDS(2, 3), {"slds.initial_covariance": 1.0, "slds.noise": 0.05}),
        (nlb.Flow(flow, 3), {"flow.initial_covariance": 1.0, "flow.noise": 0.05}),
    ],
)
def test_means_are_as_stated(recording, block, means):
    context = Context.of(recording)
    with numpyro.handlers.seed(rng_seed=0), numpyro.handlers.trace() as trace:
        block.prior(context)
    for name, scale in means.items():
        mean = np.asarray(trace[name]["fn"].mean)
        np.testing.assert_allclose(mean, np.broadcast_to(scale * jnp.eye(3), mean.shape), rtol=1e-5, atol=1e-7)
