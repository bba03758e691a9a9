import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nlbprob.errors import InputError
from nlbprob.scoring.bootstrap import resamples
from nlbprob.scoring.decoding import fit_decoder, velocity_r2
from nlbprob.scoring.metrics.likelihood import bits_per_spike
from nlbprob.scoring.metrics.psth_r2 import psth_draws, psth_r2
from nlbprob.scoring.metrics.r_squared import r_squared
from nlbprob.scoring.metrics.velocity_r2 import decoding_draws
from nlbprob.scoring.psth import psth_target
from nlbprob.scoring.rates import label_rates
from nlbprob.scoring.scores import score


def test_each_score_is_its_metric_on_the_right_part(make_trials):
    trials, rates = make_trials(forward_bins=5)
    train, val = (trials.table["split"] == name for name in ("train", "val"))
    scores = score(label_rates(rates, trials), trials)
    heldout = trials.heldout
    window = rates[val, :25][..., heldout], trials.counts[val, :25][..., heldout]
    assert scores.values["co-bps"] == pytest.approx(bits_per_spike(*window), abs=1e-12)
    forecast = bits_per_spike(rates[val, 25:], trials.counts[val, 25:])
    assert scores.values["fp-bps"] == pytest.approx(forecast, abs=1e-12)
    decoded = velocity_r2(rates[train, :25], trials.behavior[train, :25], rates[val, :25], trials.behavior[val, :25])
    assert scores.values["vel R2"] == pytest.approx(decoded, abs=1e-12)
    target, _ = psth_target(trials)
    own = [np.flatnonzero(trials.table["condition"][val] == c) for c in (0, 1)]
    assert scores.values["psth R2"] == pytest.approx(psth_r2(rates[val, :25], target, own), abs=1e-12)
    assert scores.by_neuron.shape == scores.neuron_ids.shape == (3,)
    assert scores.values["vel R2"] > 0.3
    for name, value in scores.values.items():
        low, high = scores.intervals[name]
        if name in ("co-bps", "fp-bps"):  # the null rates are fitted to four trials, which the interval makes up for
            assert value < (low + high) / 2
        else:
            assert (1 - low) * (1 - high) == pytest.approx((1 - value) ** 2)
            assert high < 1
        assert low < high


def test_what_does_not_apply_is_none_with_a_reason(make_trials):
    trials, rates = make_trials(behavior=None, behavior_name=None, condition=(), neurons={
        "id": np.arange(10), "heldout": np.zeros(10, dtype=bool)})  # fmt: skip
    scores = score(rates, trials)
    assert scores.values == dict.fromkeys(["co-bps", "vel R2", "psth R2", "fp-bps"])
    assert scores.reasons["co-bps"] == "no neuron is held out"
    assert scores.reasons["vel R2"] == "there is no behavior"
    assert scores.reasons["psth R2"] == "no condition is named"
    assert scores.reasons["fp-bps"] == "there is no forward window"
    assert set(scores.intervals.values()) == {None}


def test_hidden_or_silent_neurons_and_absent_behavior_have_no_score(make_trials):
    trials, rates = make_trials(forward_bins=5)
    hidden = score(rates, trials.hide_heldout("val"), bootstrap=5)
    assert "hide_heldout" in hidden.reasons["co-bps"]
    assert "hide_heldout" in hidden.reasons["fp-bps"]
    silent = trials.replace(counts=np.where(trials.heldout, 0, trials.counts))
    assert score(rates, silent, bootstrap=5).reasons["co-bps"] == "these neurons have no spike in these trials"
    behavior = trials.behavior.copy()
    behavior[trials.table["split"] == "val"] = np.nan
    reasons = score(rates, trials.replace(behavior=behavior), bootstrap=5).reasons
    assert reasons["vel R2"] == (
        "no channel can be decoded: x has no value in the scored trials; y has no value in the scored trials"
    )
    few = behavior.copy()
    few[np.argmax(trials.table["split"] == "val"), :2] = [[0.0, 1.0], [1.0, 0.0]]
    few[:, :1] = np.nan
    few = np.where(trials.table["split"][:, None, None] == "val", few, np.nan)
    few[np.flatnonzero(trials.table["split"] == "train")[:3], 1] = [[0.0, 2.0], [1.0, 1.0], [2.0, 0.0]]
    few[np.argmax(trials.table["split"] == "val"), 2] = [0.5, 0.5]
    reasons = score(rates, trials.replace(behavior=few), bootstrap=5).reasons
    assert reasons["vel R2"] == "fewer than 5 bins of the fitted trials have behavior"


def test_behavior_counts_where_all_channels_are_known_and_the_trial_lasts(make_trials):
    trials, rates = make_trials()
    behavior, seen = trials.behavior.copy(), trials.seen.copy()
    behavior[2, 3, 1] = np.nan
    behavior[4, 20:] = 1000.0
    seen[4, 20:] = False
    known = behavior.copy()
    known[2, 3], known[4, 20:] = np.nan, np.nan
    ragged = trials.replace(behavior=behavior, seen=seen)
    clean = trials.replace(behavior=known, seen=seen)
    assert score(rates, ragged).values["vel R2"] == score(rates, clean).values["vel R2"]


def test_words_carry_bin_width_and_split_in_every_line(make_trials):
    trials, rates = make_trials()
    scores = score(rates, trials)
    lines = str(scores).splitlines()
    assert len(lines) == 4
    assert all("val, 20 ms bins" in line for line in lines)
    assert "bits/spike" in lines[0]
    assert "(there is no forward window)" in lines[3]
    assert json.loads(json.dumps(scores.to_dict(), allow_nan=False)) == scores.to_dict()
    assert scores.to_dict()["by_neuron"][0]["id"] == 102


def test_seed_and_number_of_resamples(make_trials):
    trials, rates = make_trials()
    assert score(rates, trials, bootstrap=0).intervals["co-bps"] is None
    one = trials.replace(table=trials.table | {"split": np.where(np.arange(trials.n_trials) == 0, "val", "train")})
    single = score(rates, one, bootstrap=50)
    assert single.values["co-bps"] is not None
    assert set(single.intervals.values()) == {None}
    assert single.notes["co-bps"] == "has no interval: 1 trial is scored, it takes 4"
    assert "(has no interval: 1 trial is scored, it takes 4)" in single.line("co-bps")
    assert not score(rates, one, bootstrap=0).notes
    first, again, other = (score(rates, trials, on="train", seed=seed).intervals for seed in (1, 1, 2))
    assert first == again
    assert first != other
    both = score(rates, trials, fit="train", on=["train", "val"])
    assert both.split == "train+val"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: 50 * r, "look like Hz"),
        (lambda r: 0 * r, "exactly zero"),
        (lambda r: -r, "negative"),
        (lambda r: r * np.nan, "not finite"),
        (lambda r: r[:, :-1], "give a rate for every entry"),
    ],
)
def test_bad_rates_are_refused(make_trials, change, message):
    trials, rates = make_trials()
    with pytest.raises(InputError, match=message):
        score(change(rates), trials)


def test_an_unknown_split_is_refused(make_trials):
    trials, rates = make_trials()
    with pytest.raises(InputError, match="on: no trial is in split 'valid'. Did you mean 'val'"):
        score(rates, trials, on="valid")
    with pytest.raises(InputError, match="fit: no trial is in split 'trian'"):
        score(rates, trials, fit="trian")


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1000))
def test_order_and_what_is_not_seen_change_no_score(make_trials_once, seed):
    trials, rates = make_trials_once
    generator = np.random.default_rng(seed)
    neurons = generator.permutation(trials.n_neurons)
    seen = generator.random(trials.seen.shape) > 0.1
    # Trials are permuted within splits: the decoder's folds follow the order of the fitted trials.
    order = np.concatenate([np.flatnonzero(trials.table["split"] == "train"),
                            generator.permutation(np.flatnonzero(trials.table["split"] == "val"))])  # fmt: skip
    first = trials.replace(seen=seen)
    junk = first.replace(counts=np.where(seen, trials.counts, generator.integers(0, 9, seen.shape)))
    expected = score(rates, first, bootstrap=0).values
    found = score(rates[order][:, :, neurons], junk.select(trials=order, neurons=neurons), bootstrap=0).values
    assert found == pytest.approx(expected, abs=1e-9)


@pytest.fixture
def make_trials_once(make_trials):
    return make_trials(forward_bins=4)


def test_draws_of_decoding_and_psth_are_scores_of_the_repeated_trials(make_trials):
    trials, rates = make_trials(n_trials=12)
    behavior = trials.behavior.copy()
    behavior[1, :4] = np.nan
    decoded = fit_decoder(rates, behavior).predict(rates)
    target, members = psth_target(trials)
    target[0, 20:] = np.nan
    weights = resamples(12, 6, seed=3).copy()
    weights[-1] = np.where(trials.table["condition"] == 0, 2, 0)
    for row, velocity, psth in zip(
        weights, decoding_draws(behavior, decoded, weights), psth_draws(rates, target, members, weights), strict=True
    ):
        chosen = np.repeat(np.arange(12), row.astype(int))
        known = ~np.isnan(behavior[chosen, :, 0])
        assert velocity == pytest.approx(r_squared(behavior[chosen][known], decoded[chosen][known]), abs=1e-9)
        own = [np.flatnonzero(trials.table["condition"][chosen] == c) for c in (0, 1)]
        assert psth == pytest.approx(psth_r2(rates[chosen], target, own), abs=1e-9)


def test_a_neuron_constant_in_a_draw_counts_zero():
    psth, rates = np.zeros((2, 4, 1)), np.full((2, 4, 1), 0.1)
    psth[1] = np.arange(4.0)[:, None]
    weights = np.array([[2.0, 0.0]])
    assert psth_draws(rates, psth, [np.array([0]), np.array([1])], weights)[0] == 0
