"""Shares of the score: they sum to it, and each is the integral of its slope; against rates made by hand."""

import numpy as np
import pytest

import nlbprob as nlb
from nlbprob.posterior.contributions import NODES
from nlbprob.posterior.strengths import Strengths
from nlbprob.scoring.metrics.likelihood import bits_per_spike
from tests.infer.known import posterior_at

NEURONS = 16
MODEL = nlb.Model(
    latents=[nlb.LDS(2, dynamics="modal"), nlb.GP(nlb.Matern32(), 1)], effects=[nlb.InputEffect([nlb.TrialTime(1)])]
)


@pytest.fixture(scope="module")
def made():
    """Held-out neurons do not read the second latent of the LDS; loadings, one by one, are orthogonal as they are."""
    random = np.random.default_rng(0)
    loadings = 0.6 * random.standard_normal((NEURONS, 3))
    design = nlb.simulate(MODEL, 40, neurons=NEURONS, bins=25, bin_ms=20, seed=4).trials
    loadings[design.heldout, 1] = 0.0
    values = {
        "loadings": loadings,
        "baseline": np.full(NEURONS, np.log(0.5)),
        "lds.frequency_hz": np.array([2.0]),
        "lds.decay_ms": np.array([200.0]),
        "gp.lengthscale_ms": np.array([80.0]),
    }
    return nlb.simulate(MODEL, 40, neurons=NEURONS, bins=25, bin_ms=20, seed=4, values=values)


@pytest.fixture(scope="module")
def posterior(made):
    return posterior_at(made, MODEL)


@pytest.fixture(scope="module")
def found(posterior, made):
    return posterior.contributions(made.trials, bootstrap=200, progress=False)


def test_shares_sum_to_the_score(found, posterior, made):
    score = nlb.score(posterior.rates(made.trials.hide_heldout("val")), made.trials, metrics=["co-bps"], bootstrap=200)
    assert float(found["score"]) == pytest.approx(score.values["co-bps"], abs=1e-5)
    ends = float(found["score_low"]), float(found["score_high"])
    assert ends == pytest.approx(score.intervals["co-bps"], abs=1e-4)
    assert float(found["bits"].sum()) == pytest.approx(float(found["score"]), abs=1e-9)
    blocks = dict(zip(found["part"].values.tolist(), found["bits"].values, strict=True))
    assert list(blocks) == ["lds", "gp", "inputs", "mean rate"]
    latents = dict(zip(found["latent"].values.tolist(), found["latent_bits"].values, strict=True))
    assert latents["lds 1"] + latents["lds 2"] == pytest.approx(blocks["lds"], abs=1e-12)
    assert latents["gp 1"] == pytest.approx(blocks["gp"], abs=1e-12)
    assert float(found["variance"].sum()) == pytest.approx(1, abs=1e-9)


def test_the_quadrature_misses_next_to_nothing(posterior, found, made):
    """What is no block is the mean rate alone: the score less that of rates scaled to the mean counts."""
    val = made.trials.split("val")
    rates = np.asarray(posterior.rates(val.hide_heldout()))[..., val.heldout].astype(float)
    counts = val.counts[..., val.heldout]
    scaled = rates * counts.sum((0, 1)) / rates.sum((0, 1))
    expected = bits_per_spike(rates, counts) - bits_per_spike(scaled, counts)
    assert float(found["bits"][-1]) == pytest.approx(expected, abs=1e-4)


def test_a_latent_that_no_heldout_neuron_reads_gives_nothing(found):
    for name in ("latent_bits", "latent_lost", "latent_variance"):
        assert abs(found[name].sel(latent="lds 2").item()) < 1e-6
        assert found[name].sel(latent="lds 1").item() > 0.02
        assert found[f"{name}_low"].sel(latent="lds 1").item() < found[name].sel(latent="lds 1").item()


def test_what_is_lost_is_the_difference_of_scores_by_hand(posterior, found, made):
    val = made.trials.split("val")
    latents = posterior.latents(val.hide_heldout())
    loadings = np.asarray(posterior.parameter_mean["loadings"], float)[val.heldout]
    weights = np.asarray(posterior.values["inputs.weights"], float)[val.heldout]
    covariates = posterior.model.covariates(val, posterior.context)
    name = posterior.model.effects[0].inputs[0].name
    offset = np.asarray(posterior.values["baseline"])[val.heldout] + covariates[name] @ weights.T
    mean, covariance = latents["mean"].values.astype(float), latents["covariance"].values.astype(float)
    counts, scores = val.counts[..., val.heldout], {}
    for left_out in (None, 0, 2):
        strength = np.array([float(place != left_out) for place in range(3)])
        average = mean.mean((0, 1))
        moved = average + strength * (mean - average)
        variance = np.einsum("nk,btkj,nj->btn", loadings * strength, covariance, loadings * strength)
        rates = np.exp(moved @ loadings.T + offset + variance / 2)
        scores[left_out] = bits_per_spike(rates * counts.sum((0, 1)) / rates.sum((0, 1)), counts)
    for place in (0, 2):
        assert found["latent_lost"].values[place] == pytest.approx(scores[None] - scores[place], abs=1e-4)
    assert found["lost"].sel(part="gp").item() == pytest.approx(found["latent_lost"].values[2], abs=1e-9)


def test_slopes_are_differences_of_sums(posterior, made):
    val = made.trials.split("val")
    strengths = Strengths(posterior, val.hide_heldout(), val, val.seen & val.heldout)
    at, scale = np.array([0.5, 0.3, 0.6, 0.4]), np.full(NEURONS, 1.2)

    def value(strength):
        logs, expected = strengths.sums(strength)
        return (logs - scale * expected).sum(1)

    slopes = strengths.slopes(at, scale)
    for part in range(4):
        step = 0.05 * np.eye(4)[part]
        expected = (value(at + step) - value(at - step)) / 0.1
        np.testing.assert_allclose(slopes[:, part], expected, rtol=0.02, atol=0.02)
    assert NODES >= 6


def test_what_cannot_be_scored_is_told(posterior, made):
    trials = made.trials
    nothing = trials.replace(neurons=trials.neurons | {"heldout": np.zeros(NEURONS, bool)})
    with pytest.raises(nlb.InputError, match="contributions: no spike of a held-out neuron is seen in 'val'"):
        posterior.contributions(nothing)
    with pytest.raises(nlb.InputError, match="no trial is in split 'test'"):
        posterior.contributions(trials, on="test")
    with pytest.raises(nlb.InputError, match="neuron ids are not those of the fit"):
        posterior.contributions(trials.select(neurons=np.arange(NEURONS)[::-1]))
