"""Principal angles between subspaces, against planted ones."""

import numpy as np
import pytest

import nlbprob as nlb
from nlbprob.posterior.angles import Subspace, dataset, principal_angles
from tests.infer.known import posterior_at

MODEL = nlb.Model(latents=[nlb.LDS(2, dynamics="modal"), nlb.GP(nlb.Matern32(), 1)])
NEURONS, PLANTED = 12, 30.0


@pytest.fixture(scope="module")
def made():
    """Neurons of two areas, a reading the LDS alone and b the GP and one latent; blocks at 30 degrees."""
    loadings = np.zeros((NEURONS, 3))
    random = np.random.default_rng(0)
    basis = np.linalg.qr(random.standard_normal((NEURONS, 3)))[0]
    loadings[:, :2] = 2 * basis[:, :2]
    angle = np.deg2rad(PLANTED)
    loadings[:, 2] = 2 * (np.cos(angle) * basis[:, 0] + np.sin(angle) * basis[:, 2])
    values = {"loadings": loadings, "baseline": np.full(NEURONS, -0.5)}
    found = nlb.simulate(MODEL, 12, neurons=NEURONS, bins=15, bin_ms=20, seed=2, values=values)
    area = np.where(np.arange(NEURONS) < 6, "M1", "PMd")
    side = np.where(np.arange(12) % 2, "left", "right")
    trials = found.trials.replace(
        neurons=found.trials.neurons | {"area": area}, table=found.trials.table | {"side": side}, condition=("side",)
    )
    return nlb.Simulated(trials, found.rates, found.latents, found.parameters)


@pytest.fixture(scope="module")
def posterior(made):
    return posterior_at(made, MODEL, width=0.02)


def test_blocks_are_at_the_planted_angle(posterior):
    found = posterior.subspace_angles().sel(subspace="lds", subspace_2="gp")
    assert found["angle_deg"].values[0] == pytest.approx(PLANTED, abs=0.1)
    assert np.isnan(found["angle_deg"].values[1])
    assert found["low_deg"].values[0] < PLANTED < found["high_deg"].values[0]
    assert 45 < found["chance_deg"].values[0] < 90
    assert found["angle_deg"].attrs["units"] == "degrees"


def test_areas_read_the_directions_of_their_loadings(posterior, made):
    found = posterior.subspace_angles(made.trials, "area", dim=1).sel(subspace="M1", subspace_2="PMd")
    loadings = made.parameters["loadings"]
    first, second = (np.linalg.svd(loadings[rows])[2][0] for rows in (slice(0, 6), slice(6, 12)))
    expected = np.rad2deg(np.arccos(abs(first @ second)))
    assert found["angle_deg"].values[0] == pytest.approx(expected, abs=0.1)


def test_conditions_are_compared_where_their_average_latents_go(posterior, made):
    found = posterior.subspace_angles(made.trials, "condition", dim=1, draws=20)
    mean = posterior.latents(made.trials)["mean"].values
    axes = []
    for side in found["subspace"].values:
        course = mean[made.trials.table["side"] == side].mean(0)
        axes.append(np.linalg.svd(course - course.mean(0))[2][0])
    expected = np.rad2deg(np.arccos(min(abs(axes[0] @ axes[1]), 1.0)))
    assert found["angle_deg"].values[0, 1, 0] == pytest.approx(expected, abs=0.2)


def test_fits_are_compared_in_the_space_of_neurons(posterior, made):
    same = nlb.subspace_angles({"one": posterior, "again": posterior}, draws=5)
    np.testing.assert_allclose(same["angle_deg"].values, 0, atol=1e-4)
    with pytest.raises(nlb.InputError, match="two subspaces or more, and there are 1"):
        nlb.subspace_angles({"one": posterior})
    with pytest.raises(nlb.InputError, match=r"posteriors\['b'\] is of type Trials: give a fit"):
        nlb.subspace_angles({"a": posterior, "b": made.trials})
    with pytest.raises(nlb.InputError, match="posteriors is of type Posterior.*fits by name"):
        nlb.subspace_angles(posterior)


def test_random_subspaces_are_at_the_angle_of_chance():
    """In the plane two random lines are at an angle that is uniform from 0 to 90 degrees."""
    line = Subspace(np.eye(2)[:, :1], np.eye(2)[None, :, :1])
    found = dataset({"a": line, "b": line}, 0)
    assert found["chance_deg"].values[0, 1, 0] == pytest.approx(45, abs=8)


def test_degrees_are_in_order():
    turned = np.eye(4)[:, :2].copy()
    turned[[0, 2], 0] = np.cos(0.3), np.sin(0.3)
    np.testing.assert_allclose(principal_angles(np.eye(4)[:, :2], turned), np.rad2deg([0, 0.3]), atol=1e-5)


def test_what_there_is_not_is_told(posterior, made):
    with pytest.raises(nlb.InputError, match="give trials=... too"):
        posterior.subspace_angles(between="area")
    with pytest.raises(nlb.InputError, match="no such neurons column.*area"):
        posterior.subspace_angles(made.trials, "aera")
    with pytest.raises(nlb.InputError, match=r"subspace_angles\(dim=9\)"):
        posterior.subspace_angles(made.trials, "area", dim=9)
