"""Structure that was planted in a recording is read off a fit of it."""

import numpy as np
import pytest

import nlbprob as nlb
from tests.conftest import EM_ALONE

BIN_MS = 20.0


@pytest.mark.slow
def test_a_neuron_that_one_latent_alone_moves_loads_on_it_alone():
    """Two rotations of different frequency, and a neuron that reads the second; the first reads both."""
    model = nlb.Model(latents=[nlb.LDS(4, dynamics="modal")])
    random = np.random.default_rng(0)
    loadings = 0.5 * random.standard_normal((20, 4))
    loadings[3, :2], loadings[3, 2:] = 0.0, 0.7
    values = {
        "lds.frequency_hz": np.array([1.0, 4.0]),
        "lds.decay_ms": np.array([400.0, 400.0]),
        "loadings": loadings,
        "baseline": np.full(20, np.log(0.6)),
    }
    made = nlb.simulate(model, 60, neurons=20, bins=50, bin_ms=BIN_MS, seed=1, values=values)
    posterior = nlb.fit(model, made.trials, **EM_ALONE | {"em_iterations": 30})
    frequency = posterior.parameter_mean["lds.frequency_hz"]
    fast = int(np.argmax(frequency))
    np.testing.assert_allclose(np.sort(frequency), [1, 4], atol=0.4)
    size = np.linalg.norm(posterior.parameter_mean["loadings"].reshape(20, 2, 2), axis=-1)
    assert size[3, fast] > 4 * size[3, 1 - fast]
    low, high = np.quantile(posterior.draws["loadings"][:, 3].reshape(-1, 2, 2)[:, 1 - fast], [0.02, 0.98], axis=0)
    assert ((low < 0) & (high > 0)).all()


def slow_and_fast(seed=2):
    """A rotation of 3 Hz in neurons of one area, a drift over the whole trial in those of another; some read both."""
    model = nlb.Model(latents=[nlb.LDS(2, dynamics="modal"), nlb.GP(nlb.Matern52(), 1)])
    random = np.random.default_rng(seed)
    area = np.repeat(["M1", "PMd", "both"], 8)
    loadings = random.choice([-1.0, 1.0], (24, 3)) * random.uniform(0.4, 0.8, (24, 3))
    loadings[area == "M1", 2] = 0.0
    loadings[area == "PMd", :2] = 0.0
    values = {
        "lds.frequency_hz": np.array([3.0]),
        "lds.decay_ms": np.array([200.0]),
        "gp.lengthscale_ms": np.array([700.0]),
        "loadings": loadings,
        "baseline": np.full(24, np.log(0.5)),
    }
    made = nlb.simulate(model, 60, neurons=24, bins=50, bin_ms=BIN_MS, seed=seed, values=values)
    return model, made, made.trials.replace(neurons=made.trials.neurons | {"area": area})


@pytest.mark.slow
def test_the_gp_takes_the_drift_and_each_area_loads_on_its_block():
    model, made, trials = slow_and_fast()
    posterior = nlb.fit(model, trials, **EM_ALONE | {"em_iterations": 40})
    latents = posterior.latents(trials)["mean"].values
    drift = made.latents[..., 2].ravel()

    def correlation(values):
        return abs(np.corrcoef(values.ravel(), drift)[0, 1])

    assert correlation(latents[..., 2]) > 0.85
    assert max(correlation(latents[..., 0]), correlation(latents[..., 1])) < 0.3
    assert posterior.parameter_mean["gp.lengthscale_ms"][0] > 350
    assert posterior.dynamics()["mean_frequency_hz"].values.max() == pytest.approx(3, abs=0.5)
    squares, area = posterior.parameter_mean["loadings"] ** 2, trials.neurons["area"]
    fraction = squares[:, 2] / squares.sum(1)
    assert np.median(fraction[area == "M1"]) < 0.1
    assert np.median(fraction[area == "PMd"]) > 0.9
    angles = posterior.subspace_angles(trials, "area", dim=1, draws=20)["angle_deg"]
    assert angles.sel(subspace="M1", subspace_2="PMd").item() > 70


def moved_by_an_event(seed=0, trials=60, bins=60, neurons=24):
    """Latents that rest about zero, and turn at 3 Hz for 300 ms from 100 ms after an event; and the event's times."""
    random = np.random.default_rng(seed)
    angle = 2 * np.pi * 3.0 * BIN_MS / 1000
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    event_ms = random.uniform(300, 600, trials)
    latents = np.zeros((trials, bins, 2))
    turning = np.zeros((trials, bins), bool)
    for trial, time in enumerate(event_ms):
        state = np.zeros(2)
        for step in range(bins):
            turning[trial, step] = time + 100 <= step * BIN_MS < time + 400
            if turning[trial, step]:
                started = turning[trial, step - 1]
                state = turn @ state if started else np.array([2.0, 0.0])
                state = state + 0.05 * random.standard_normal(2)
            else:
                state = 0.6 * state + 0.15 * random.standard_normal(2)
            latents[trial, step] = state
    loadings = random.choice([-1.0, 1.0], (neurons, 2)) * random.uniform(0.4, 0.8, (neurons, 2))
    counts = random.poisson(np.exp(latents @ loadings.T + np.log(0.5)))
    return nlb.Trials.from_arrays(counts, bin_ms=BIN_MS), event_ms, turning


@pytest.mark.slow
def test_a_regime_that_follows_an_event_is_found_to_follow_it():
    trials, event_ms, turning = moved_by_an_event()
    posterior = nlb.fit(nlb.Model(latents=[nlb.SwitchingLDS(2, 2)]), trials, **EM_ALONE | {"em_iterations": 30})
    found = posterior.switching(trials, event_ms, draws=20)
    around = found["probability"].mean("sample")
    after = around.sel(lag=slice(160, 340)).mean("lag")
    follows = int(after.values.argmax())
    assert after[follows] > 0.85
    assert around.sel(lag=slice(-300, -20)).mean("lag")[follows] < 0.15
    assert abs(found["entry_hz"].mean("sample")[follows].idxmax("lag").item() - 100) <= 2 * BIN_MS
    median = found.isel(regime=follows).median("sample")
    assert median["dwell_ms"].item() == pytest.approx(300, rel=0.35)
    assert median["frequency_hz"].max().item() == pytest.approx(3, abs=0.5)
    assert median["occupancy"].item() == pytest.approx(turning.mean(), abs=0.05)
