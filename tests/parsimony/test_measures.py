"""Each measure of parsimony against a case that can be computed by hand."""

import dataclasses
import math

import numpy as np
import pytest

import nlbprob as nlb
from nlbprob.blocks.base import Context
from nlbprob.parsimony import classes, cycle, description, few_shot, stability
from nlbprob.parsimony.dimension import effective_dimension, participation_ratio
from nlbprob.parsimony.front import undominated
from nlbprob.posterior.posterior import Posterior
from nlbprob.scoring.metrics.scored import DoesNotApply


@pytest.mark.parametrize(("variances", "expected"), [((3, 3, 3), 3.0), ((4, 1), 25 / 17), ((7, 0, 0), 1.0)])
def test_the_participation_ratio_is_that_of_the_variances(variances, expected):
    """Columns that vary one after the other have a diagonal covariance."""
    rows = np.concatenate([[np.eye(len(variances))[i] * np.sqrt(v), -np.eye(len(variances))[i] * np.sqrt(v)]
                           for i, v in enumerate(variances)])  # fmt: skip
    assert participation_ratio(rows + 5) == pytest.approx(expected)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(len(variances),) * 2))[0]
    assert participation_ratio(rows @ turn) == pytest.approx(expected)


def test_the_effective_dimension_is_of_held_out_neurons_in_scored_windows(truth):
    trials = truth.trials.replace(forward_bins=4)
    heldout, scored = np.flatnonzero(trials.heldout), trials.table["split"] == "val"
    random = np.random.default_rng(0)
    rates = np.exp(random.normal(size=trials.counts.shape))
    course = np.tile([1.0, -1.0], 8)
    rates[np.ix_(scored, np.arange(16), heldout[:1])] = np.exp(course)[:, None]
    rates[np.ix_(scored, np.arange(16), heldout[1:])] = np.exp(np.repeat(course[:8], 2) * 0.5)[:, None]
    assert effective_dimension(rates, trials, "val") == pytest.approx((1 + 0.25) ** 2 / (1 + 0.25**2))
    with pytest.raises(DoesNotApply, match="do not vary"):
        effective_dimension(np.ones_like(rates), trials, "val")
    none = trials.replace(neurons=trials.neurons | {"heldout": np.zeros(10, bool)})
    with pytest.raises(DoesNotApply, match="no neuron is held out"):
        effective_dimension(rates, none, "val")


def test_the_entropy_of_few_draws_has_no_bias():
    random = np.random.default_rng(1)
    root = np.array([[2.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, 3.0, 0.5]])
    found = [description.normal_entropy(random.normal(size=(9, 3)) @ root.T) for _ in range(2000)]
    exact = 0.5 * 3 * math.log(2 * math.pi * math.e) + math.log(abs(np.linalg.det(root)))
    assert np.mean(found) == pytest.approx(exact, abs=4 * np.std(found) / np.sqrt(2000))
    few = random.normal(size=(4, 3))
    assert description.normal_entropy(few) == pytest.approx(
        sum(description.normal_entropy(few[:, [i]]) for i in range(3))
    )


def test_halving_the_width_of_a_loading_takes_a_bit_more_and_what_the_prior_says(fitted):
    """Of a loading c ~ N(0, s^2) with width w, KL = ln(s / w) + E[c^2] / (2 s^2) - 1/2: w and E[c^2] change."""
    mean = fitted.draws["loadings"].mean(0)
    halved = mean + (fitted.draws["loadings"] - mean) / 2
    narrow = dataclasses.replace(fitted, draws=fitted.draws | {"loadings": halved})
    scale = nlb.Ridge().scale
    squares = (halved**2).mean(0).sum() - (fitted.draws["loadings"] ** 2).mean(0).sum()
    gained = halved[0].size + squares / (2 * scale**2) / math.log(2)
    whole = description.description_bits(fitted)
    assert description.description_bits(narrow) - whole == pytest.approx(gained, rel=1e-3)
    assert 0 < whole < 100 * sum(value[0].size for value in fitted.draws.values())


def test_points_take_infinitely_many_bits(fitted):
    points = dataclasses.replace(fitted, draws={name: value[:1] for name, value in fitted.draws.items()})
    with pytest.raises(DoesNotApply, match="the parameters are points"):
        description.description_bits(points)
    fixed = np.broadcast_to(fitted.draws["baseline"][:1], fitted.draws["baseline"].shape)
    with pytest.raises(DoesNotApply, match="some parameters are points"):
        description.description_bits(dataclasses.replace(fitted, draws=fitted.draws | {"baseline": fixed}))


def test_overlap_is_the_mean_squared_cosine():
    np.testing.assert_allclose(stability.subspace_overlap(np.array([[0.0, 60.0], [0, 90], [0, 0]])), [0.625, 0.5, 1])


def test_regressions_on_latents_that_say_nothing_are_the_mean_of_the_few_trials(truth):
    trials = truth.trials.select(trials=np.arange(6))
    found = few_shot.regressions(np.zeros((6, 20, 1)), trials, 4, 4, 2, 0)
    counts = trials.counts[..., trials.heldout].astype(float)
    rate, null = counts[:4].mean((0, 1)), counts[4:].mean((0, 1))
    scored = counts[4:].reshape(-1, 2)
    gain = (scored * np.log(rate / null) - (rate - null)).sum()
    np.testing.assert_allclose(found, gain / scored.sum() / np.log(2), atol=1e-5)


def test_latents_that_no_neuron_needs_cost_few_shot_bits(truth):
    random = np.random.default_rng(0)
    latents = truth.latents.astype(float)
    wide = np.concatenate([latents, random.normal(size=(*latents.shape[:2], 20))], 2)
    plain, extraneous = (few_shot.regressions(each, truth.trials, 24, 5, 5, 0).mean() for each in (latents, wide))
    assert plain > extraneous + 0.02
    again = few_shot.regressions(latents * 7, truth.trials, 24, 5, 5, 0).mean()
    assert again == pytest.approx(plain, abs=1e-3)


def test_few_shot_takes_the_latents_that_held_in_neurons_give(fitted, recording):
    found = few_shot.few_shot(fitted, recording, shots=5, resamples=3)
    used = recording.split("train", "val")
    order = np.argsort(used.table["split"] == "val", kind="stable")
    visible = used.select(trials=order)
    latents = fitted.latents(visible.hide_heldout())["mean"].values[:, : recording.window_bins].astype(float)
    np.testing.assert_allclose(found, few_shot.regressions(latents, visible, 24, 5, 3, 0), atol=1e-3)
    with pytest.raises(DoesNotApply, match="25 trials to learn from are more than the 24 of the fit"):
        few_shot.few_shot(fitted, recording, shots=25)


def test_recovered_is_the_fraction_of_variance():
    drawn = np.random.default_rng(0).normal(size=(2, 3, 4, 1))
    inside = np.ones((3, 4), bool)
    inside[:, 3] = False
    drawn -= drawn[:, inside].mean()
    worse = drawn.copy()
    worse[:, :, 3] = 99.0
    assert cycle.recovered(drawn, worse, inside) == pytest.approx(1)
    assert cycle.recovered(drawn, 0 * drawn, inside) == pytest.approx(0)
    assert cycle.recovered(drawn, drawn / 2, inside) == pytest.approx(0.75)


def test_cycles_return_what_counts_reveal(fitted, recording):
    visible = recording.hide_heldout("val").split("val")
    found = cycle.cycle_consistency(fitted, visible, draws=2)
    assert 0.2 < found < 1
    assert cycle.cycle_consistency(fitted, visible, draws=2) == found
    history = dataclasses.replace(fitted.model, effects=[nlb.History()])
    with pytest.raises(DoesNotApply, match="depend on earlier counts"):
        cycle.cycle_consistency(dataclasses.replace(fitted, model=history), visible)


BLOCKS = {
    "templates": ([nlb.Templates(2, dim=2), nlb.LDS(1)], {"templates": "templates", "lds": "linear"}),
    "switching linear": (
        [nlb.GP(nlb.Matern32(), 1), nlb.SwitchingLDS(2, 1)],
        {"gp": "linear", "slds": "switching linear"},
    ),
    "nonlinear": ([nlb.Flow(lambda x: 0.1 * (x - x**3), 1)], {"flow": "nonlinear"}),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_a_model_has_the_class_of_its_block_that_is_read_least_easily(name):
    latents, expected = BLOCKS[name]
    made = nlb.simulate(nlb.Model(latents=latents), 4, neurons=4, bins=6, bin_ms=20.0)
    model, values = nlb.Model(latents=latents), made.parameters
    draws = {key: value[None] for key, value in values.items()}
    ids, config = made.trials.neurons["id"], {"posterior": "map", "precision": "float32"}
    posterior = Posterior(model, Context.of(made.trials), values, draws, ids, {"elbo": np.zeros(0)}, config)
    blocks = classes.block_classes(posterior)
    assert blocks == expected
    assert classes.model_class(blocks) == name


def test_what_is_dominated_is_as_good_in_nothing_more():
    points = np.array([[3.0, 1], [2, 2], [1, 3], [1, 2], [2, 2], [3, 0]])
    assert undominated(points).tolist() == [True, True, True, False, True, False]
    assert undominated(np.zeros((0, 2))).tolist() == []
