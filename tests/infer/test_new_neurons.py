"""Neurons that a fit has not seen: added to it, and of another session with the same dynamics."""

import numpy as np
import pytest

import nlbprob as nlb
from tests.conftest import EM_ALONE
from tests.infer.known import posterior_at

NEURONS, OLD, BINS, BIN_MS = 24, 16, 30, 20.0
MODEL = nlb.Model(latents=[nlb.LDS(2, dynamics="modal"), nlb.GP(nlb.Matern32(), 1)])
DYNAMICS = {
    "lds.frequency_hz": np.array([3.0]),
    "lds.decay_ms": np.array([300.0]),
    "gp.lengthscale_ms": np.array([150.0]),
    "lds.initial_mean": np.array([1.0, 0.0]),
}


def drawn(seed, neurons=NEURONS, trials=50):
    random = np.random.default_rng(seed)
    readout = {"loadings": 0.6 * random.standard_normal((neurons, 3)), "baseline": np.full(neurons, np.log(0.5))}
    values = DYNAMICS | readout
    return nlb.simulate(MODEL, trials, neurons=neurons, bins=BINS, bin_ms=BIN_MS, seed=seed, values=values)


def cobps(rates, trials):
    return nlb.score(rates, trials, metrics=["co-bps"], bootstrap=0).values["co-bps"]


@pytest.fixture(scope="module")
def made():
    return drawn(1)


@pytest.fixture(scope="module")
def trials(made):
    """The last neurons are held out: those that the fit is yet to learn."""
    return made.trials.replace(neurons=made.trials.neurons | {"heldout": np.arange(NEURONS) >= OLD})


@pytest.fixture(scope="module")
def joint(made):
    """The posterior at the parameters of all neurons."""
    return posterior_at(made, MODEL, width=0.05)


@pytest.fixture(scope="module")
def first(made, joint, trials):
    """The same of the first neurons alone."""
    keep = {name: value[:OLD] for name, value in made.parameters.items() if name in ("loadings", "baseline")}
    part = nlb.Simulated(trials.select(neurons=np.arange(OLD)), made.rates, made.latents, made.parameters | keep)
    return posterior_at(part, MODEL, width=0.05)


@pytest.fixture(scope="module")
def added(first, trials):
    return first.add_neurons(trials.split("train"), progress=False)


def test_added_neurons_are_predicted_as_by_their_own_parameters(added, joint, trials):
    visible = trials.hide_heldout("val")
    found, best = cobps(added.rates(visible), trials), cobps(joint.rates(visible), trials)
    assert best > 0.1
    assert found > best - 0.03


def test_all_else_stays_as_it_was(first, added, trials):
    for name, value in first.values.items():
        np.testing.assert_array_equal(
            added.values[name][:OLD] if name in ("loadings", "baseline") else added.values[name], value
        )
        np.testing.assert_array_equal(
            added.draws[name][:, :OLD] if name in ("loadings", "baseline") else added.draws[name], first.draws[name]
        )
    np.testing.assert_array_equal(added.rotation, first.rotation)
    assert added.neuron_ids.tolist() == trials.neurons["id"].tolist()
    assert added.config["added_neurons"] == [str(n) for n in range(OLD, NEURONS)]


def test_intervals_of_new_loadings_hold_the_truth(added, made):
    low, high = np.quantile(added.draws["loadings"][:, OLD:], [0.05, 0.95], axis=0)
    true = made.parameters["loadings"][OLD:]
    assert ((low < true) & (true < high)).mean() > 0.6
    assert (high - low).mean() < 0.6


def test_neurons_have_the_order_of_the_trials(first, added, trials):
    order = np.random.default_rng(0).permutation(NEURONS)
    shuffled = first.add_neurons(trials.split("train").select(neurons=order), progress=False)
    for name in ("loadings", "baseline"):
        np.testing.assert_allclose(shuffled.values[name], added.values[name][order], atol=2e-3)


def test_what_is_added_is_saved(added, trials, tmp_path):
    visible = trials.hide_heldout("val").split("val")
    loaded = nlb.Posterior.load(added.save(tmp_path / "fit"))
    np.testing.assert_allclose(loaded.rates(visible), added.rates(visible), rtol=1e-5)
    np.testing.assert_array_equal(loaded.rotation, added.rotation)


@pytest.fixture(scope="module")
def other():
    return drawn(8, neurons=20)


@pytest.fixture(scope="module")
def transferred(joint, other):
    return joint.transfer(other.trials.split("train"), progress=False)


def variance_explained(posterior, made):
    """Of the true latents, by a linear map of those found."""
    val = made.trials.table["split"] == "val"
    found = posterior.latents(made.trials.split("val"))["mean"].values.reshape(-1, 3)
    true = made.latents[val].reshape(-1, 3)
    design = np.column_stack([found, np.ones(len(found))])
    left = true - design @ np.linalg.lstsq(design, true, rcond=None)[0]
    return 1 - left.var(0) / true.var(0)


def test_a_session_of_the_same_dynamics_finds_its_latents(transferred, joint, other):
    best = posterior_at(other, MODEL)
    assert (variance_explained(transferred, other) > variance_explained(best, other) - 0.1).all()
    visible = other.trials.hide_heldout("val")
    assert cobps(transferred.rates(visible), other.trials) > cobps(best.rates(visible), other.trials) - 0.04
    for name in DYNAMICS:
        np.testing.assert_array_equal(transferred.values[name], joint.values[name])
        np.testing.assert_array_equal(transferred.draws[name], joint.draws[name])


def test_its_latents_are_those_of_the_first_session_one_by_one(transferred, other):
    """The rotation's phase is that of its start, and the GP is what is left, but for its sign."""
    found, true = transferred.own_loadings, other.parameters["loadings"]
    for columns, sign in ((slice(0, 2), 1.0), (slice(2, 3), None)):
        product = (found[:, columns] * true[:, columns]).sum()
        cosine = product / np.linalg.norm(found[:, columns]) / np.linalg.norm(true[:, columns])
        assert (cosine if sign else abs(cosine)) > 0.85


def test_it_says_that_it_converged(transferred):
    assert transferred.verdict.startswith("Converged. EM converged after")
    assert (np.diff(transferred.elbo)[:5] > 0).all()


@pytest.mark.slow
def test_it_goes_on_as_a_fit(transferred, other):
    again = nlb.fit(MODEL, other.trials.split("train"), init=transferred, **EM_ALONE | {"em_iterations": 2})
    assert again.elbo[-1] > transferred.elbo[0]  # where it started from principal components


@pytest.mark.slow
@pytest.mark.parametrize("observation", [nlb.NegativeBinomial(), nlb.SqrtGaussian()])
def test_other_observations_have_their_own_parameters(observation, trials):
    model = nlb.Model(latents=[nlb.LDS(2)], observation=observation)
    part = trials.select(neurons=np.arange(OLD)).split("train")
    fitted = nlb.fit(model, part, posterior="map", **EM_ALONE)
    together = nlb.fit(model, trials.split("train"), posterior="map", **EM_ALONE)
    wide, visible = fitted.add_neurons(trials.split("train"), progress=False), trials.hide_heldout("val")
    assert cobps(wide.rates(visible), trials) > cobps(together.rates(visible), trials) - 0.03


def test_what_does_not_fit_is_told(first, joint, trials, other):
    wider = trials.replace(bin_ms=40.0, time_ms=40.0 * np.arange(BINS))
    with pytest.raises(nlb.InputError, match="bins of 40 ms, the fit of 20 ms; load them alike"):
        first.add_neurons(wider)
    with pytest.raises(nlb.InputError, match="bins of 40 ms"):
        first.transfer(wider)
    with pytest.raises(
        nlb.InputError, match="8 of the 24 neurons of the fit are not in the trials.*posterior.transfer"
    ):
        joint.add_neurons(trials.select(neurons=np.arange(OLD)))
    with pytest.raises(nlb.InputError, match="no neuron that the fit does not have"):
        joint.add_neurons(trials)
    with pytest.raises(nlb.InputError, match="3 latents, the recording 2 neurons"):
        joint.transfer(other.trials.select(neurons=[0, 1]))
    with pytest.raises(nlb.InputError, match="no spike is seen"):
        joint.transfer(trials.replace(seen=np.zeros_like(trials.seen)))
