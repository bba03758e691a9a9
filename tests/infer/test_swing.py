"""EM does not swing about its optimum where few trials are long.

The steps of baselines, of the latents' mean and of their dynamics go the same way there, one after another.
"""

import numpy as np
import pytest

import nlbprob as nlb
from nlbprob.infer.em.steps import EM

pytestmark = pytest.mark.usefixtures("optimized")

MODEL = nlb.Model(latents=[nlb.LDS(11)])
OPTIONS = {"seed": 0, "progress": False, "svi_steps": 0}


@pytest.fixture(scope="module")
def learned(shared):
    return nlb.load(shared / "data" / "aplysia_jan1912.nwb", bin_ms=50).split("train")


def test_accelerated_em_ends_near_its_highest_bound(learned):
    """It has been seen to end 2.6 nats lower; why is not known."""
    posterior = nlb.fit(MODEL, learned, **OPTIONS)
    assert posterior.verdict.startswith("Converged.")
    assert min(posterior.elbo[-10:]) > posterior.elbo.max() - 10.0
    assert posterior.elbo[-1] > posterior.elbo.max() - 5.0


def test_em_without_acceleration_does_not_swing_at_all(learned, monkeypatch):
    monkeypatch.setattr(EM, "accelerated", False)
    posterior = nlb.fit(MODEL, learned, em_iterations=60, **OPTIONS)
    assert np.diff(posterior.elbo).min() > -1.0
