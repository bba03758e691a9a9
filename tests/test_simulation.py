"""Simulated recordings: drawn as asked, with their truth, and the same again from the files they are written to."""

import numpy as np
import pytest
from numpyro import handlers

import nlbprob as nlb
from nlbprob.cli import main
from nlbprob.simulation import Simulated, reaches, write_nwb

MODEL = nlb.Model(latents=[nlb.LDS(2)])


def test_rates_are_those_of_the_drawn_latents_and_parameters(truth):
    predictor = truth.latents @ truth.parameters["loadings"].T + truth.parameters["baseline"]
    np.testing.assert_allclose(truth.rates, np.exp(predictor), rtol=1e-4)
    pearson = (truth.trials.counts - truth.rates) / np.sqrt(truth.rates)
    assert (pearson**2).mean() == pytest.approx(1.0, abs=0.1)


def test_the_truth_holds_every_parameter_site_and_nothing_else(truth):
    sites = handlers.trace(handlers.seed(MODEL, 0)).get_trace(truth.trials)
    names = {name for name, site in sites.items() if site["type"] == "sample"} - {"lds", "spikes"}
    assert set(truth.parameters) == names


def test_values_that_are_given_are_kept_and_the_rest_drawn():
    baseline = np.linspace(-1.0, 0.0, 6)
    drawn = [nlb.simulate(MODEL, 8, neurons=6, bins=5, seed=seed, values={"baseline": baseline}) for seed in (0, 1, 0)]
    for one in drawn:
        np.testing.assert_allclose(one.parameters["baseline"], baseline, rtol=1e-6)
    assert not np.allclose(drawn[0].parameters["loadings"], drawn[1].parameters["loadings"])
    np.testing.assert_array_equal(drawn[0].trials.counts, drawn[2].trials.counts)


def test_the_design_is_kept(recording):
    drawn = nlb.simulate(MODEL, recording, seed=4).trials
    np.testing.assert_array_equal(drawn.seen, recording.seen)
    np.testing.assert_array_equal(drawn.table["split"], recording.table["split"])
    np.testing.assert_array_equal(drawn.time_ms, recording.time_ms)
    assert drawn.forward_bins == recording.forward_bins
    assert np.all(drawn.counts[~drawn.seen] == 0)


def test_a_fresh_design_holds_out_a_quarter_of_the_neurons_and_a_fifth_of_the_trials():
    trials = nlb.simulate(MODEL, 20, neurons=8, bins=5, bin_ms=10).trials
    assert trials.heldout.sum() == 2
    assert trials.splits == {"train": 16, "val": 4}
    assert trials.bin_ms == 10.0


def test_an_observation_that_draws_no_counts_is_refused():
    with pytest.raises(nlb.InputError, match="Gaussian draws counts that are negative, fractional"):
        nlb.simulate(nlb.Model(latents=[nlb.LDS(1)], observation=nlb.Gaussian()), 4, neurons=3, bins=5)


@pytest.fixture(scope="module")
def reaching():
    return reaches(seed=0)


def test_reaches_look_like_a_reaching_task(reaching):
    trials = reaching.trials
    assert trials.n_neurons >= 100
    assert trials.n_trials <= 150
    assert 1.0 < trials.counts.mean() * 1000 / trials.bin_ms <= 10.0
    assert len(trials.condition_labels) == 8
    assert trials.forward_bins * trials.bin_ms == 200
    assert trials.behavior_name == "hand_vel"
    assert trials.behavior_channels == ("x", "y")


def test_the_velocity_lags_the_neurons(reaching):
    """The latents explain the velocity best where they are read `lag_ms` before it."""
    trials = reaching.trials
    late = round(trials.lag_ms / trials.bin_ms)
    assert late > 0

    def explained(shift):
        """Of the velocity as it is on the clock, by latents `shift` bins earlier."""
        on_clock = trials.behavior[:, : -2 * late]  # bin t holds the velocity at t + lag
        x = reaching.latents[:, late - shift : late - shift + on_clock.shape[1]].reshape(-1, 4)
        y = on_clock.reshape(-1, 2)
        x = np.column_stack([x, np.ones(len(x))])
        return 1 - ((y - x @ np.linalg.lstsq(x, y)[0]) ** 2).sum() / ((y - y.mean(0)) ** 2).sum()

    gains = [explained(shift) for shift in range(0, late + 1, 5)]
    assert np.argmax(gains) == len(gains) - 1
    assert gains[-1] > 0.95


def test_a_recording_is_the_same_again_from_its_files(reaching, tmp_path):
    small = reaching.trials.select(trials=np.arange(12), neurons=np.arange(20))
    train, test = write_nwb(tmp_path, Simulated(small, reaching.rates, reaching.latents, {}))
    options = {"bin_ms": 5, "forward_ms": 200, "behavior": "hand_vel", "lag_ms": 100, "condition": ["condition"]}
    found = nlb.load(train, **options)
    np.testing.assert_array_equal(found.counts, small.counts)
    np.testing.assert_array_equal(found.seen, small.seen)
    np.testing.assert_array_equal(found.heldout, small.heldout)
    np.testing.assert_array_equal(found.table["split"], small.table["split"])
    np.testing.assert_allclose(found.behavior, small.behavior, atol=1e-4)
    rest = nlb.load(test, bin_ms=5)
    rows = small.table["split"] != "train"
    assert rest.n_neurons == small.heldin.sum()
    np.testing.assert_array_equal(rest.counts, small.counts[rows][:, : small.window_bins, small.heldin])


def test_the_command_writes_a_pair_that_loads(tmp_path, capsys):
    words = ["simulate", "poisson_lds", "--out", str(tmp_path), "--trials", "6", "--neurons", "9", "--bins", "7"]
    assert main([*words, "--bin-ms", "10", "--model.dim", "2"]) == 0
    assert "Fit the first" in capsys.readouterr().out
    (train,) = tmp_path.glob("*train*.nwb")
    trials = nlb.load(train, bin_ms=10)
    assert trials.counts.shape == (6, 7, 9)


def test_regimes_are_those_that_moved_the_latents():
    """Two regimes with far fixed points and little noise: the latents themselves tell which."""
    values = {
        "slds.matrix": np.stack([0.5 * np.eye(1)] * 2),
        "slds.offset": np.array([[-1.0], [1.0]]),
        "slds.noise": np.full((2, 1, 1), 1e-4),
        "slds.transition": np.array([[0.9, 0.1], [0.2, 0.8]]),
        "slds.initial": np.array([0.5, 0.5]),
    }
    model = nlb.Model(latents=[nlb.SwitchingLDS(2, 1)])
    drawn = nlb.simulate(model, 40, neurons=3, bins=50, seed=0, values=values)
    regime = drawn.states["slds.regime"]
    step = drawn.latents[:, 1:, 0] - 0.5 * drawn.latents[:, :-1, 0]
    np.testing.assert_array_equal(regime[:, 1:] == 1, step > 0)
    before, after = regime[:, :-1].ravel(), regime[:, 1:].ravel()
    assert after[before == 0].mean() == pytest.approx(0.1, abs=0.03)
    assert after[before == 1].mean() == pytest.approx(0.8, abs=0.05)
