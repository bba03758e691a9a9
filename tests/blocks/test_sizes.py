"""How many latents blocks have where none is given."""

import numpy as np
import pytest

import nlbprob as nlb


def trials_of(neurons, seconds, bins=100, bin_ms=20.0):
    """Trials of two seconds each, which together last so long."""
    count = round(seconds * 1000 / (bins * bin_ms))
    counts = np.zeros((count, bins, neurons), np.uint8)
    counts[:, 0] = 1
    return nlb.Trials.from_arrays(counts, bin_ms=bin_ms)


@pytest.mark.parametrize(
    ("neurons", "seconds", "dim"),
    [
        (100, 40, 10),
        (100, 60, 10),
        (100, 240, 20),
        (400, 120, 28),
        (400, 960, 32),
        (5000, 10, 32),
        (137, 10, 12),
        (1, 10, 1),
    ],
)
def test_dynamics_have_more_latents_where_there_are_more_neurons_and_minutes(neurons, seconds, dim):
    trials = trials_of(neurons, seconds)
    assert nlb.LDS().resolve(trials).dim == dim
    assert nlb.SwitchingLDS().resolve(trials).dim == dim
    assert nlb.LDS(3).resolve(trials).dim == 3


def test_unseen_bins_are_no_time():
    trials = trials_of(100, 240)
    seen = trials.seen.copy()
    seen[: len(seen) // 2] = False
    assert nlb.LDS().resolve(trials.replace(seen=seen)).dim == round(np.sqrt(200))


def test_processes_follow_the_neurons_alone():
    assert nlb.GP().resolve(trials_of(100, 240)).dim == 10
    assert nlb.GP().resolve(trials_of(900, 240)).dim == 24
