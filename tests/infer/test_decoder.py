"""Decoded behavior and its intervals: they hold as often as they say."""

import numpy as np
import pytest

import nlbprob as nlb
from nlbprob.scoring.decoding import fit_decoder
from tests.infer.known import posterior_at

MODEL = nlb.Model(latents=[nlb.LDS(2, dynamics="modal")])
NEURONS, NOISE = 12, 0.3


@pytest.fixture(scope="module")
def made():
    """Two channels that follow the latents, and one that never changes; a few bins are missing."""
    random = np.random.default_rng(0)
    values = {
        "lds.frequency_hz": np.array([2.0]),
        "lds.decay_ms": np.array([300.0]),
        "loadings": 0.7 * random.standard_normal((NEURONS, 2)),
        "baseline": np.full(NEURONS, np.log(0.5)),
    }
    found = nlb.simulate(MODEL, 120, neurons=NEURONS, bins=25, bin_ms=20, seed=3, values=values)
    behavior = found.latents @ np.array([[3.0, 0.0, 0.0], [1.0, 2.0, 0.0]]) + np.array([5.0, -1.0, 2.0])
    behavior[..., :2] += NOISE * random.standard_normal((*behavior.shape[:2], 2))
    behavior[::7, :3] = np.nan
    trials = found.trials.replace(
        behavior=behavior, behavior_name="hand", behavior_channels=("x", "y", "still"), lag_ms=40.0
    )
    return nlb.Simulated(trials, found.rates, found.latents, found.parameters)


@pytest.fixture(scope="module")
def posterior(made):
    return posterior_at(made, MODEL)


@pytest.fixture(scope="module")
def decoder(posterior, made):
    return posterior.decoder(made.trials)


def covered(found, trials):
    true = trials.behavior[..., :2]
    known = ~np.isnan(true)
    return ((found["low"].values < true) & (true < found["high"].values))[known].mean()


@pytest.mark.parametrize("interval", [0.5, 0.9])
def test_intervals_hold_as_often_as_they_say(decoder, made, interval):
    val = made.trials.split("val")
    found = decoder.predict(val, interval)
    assert covered(found, val) == pytest.approx(interval, abs=0.06)
    assert found.attrs == {"interval": interval, "behavior": "hand", "lag_ms": 40.0}
    assert found["mean"].dims == ("trial", "time", "channel")
    assert found["channel"].values.tolist() == ["x", "y"]
    assert found["mean"].attrs["units"] == "as recorded"


def test_the_mean_is_that_of_the_ridge_regression(decoder, posterior, made):
    train, val = made.trials.split("train"), made.trials.split("val")
    regression = fit_decoder(posterior.latents(train)["mean"].values.astype(float), train.behavior[..., :2])
    expected = regression.predict(posterior.latents(val)["mean"].values.astype(float))
    np.testing.assert_allclose(decoder.predict(val)["mean"], expected, rtol=1e-6)
    true, known = val.behavior[..., :2], ~np.isnan(val.behavior[..., 0])
    r2 = 1 - ((true - expected)[known] ** 2).mean(0) / true[known].var(0)
    np.testing.assert_allclose(decoder.r2, r2, atol=0.1)
    assert (decoder.r2 > 0.5).all()


def test_intervals_are_wider_where_less_is_seen(decoder, made):
    val = made.trials.split("val")
    seen = val.seen & (np.arange(NEURONS) < 3)
    few = val.replace(seen=seen)
    width = [(found["high"] - found["low"]).values.mean() for found in map(decoder.predict, (val, few))]
    assert width[1] > 1.2 * width[0]
    assert covered(decoder.predict(few), few) > 0.8


def test_rates_decode_as_well(posterior, made):
    val = made.trials.split("val")
    decoder = posterior.decoder(made.trials, features="rates")
    assert covered(decoder.predict(val), val) == pytest.approx(0.9, abs=0.06)
    assert str(decoder).startswith("Decoder of hand from rates; R2 in folds: x 0.")


def test_an_online_decoder_knows_the_past_alone(posterior, made):
    decoder = posterior.decoder(made.trials, causal=True)
    val = made.trials.split("val")
    late = val.replace(counts=np.where(np.arange(25)[:, None] < 12, val.counts, 0))
    one, other = decoder.predict(val)["mean"].values, decoder.predict(late)["mean"].values
    np.testing.assert_allclose(one[:, :12], other[:, :12], atol=1e-4)
    assert np.abs(one[:, 12:] - other[:, 12:]).max() > 0.1
    assert covered(decoder.predict(val), val) == pytest.approx(0.9, abs=0.06)


def test_what_cannot_be_decoded_is_told(posterior, made):
    with pytest.raises(nlb.InputError, match="decoder: the trials have no behavior; name a signal"):
        posterior.decoder(made.trials.replace(behavior=None, behavior_channels=(), behavior_name=None))
    with pytest.raises(nlb.InputError, match="no such features.*latents"):
        posterior.decoder(made.trials, features="latent")
    with pytest.raises(nlb.InputError, match="3 trials have behavior; it takes 5"):
        posterior.decoder(made.trials[:3].replace(table={"id": np.arange(3), "split": np.array(["train"] * 3)}))
    still = made.trials.replace(behavior=made.trials.behavior[..., 2:], behavior_channels=("still",))
    with pytest.raises(nlb.InputError, match="no channel can be decoded: still does not change"):
        posterior.decoder(still)
