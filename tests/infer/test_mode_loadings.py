"""How far each mode of the dynamics moves each neuron, against states that are moved in the mode by hand."""

import numpy as np
import pytest

import nlbprob as nlb
from nlbprob.posterior.mode_draws import read_states
from tests.infer.known import posterior_at

BIN_MS = 20.0


@pytest.fixture(scope="module")
def known():
    """Two blocks with modes, one of them of dense dynamics, and a GP, which has none."""
    model = nlb.Model(latents=[nlb.LDS(3, name="a"), nlb.LDS(2, "modal", name="b"), nlb.GP(nlb.Matern32(), 1)])
    trials = nlb.simulate(model, 4, neurons=9, bins=8, bin_ms=BIN_MS, seed=0)
    return posterior_at(trials, model, width=0.05)


def moved(transition, loadings, eigenvalue):
    """Root mean square of the predictors while the state turns in a mode without fading, with a mean square of 1."""
    values, vectors = np.linalg.eig(transition)
    vector = vectors[:, np.argmin(np.abs(values - eigenvalue))]
    phases = np.exp(2j * np.pi * np.arange(400) / 400) if abs(eigenvalue.imag) > 1e-9 else np.ones(1)
    states = np.real(phases[:, None] * vector)
    states /= np.sqrt((states**2).sum(1).mean())
    return np.sqrt(((states @ loadings.T) ** 2).mean(0))


def test_loadings_on_modes_are_those_of_states_that_move_in_them(known):
    found, mean = known.dynamics(), known.parameter_mean
    assert found["mean_loading"].dims == ("mode", "neuron")
    assert found["neuron"].values.tolist() == list(known.neuron_ids)
    for mode in found["mode"].values:
        one = found.sel(mode=mode)
        block = str(one["block"].item())
        turn = 2 * np.pi * one["mean_frequency_hz"].item() * BIN_MS / 1000
        eigenvalue = one["mean_modulus"].item() * np.exp(1j * turn)
        loadings = mean["loadings"][:, known.model.slices[block]]
        expected = moved(mean[f"{block}.transition_matrix"], loadings, eigenvalue)
        np.testing.assert_allclose(one["mean_loading"], expected, rtol=2e-3, atol=1e-4)


def test_draws_lie_about_the_loadings_at_the_centre(known):
    found = known.dynamics(draws=100)
    rotation = found.sel(mode=found["block"] == "b")  # whose modes keep their directions
    spread = rotation["loading"].std("sample")
    distance = np.abs(rotation["loading"].mean("sample") - rotation["mean_loading"])
    assert (spread > 0).all()
    assert float((distance / spread).max()) < 1.5


@pytest.mark.parametrize("bins", [(), (5,)])
def test_states_are_read_through_the_emission(bins):
    rng = np.random.default_rng(0)
    loadings, emission, rows = rng.normal(size=(3, 4, 2)), rng.normal(size=(6, *bins, 2, 3)), np.array([5, 0, 5])
    found = read_states(loadings, emission, rows)
    for draw, row in enumerate(rows):
        mean = emission[row].mean(0) if bins else emission[row]
        np.testing.assert_allclose(found[draw], loadings[draw] @ mean)
        np.testing.assert_allclose(read_states(loadings[draw], emission[row]), loadings[draw] @ mean)
    assert read_states(loadings, None) is loadings
