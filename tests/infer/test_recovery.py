"""Short forms of the recovery and coverage studies of `make validate`, and the measures that they take."""

import numpy as np
import pytest
import xarray as xr

import nlbprob as nlb
from tests.studies import load

recovery, coverage, goals, dense = load("recovery"), load("coverage"), load("goals"), load("dense")


def test_frequencies_and_decay_times_are_found():
    found = recovery.modal(0, trials=50, bins=60, neurons=20, family="map")
    assert max(found["frequency_hz_error"]) < 0.15
    assert max(found["decay_ms_error"]) < 0.35


@pytest.mark.slow
def test_regimes_are_found():
    found = recovery.switching(0, trials=30, bins=50, neurons=30, starts=1)
    assert found["oracle"][0] > 0.7
    assert found["ratio"][0] > 0.9


@pytest.mark.slow
def test_templates_are_found():
    found = recovery.templates(0, trials=300, starts=3)
    assert found["oracle"][0] > 0.7
    assert found["ratio"][0] > 0.85


@pytest.mark.slow
def test_latents_too_many_are_pruned():
    assert recovery.pruning(0, trials=40, bins=40, neurons=20, dim=4)["left"] == [2]


def test_labels_are_matched_before_they_are_compared():
    true = np.array([[0, 0, 1, 2], [2, 2, 1, 0]])
    assert recovery.accuracy(np.eye(3)[(true + 1) % 3], true) == 1.0
    changed = true.copy()
    changed[0, 0] = 1
    assert recovery.accuracy(np.eye(3)[(changed + 1) % 3], true) == pytest.approx(7 / 8)


def test_intervals_of_the_right_distribution_hold_nine_tenths():
    random = np.random.default_rng(0)
    found = coverage.inside(random.standard_normal((2000, 4000)), random.standard_normal(4000))
    assert np.mean(found) == pytest.approx(0.9, abs=0.02)
    assert np.mean(coverage.inside(0.5 * random.standard_normal((2000, 4000)), random.standard_normal(4000))) < 0.7


def test_a_linear_map_is_undone():
    random = np.random.default_rng(0)
    true = random.standard_normal((5, 7, 2))
    draws = (true + 0.1 * random.standard_normal((300, 5, 7, 2))) @ np.array([[0.0, 2.0], [-1.0, 1.0]]) + 3.0
    np.testing.assert_allclose(coverage.mapped(draws, true).mean(0), true, atol=0.03)


def test_shares_are_those_of_the_blocks_variances():
    random = np.random.default_rng(0)
    model = nlb.Model(latents=[nlb.LDS(2), nlb.GP(nlb.Matern32(), 1)])
    latents, loadings = random.standard_normal((50, 60, 3)), random.standard_normal((8, 3))
    expected = (loadings[:, :2] ** 2).sum() / (loadings**2).sum()
    assert coverage.share(latents, loadings, model) == pytest.approx(expected, abs=0.02)


class Modes:
    """A posterior of two modes, the second of which is a plane of 2.0 Hz that lasts 200 ms."""

    def dynamics(self, draws):
        spread = np.exp(0.1 * np.random.default_rng(0).standard_normal((draws, 2)))
        sites = {"frequency_hz": [0.5, 2.0], "decay_ms": [900.0, 200.0]}
        return xr.Dataset({name: (("sample", "mode"), centre * spread) for name, centre in sites.items()})


def test_a_plane_is_compared_with_the_mode_nearest_to_it():
    found = dense.modes(Modes(), np.array([2.1]), np.array([300.0]))
    assert found["frequency_hz"] == [1.0]
    assert found["frequency_hz_z"][0] == pytest.approx(-0.5, abs=0.3)
    assert found["decay_ms"] == [0.0]
    assert found["decay_ms_z"][0] == pytest.approx(-4.0, abs=0.6)


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(dense.OBSERVATIONS))
def test_modes_of_dense_dynamics_are_found(kind):
    found = dense.dense(0, kind, trials=40)
    assert max(map(abs, found["frequency_hz_z"])) < 4
    assert 0.7 < found["rates"][0] < 1.0


def test_a_goal_counts_values_within_its_limits():
    goal = goals.Goal("errors", "error", 0.75, 0, 0.1)
    line = goal.line("study", [{"error": [0.05, 0.2]}, {"error": [0.01, 0.09]}])
    assert (line["found"], line["met"]) == (0.75, True)
    assert not goal.line("study", [{"error": [0.05, 0.2]}])["met"]
    assert not goals.Goal("intervals", "covered", 0.8, most=0.97).line("study", [{"covered": [1.0, 1.0]}])["met"]
