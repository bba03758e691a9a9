"""Stitched sessions: their latents are the same, whichever neurons a trial sees."""

import numpy as np
import pytest
import scipy.stats

import nlbprob as nlb
from nlbprob.blocks.base import Context
from nlbprob.infer.start import initial as initialize
from nlbprob.infer.start import sessions
from nlbprob.model_file import load_model
from nlbprob.simulation import blank
from tests.studies import load

DIM, BIN_MS = 2, 20.0
recovery = load("recovery")
angle, simulated = recovery.angle, recovery.two_sessions


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_sessions_share_the_subspace(seed):
    truth = simulated(seed)
    model = load_model("multisession_lds", dim=DIM)
    posterior = nlb.fit(model, truth.trials.split("train"), posterior="map", svi_steps=0, progress=False)
    loadings, true = posterior.values["loadings"], truth.parameters["loadings"]
    assert angle(loadings, true) < 10
    # One session's latents against the other's: the angle sees that they do not fit.
    assert angle(np.concatenate([loadings[:12], -loadings[12:]]), true) > 30
    rates = posterior.rates(truth.trials.hide_heldout("val"))
    for name, own in nlb.unstitch(truth.trials).items():
        assert nlb.score(nlb.unstitch(truth.trials, rates)[name], own, bootstrap=0).values["co-bps"] > 0.02


def test_the_start_of_one_stitched_session_is_that_of_the_session(recording):
    model = nlb.Model(latents=[nlb.LDS(2)])
    one = initialize.initial_guess(model, recording)
    other = initialize.initial_guess(model, nlb.stitch({"only": recording}))
    np.testing.assert_allclose(other.loadings, one.loadings, rtol=1e-3, atol=1e-4)


def movements(seed, dim=3, locked=True):
    """A session's movement from latents of three timescales, and that of another's, turned; and the turn."""
    random = np.random.default_rng(seed)
    kept = np.array([0.2, 0.6, 0.9])
    found = []
    for trials in (120, 150):
        x = np.zeros((trials, 40, dim))
        x[:, 0] = random.standard_normal((trials, dim)) + (1.5 if locked else 0.0)
        for t in range(1, 40):
            x[:, t] = kept * x[:, t - 1] + np.sqrt(1 - kept**2) * random.standard_normal((trials, dim))
        found.append(x)
    turn = scipy.stats.ortho_group.rvs(dim, random_state=random)
    inside = [np.ones(x.shape[:2], dtype=bool) for x in found]
    groups = [np.ones((1, len(x))) for x in found]
    loadings = np.zeros((1, dim))
    known = sessions.movement(found[0], inside[0], groups[0], loadings)
    return known, sessions.movement(found[1] @ turn, inside[1], groups[1], loadings), turn


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_alignment_undoes_a_turn(seed):
    known, own, turn = movements(seed)
    found = sessions.alignment(known, own, np.random.default_rng(0))
    np.testing.assert_allclose(found @ found.T, np.eye(3), atol=1e-9)
    np.testing.assert_allclose(found @ turn.T, np.eye(3), atol=0.25)


def test_without_a_common_start_modes_are_matched_up_to_their_sign():
    known, own, turn = movements(3, locked=False)
    found = sessions.alignment(known, own, np.random.default_rng(0))
    np.testing.assert_allclose(np.abs(found @ turn.T), np.eye(3), atol=0.25)


def test_shared_neurons_tell_the_turn_alone():
    random = np.random.default_rng(0)
    known, own, turn = movements(4, locked=False)
    loadings = random.standard_normal((30, 3))
    found = sessions.alignment(
        known._replace(loadings=loadings), own._replace(loadings=loadings @ turn), np.random.default_rng(0)
    )
    np.testing.assert_allclose(found @ turn.T, np.eye(3), atol=0.25)


def test_movements_of_the_same_latents_join_to_those_of_all_trials():
    random = np.random.default_rng(0)
    x, inside = random.standard_normal((10, 20, 3)), np.ones((10, 20), dtype=bool)
    groups = np.stack([np.arange(10) % 2, 1 - np.arange(10) % 2]).astype(float)
    loadings = random.standard_normal((6, 3))
    first, second = loadings * (np.arange(6) < 3)[:, None], loadings * (np.arange(6) >= 3)[:, None]
    one = sessions.movement(x[:4], inside[:4], groups[:, :4], first)
    whole = one.joined(sessions.movement(x[4:], inside[4:], groups[:, 4:], second))
    expected = sessions.movement(x, inside, groups, loadings)
    np.testing.assert_allclose(whole.mean, expected.mean)
    np.testing.assert_array_equal(whole.trials, expected.trials)
    np.testing.assert_array_equal(whole.loadings, loadings)
    np.testing.assert_allclose(whole.lagged[0], lag_zero(x[:4], groups[:, :4], x[4:], groups[:, 4:]))


def lag_zero(*sessions):
    """Mean of E[x x'] about the averages of each session's conditions."""
    total = 0.0
    for x, groups in zip(sessions[::2], sessions[1::2], strict=True):
        for group in groups.astype(bool):
            rest = (x[group] - x[group].mean(0)).reshape(-1, x.shape[2])
            total = total + rest.T @ rest
    return total / sum(x.shape[0] * x.shape[1] for x in sessions[::2])


def test_sessions_of_few_neurons_or_without_spikes_do_no_harm():
    trials = simulated(0).trials
    silent = trials.replace(counts=np.where((trials.table["session"] == "day2")[:, None, None], 0, trials.counts))
    few = trials.select(neurons=np.r_[0:12, 12:13])
    for case in (silent, few):
        model = nlb.Model(latents=[nlb.LDS(DIM)])
        start = initialize.initial_guess(model, case)
        values = initialize.site_values(model, Context.of(case), start)
        assert all(np.isfinite(value).all() for value in values.values())


def test_the_number_of_latents_is_that_of_one_session():
    sessions = {f"day{day}": blank(4, 5, neurons, BIN_MS, day) for day, neurons in ((1, 30), (2, 50))}
    assert load_model("multisession_lds").resolve(nlb.stitch(sessions)).dim == round(np.sqrt(50))


@pytest.fixture(scope="module")
def stitched():
    """A fit of two sessions with the same ids, and each by itself."""
    trials = simulated(0).trials
    short = {"em_iterations": 2, "svi_steps": 0, "posterior": "map", "progress": False}
    posterior = nlb.fit(nlb.Model(latents=[nlb.LDS(DIM)]), trials.split("train"), **short)
    return posterior, trials, nlb.unstitch(trials)


def test_a_stitched_fit_predicts_the_trials_of_one_session(stitched, tmp_path):
    posterior, trials, parts = stitched
    rows, neurons = trials.table["session"] == "day2", trials.neurons["session"] == "day2"
    whole = trials.select(trials=np.flatnonzero(rows))
    named = nlb.stitch({"day2": parts["day2"]})
    by_place = whole.select(neurons=np.flatnonzero(neurons))
    expected = np.asarray(posterior.rates(whole))[..., neurons]
    for one in (named, by_place):
        rates = posterior.rates(one)
        np.testing.assert_array_equal(rates["neuron"], one.neurons["id"])
        np.testing.assert_allclose(rates, expected, rtol=1e-5)
        np.testing.assert_allclose(posterior.latents(one)["mean"], posterior.latents(whole)["mean"], atol=1e-5)
    found = nlb.Posterior.load(posterior.save(tmp_path))
    np.testing.assert_allclose(found.rates_and_latents(named)[0], expected, rtol=1e-5)
    assert posterior.rates(named, beyond_ms=2 * BIN_MS).shape == (*expected.shape[:1], named.n_bins + 2, neurons.sum())


def test_a_tree_of_one_session_has_its_neurons_alone(stitched):
    posterior, trials, parts = stitched
    named = nlb.stitch({"day2": parts["day2"]}).split("val")
    tree = posterior.to_arviz(named, draws=3, log_likelihood="trial", rates=2)
    neurons = trials.neurons["session"] == "day2"
    ids = trials.neurons["id"][neurons]
    np.testing.assert_array_equal(tree["posterior"]["neuron"], ids)
    drawn = posterior.parameter_draws(3)
    np.testing.assert_array_equal(tree["posterior"]["loadings"][0], drawn["loadings"][:, neurons])
    np.testing.assert_array_equal(tree["predictions"]["rates"]["neuron"], ids)
    np.testing.assert_array_equal(tree["observed_data"]["spikes"], named.counts[named.seen])
    whole = trials.select(trials=np.flatnonzero(trials.table["session"] == "day2")).split("val")
    same = posterior.to_arviz(whole, draws=3, log_likelihood="trial")
    np.testing.assert_allclose(tree["sample_stats"]["lp"], same["sample_stats"]["lp"], rtol=1e-4)


def test_a_session_that_cannot_be_told_from_another_is_to_be_named(stitched):
    posterior, trials, parts = stitched
    with pytest.raises(nlb.InputError, match=r"'day1', 'day2' alike: name the session by nlb.stitch"):
        posterior.rates(parts["day2"])
    few = trials.select(neurons=np.arange(3))
    with pytest.raises(nlb.InputError, match="neither those of the fit nor all those of one of its sessions, 'day1'"):
        posterior.rates(few)
    with pytest.raises(nlb.InputError, match="bins of 10 ms, the fit of 20 ms"):
        posterior.rates(nlb.stitch({"day2": parts["day2"].replace(bin_ms=10.0, time_ms=parts["day2"].time_ms / 2)}))
