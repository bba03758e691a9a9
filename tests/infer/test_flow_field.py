"""The flow of the dynamics in a plane: its arrows, fixed points and their stability, against closed forms."""

import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

import nlbprob as nlb
from tests.infer.known import posterior_at

BIN_MS = 20.0


def simulated(model, values=None, neurons=9):
    return nlb.simulate(model, 4, neurons=neurons, bins=8, bin_ms=BIN_MS, seed=0, values=values)


@pytest.fixture(scope="module")
def linear():
    model = nlb.Model(latents=[nlb.LDS(3, name="a"), nlb.GP(nlb.Matern32(), 2)])
    return posterior_at(simulated(model), model, width=0.05)


def test_arrows_are_those_of_the_transition_matrix(linear):
    found = linear.flow((2, 0), reach=2.0, points=5)
    assert found["axis"].values.tolist() == ["a 3", "a 1"]
    matrix = linear.parameter_mean["a.transition_matrix"]
    for y, x in ((0, 0), (1, 4), (3, 2)):
        state = np.zeros(3)
        state[2], state[0] = found["x"].values[x], found["y"].values[y]
        velocity = (matrix @ state - state) * 1000 / BIN_MS
        np.testing.assert_allclose(found["velocity"].values[0, y, x], velocity[[2, 0]], rtol=1e-4, atol=1e-5)
    assert found["velocity"].attrs["units"] == "1/s"


def test_a_linear_flow_has_one_fixed_point_with_its_modes(linear):
    found, modes = linear.flow(), linear.dynamics()
    np.testing.assert_allclose(found["fixed_point"].values, np.zeros((1, 1, 3)), atol=1e-6)
    assert found["stable"].values.all()
    assert found["probability_stable"].item() == 1.0
    assert set(np.round(found["decay_ms"].values.ravel(), 1)) == set(np.round(modes["mean_decay_ms"].values, 1))


def double_well(x):
    rate = numpyro.sample("rate", dist.LogNormal(-2.0, 1.0))
    return rate * np.array([1.0, 0.0]) * (x - x**3) - 0.1 * np.array([0.0, 1.0]) * x


def test_a_double_well_has_two_stable_points_and_one_that_is_not():
    model = nlb.Model(latents=[nlb.Flow(double_well, 2)])
    posterior = posterior_at(simulated(model, {"flow.rate": 0.2}), model)
    found = posterior.flow(reach=2.0, points=5)
    order = np.argsort(found["fixed_point"].values[0, :, 0])
    np.testing.assert_allclose(found["fixed_point"].values[0, order], [[-1, 0], [0, 0], [1, 0]], atol=1e-3)
    assert found["stable"].values[0, order].tolist() == [True, False, True]
    np.testing.assert_allclose(found["probability_stable"].values[0, order], [1, 0, 1])
    # At the wells f'(1) = -2 rate, so that a bin keeps 0.6; at the top it grows by 1.2.
    slow = np.sort(found["decay_ms"].values[0, order], axis=1)
    np.testing.assert_allclose(slow[0], np.sort([-BIN_MS / np.log(0.6), -BIN_MS / np.log(0.9)]), rtol=1e-3)
    np.testing.assert_allclose(slow[1, 0], -BIN_MS / np.log(1.2), rtol=1e-3)
    np.testing.assert_allclose(
        found["velocity"].values[0, 2, :, 0], 0.2 * (found["x"] - found["x"] ** 3) * 50, atol=1e-4
    )
    assert (found["velocity_sd"].values < 1e-3).all()


def test_each_regime_has_its_own_flow():
    model = nlb.Model(latents=[nlb.SwitchingLDS(2, 2)])
    matrices = np.array([0.9 * np.eye(2), 0.6 * np.eye(2)])
    made = simulated(model, {"slds.matrix": matrices, "slds.offset": np.array([[0.0, 0.0], [0.4, 0.0]])})
    found = posterior_at(made, model).flow(points=5)
    assert found.sizes["regime"] == 2
    decay = found["decay_ms"].values[:, 0]
    np.testing.assert_allclose(decay, -BIN_MS / np.log([[0.9, 0.9], [0.6, 0.6]]), rtol=1e-3)
    middle = found["velocity"].values[:, 2, 2]
    assert np.linalg.norm(middle[1]) > 1
    np.testing.assert_allclose(middle[0], 0, atol=1e-4)


def test_what_has_no_flow_is_told(linear):
    with pytest.raises(nlb.InputError, match=r"'gp' \(GP\) has no flow"):
        linear.flow((3, 4))
    with pytest.raises(nlb.InputError, match=r"flow\(latents=\(0, 3\)\): give two latents of one block"):
        linear.flow((0, 3))
    with pytest.raises(nlb.InputError, match=r"latents\[1\]=9.*whole number, from 0 to 4"):
        linear.flow((0, 9))
