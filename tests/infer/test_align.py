"""Labels that agree across fits: disguised posteriors are seen through, seeds summarised together."""

import dataclasses
import warnings

import arviz as az
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

import nlbprob as nlb
from nlbprob import simulation
from nlbprob.blocks.base import Context
from nlbprob.functions.model import resolve_model
from nlbprob.infer.parameters.sites import parameter_sites
from nlbprob.posterior.align import nearest_rotation
from nlbprob.posterior.posterior import Posterior
from tests.conftest import SHORT

CONFIG = {"posterior": "neuron", "seed": 0, "precision": "float32"}


def counted(trials, bins, neurons):
    """Trials of random counts."""
    blank = simulation.blank(trials, bins, neurons, 50.0, seed=0)
    return blank.replace(counts=np.random.default_rng(0).poisson(1.0, blank.counts.shape))


def posterior_of(model, trials, values=None, **config):
    """A posterior of three draws at the given site values, or at any; nothing is fitted."""
    model, context, random = resolve_model(model, trials), Context.of(trials), np.random.default_rng(1)
    sites = {name: site.shape.shape for name, site in parameter_sites(model, context).items()}
    values = {name: random.uniform(0.5, 1.5, shape) for name, shape in sites.items()} | (values or {})
    draws = {name: np.stack([0.9 * value, value, 1.1 * value]) for name, value in values.items()}
    history = {name: np.zeros(1) for name in ("iteration", "elbo", "seconds")} | {"stage": np.array(["em"])}
    return Posterior(model, context, values, draws, trials.neurons["id"], history, CONFIG | config)


def disguised(posterior, change):
    """The same posterior after `change(name, value)` of the values and draws of every site."""
    values = {name: change(name, value) for name, value in posterior.values.items()}
    draws = {name: np.stack([change(name, one) for one in value]) for name, value in posterior.draws.items()}
    return dataclasses.replace(posterior, values=values, draws=draws)


def assert_same_sites(found, reference, but=()):
    for group in ("values", "draws"):
        for name, value in getattr(reference, group).items():
            if name not in but:
                np.testing.assert_allclose(getattr(found, group)[name], value, err_msg=name)


def test_modes_are_exchanged_and_turned_back():
    blocks = [nlb.LDS(5, name="slow", dynamics="modal"), nlb.GP(nlb.Matern32(), 3)]
    model = nlb.Model(latents=blocks, readout=nlb.LinearReadout("ard"))
    loadings = np.random.default_rng(0).standard_normal((12, 8))
    reference = posterior_of(model, counted(4, 5, 12), {"loadings": loadings})
    angle, flipped = 0.7, np.array([-1.0, 1.0, -1.0])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])

    def change(name, value):
        if name == "loadings":
            pairs, single, gp = value[:, :4], value[:, 4:5], value[:, 5:]
            return np.concatenate([pairs[:, 2:] @ turn, pairs[:, :2], -single, gp[:, [2, 0, 1]] * flipped], 1)
        if name in ("slow.frequency_hz", "slow.decay_ms"):
            return np.concatenate([value[1::-1], value[2:]])
        if name in ("slow.initial_mean", "slow.initial_scale"):
            return value[[2, 3, 0, 1, 4]]
        return (
            value[[2, 3, 0, 1, 4, 7, 5, 6]] if name == "latent_scale" else value[[2, 0, 1]] if "gp" in name else value
        )

    aligned = nlb.align([disguised(reference, change), reference], to=1)
    assert aligned.posteriors[1] is reference
    found = aligned.posteriors[0]
    assert_same_sites(found, reference, but=["loadings"])
    for group in ("values", "draws"):
        ours, theirs = (getattr(one, group)["loadings"] @ one.rotation for one in (found, reference))
        np.testing.assert_allclose(ours, theirs, atol=1e-10)
    np.testing.assert_allclose(aligned.match["loadings_r2"], 1.0, atol=1e-6)


def test_regimes_and_templates_are_assigned_by_the_trials_they_are_in():
    model = nlb.Model(latents=[nlb.SwitchingLDS(3, 2), nlb.Templates(3, on="slds")])
    trials, identity, level = counted(9, 8, 6), np.eye(2), np.arange(1.0, 4.0)[:, None, None]
    values = {
        "slds.initial": np.array([0.5, 0.3, 0.2]),
        "slds.transition": 0.1 + 0.7 * np.eye(3),
        "slds.matrix": 0.3 * level * identity,
        "slds.noise": 0.2 * level * identity,
        "slds.initial_covariance": identity,
        "templates.weights": np.array([0.2, 0.3, 0.5]),
    }
    reference = posterior_of(model, trials, values, occupancy={"slds": [0.2, 0.3, 0.5], "templates": [2.0, 3.0, 4.0]})
    regimes, components = [2, 0, 1], [1, 2, 0]

    def change(name, value):
        if name == "slds.transition":
            return value[np.ix_(regimes, regimes)]
        if name.startswith("templates."):
            return value[components]
        return value[regimes] if name.startswith("slds.") and "initial_" not in name else value

    other = disguised(reference, change)
    other = dataclasses.replace(other, config=CONFIG | {"occupancy": {"slds": [0.5, 0.2, 0.3], "templates": [3, 4, 2]}})
    with pytest.raises(nlb.InputError, match="regimes or templates, which are matched by trials; give trials="):
        nlb.align([reference, other])
    aligned = nlb.align([reference, other], trials)
    found = aligned.posteriors[1]
    assert_same_sites(found, reference)
    assert found.config["occupancy"] == reference.config["occupancy"]
    np.testing.assert_array_equal(aligned.match["slds_agreement"], 1.0)
    np.testing.assert_array_equal(aligned.match["templates_agreement"], 1.0)
    chances = reference.regimes(trials)["slds"]
    assert chances.dims == ("trial", "time", "slds_regime")
    np.testing.assert_allclose(chances.sum("slds_regime"), 1.0, rtol=1e-5)


@pytest.fixture(scope="module")
def seeds(fitted, recording):
    """Two seeds of one fit, the first seen in a basis that is turned and mirrored."""
    turn = np.array([[0.6, 0.8], [0.8, -0.6]])
    other = nlb.fit(nlb.Model(latents=[nlb.LDS(2)]), recording.split("train"), seed=4, **SHORT)
    return [dataclasses.replace(fitted, basis=fitted.rotation @ turn), other]


def test_seeds_are_summarized_together_as_chains(seeds, recording):
    val = recording.hide_heldout("val").split("val")
    aligned = nlb.align(seeds)
    tree = aligned.to_arviz(val, draws=40)
    assert tree["posterior"].sizes["chain"] == 2
    assert tree["observed_data"]["spikes"].dims == ("entry",)
    assert tree["sample_stats"]["elbo"].dims == ("chain", "iteration")
    loadings = tree["posterior"]["loadings"]
    for chain, one in enumerate(aligned.posteriors):
        np.testing.assert_allclose(loadings[chain], one.parameter_draws(40, seed=chain)["loadings"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of ArviZ's own: the chains are short
        table = az.summary(tree, var_names=["loadings", "transition_matrix"], round_to="none")
        apart = np.stack([one.parameter_draws(40, seed=chain)["loadings"] for chain, one in enumerate(seeds)])
        before = az.rhat(apart, chain_axis=0, draw_axis=1)
    assert float(aligned.match["loadings_r2"][1]) > 0.9
    assert np.median(table["r_hat"].astype(float)) < 1.1 < 1.5 < np.median(before)


def test_aligned_rates_are_those_of_the_fit_and_the_basis_is_kept_on_disk(seeds, recording, tmp_path):
    found = nlb.align(seeds).posteriors[1]
    val = recording.split("val")
    np.testing.assert_allclose(found.rates(val), seeds[1].rates(val), rtol=1e-6)
    again = nlb.Posterior.load(found.save(tmp_path / "aligned"))
    np.testing.assert_array_equal(again.rotation, found.rotation)
    latents = [np.asarray(one.latents(val)["mean"]) @ one.rotation.T for one in (found, seeds[1])]
    np.testing.assert_allclose(*latents, atol=1e-5)


def test_turning_every_draw_would_not_make_summaries_narrower(fitted):
    """Draws are around one mode: a rotation of their own takes nothing from the loadings and adds to the dynamics."""
    draws, centre = fitted.parameter_draws(400), fitted.parameter_mean["loadings"]
    turns = np.stack([nearest_rotation(fitted.model, one, centre) for one in draws["loadings"].astype(float)])
    assert (draws["loadings"] @ turns).std(0).mean() > 0.95 * draws["loadings"].std(0).mean()
    moved = turns.mT @ draws["transition_matrix"] @ turns
    assert moved.std(0).mean() > 0.999 * draws["transition_matrix"].std(0).mean()


def function(trials):
    x, z = nlb.GP(nlb.Matern32(), 2)(trials), nlb.LDS(2)(trials)
    with numpyro.plate("own", trials.n_neurons):
        a = numpyro.sample("a", dist.Normal(0, 0.5).expand([2]).to_event(1))
        b = numpyro.sample("b", dist.Normal(0, 0.5).expand([2]).to_event(1))
        level = numpyro.sample("level", dist.Normal(0, 1.0))
    nlb.observe(nlb.Poisson(), x @ a.T + z @ b.T + level, trials)


def test_latents_of_a_function_are_exchanged_with_their_loadings():
    reference = posterior_of(function, counted(4, 5, 8), {"a": np.random.default_rng(0).standard_normal((8, 2))})
    other = disguised(
        reference, lambda name, v: -v[:, ::-1] if name == "a" else v[::-1] if name.startswith("gp.") else v
    )
    found = nlb.align([reference, other]).posteriors[1]
    assert_same_sites(found, reference, but=["a"])
    np.testing.assert_allclose(found.values["a"], -reference.values["a"])
    np.testing.assert_allclose(found.own_loadings @ found.rotation, reference.own_loadings @ reference.rotation)


def test_other_models_neurons_and_places_are_refused(fitted, recording):
    with pytest.raises(nlb.InputError, match=r"align\(to=2\): there are 1 posteriors"):
        nlb.align([fitted], to=2)
    with pytest.raises(nlb.InputError, match="of different neurons"):
        nlb.align([fitted, dataclasses.replace(fitted, neuron_ids=fitted.neuron_ids[::-1])])
    with pytest.raises(nlb.InputError, match="of different models"):
        nlb.align([fitted, dataclasses.replace(fitted, model=nlb.Model(latents=[nlb.LDS(2, dynamics="diagonal")]))])
    with pytest.raises(nlb.InputError, match="no block of the model switches"):
        fitted.regimes(recording)
