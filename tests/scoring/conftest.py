"""Simulated recordings of known rates for the tests of scores and baselines."""

import numpy as np
import pytest

from nlbprob.data.trials import Trials


@pytest.fixture
def make_trials():
    """A function that draws (Trials, true rates): one smooth latent drives rates, its sign is the condition."""

    def draw(n_trials=20, n_bins=30, n_neurons=10, seed=0, bin_ms=20.0, forward_bins=0, mean=0.3, **fields):
        generator = np.random.default_rng(seed)
        condition = np.arange(n_trials) % 2
        time = np.linspace(0, 2 * np.pi, n_bins)
        latent = (2 * condition - 1)[:, None] * np.sin(time) + 0.5 * generator.normal(size=(n_trials, 1)) * np.cos(time)
        rates = mean * np.exp(latent[..., None] * generator.normal(size=n_neurons))
        behavior = np.stack([latent, np.gradient(latent, axis=1)], axis=2)
        split = np.where(np.arange(n_trials) % 5 == 4, "val", "train")
        arguments = {
            "counts": generator.poisson(rates),
            "seen": np.ones(rates.shape, dtype=bool),
            "bin_ms": bin_ms,
            "neurons": {"id": 100 + np.arange(n_neurons), "heldout": np.arange(n_neurons) % 3 == 2},
            "table": {"id": np.arange(n_trials), "split": split, "condition": condition},
            "time_ms": bin_ms * np.arange(n_bins),
            "forward_bins": forward_bins,
            "condition": ("condition",),
            "behavior": behavior + 0.1 * generator.normal(size=behavior.shape),
            "behavior_name": "hand_vel",
        }
        trials = Trials(**{name: np.asarray(v) if name == "counts" else v for name, v in (arguments | fields).items()})
        return trials, rates

    return draw
