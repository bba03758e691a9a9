"""No score turns a NaN or an infinity into a number, and no channel that never changes counts as decoded."""

import json
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlbprob.commands.table import print_scores
from nlbprob.data.trials import Trials
from nlbprob.errors import InputError
from nlbprob.scoring.bootstrap import resamples
from nlbprob.scoring.decoding import fit_decoder, is_constant, velocity_r2
from nlbprob.scoring.evaluate import evaluate
from nlbprob.scoring.metrics.likelihood import bits_per_spike
from nlbprob.scoring.metrics.psth_r2 import SessionAverages, psth_r2
from nlbprob.scoring.metrics.r_squared import r_squared, r_squared_of_sums
from nlbprob.scoring.metrics.scored import ConditionAverages, ProducedIntervals
from nlbprob.scoring.metrics.tp_corr import Timing
from nlbprob.scoring.metrics.velocity_r2 import decoding_draws
from nlbprob.scoring.scores import score
from tests.scoring.files import draw

NO_NUMBER = [np.nan, np.inf, -np.inf]


def changed(values, place, value):
    copy = np.array(values, dtype=np.float64)
    copy[place] = value
    return copy


@pytest.mark.parametrize("value", NO_NUMBER)
def test_r_squared_of_what_is_no_number_is_none(value):
    true = np.random.default_rng(0).normal(size=(30, 2))
    with np.errstate(invalid="ignore"):
        assert np.isnan(r_squared(changed(true, (3, 0), value), true))
        assert np.isnan(r_squared(true, changed(true, (3, 0), value)))
        assert np.isnan(r_squared_of_sums(np.array([value]), np.array([2.0]))).all()
        assert np.isnan(r_squared_of_sums(np.array([1.0]), np.array([value]))).all()
    assert np.array_equal(r_squared_of_sums(np.array([0.0, 1.0]), np.zeros(2)), [1, 0])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(-950, 950))
def test_r_squared_is_that_of_any_unit_however_large_or_small(seed, exponent):
    rng = np.random.default_rng(seed)
    true = rng.normal(size=(40, 2))
    predicted = true + 0.5 * rng.normal(size=true.shape)
    behavior, decoded = true.reshape(8, 5, 2), predicted.reshape(8, 5, 2)
    weights = resamples(8, 5, seed=0)
    assert r_squared(np.ldexp(true, exponent), np.ldexp(predicted, exponent)) == r_squared(true, predicted)
    np.testing.assert_array_equal(
        decoding_draws(np.ldexp(behavior, exponent), np.ldexp(decoded, exponent), weights),
        decoding_draws(behavior, decoded, weights),
    )


@pytest.mark.parametrize("value", [np.inf, 1e300])
def test_rates_beyond_all_bounds_are_refused_by_every_metric(make_trials, value):
    trials, rates = make_trials(forward_bins=5)
    broken = changed(rates, (4, 2, 2), value)
    counts, behavior = trials.counts.astype(float), trials.behavior
    groups = [np.arange(10), np.arange(10, 20)]
    for call in (
        lambda: bits_per_spike(broken, counts),
        lambda: bits_per_spike(rates, changed(counts, (0, 0, 0), np.inf)),
        lambda: fit_decoder(broken, behavior),
        lambda: velocity_r2(rates, behavior, broken, behavior),
        lambda: SessionAverages.of(ConditionAverages(broken, rates[:2], groups, np.arange(20))),
        lambda: Timing.from_intervals(ProducedIntervals(broken, counts, np.ones((20, 5)))),
        lambda: score(broken, trials),
    ):
        with pytest.raises(InputError, match="beyond all bounds|not finite"):
            call()


def test_a_missing_rate_is_not_averaged_away():
    rates = np.random.default_rng(0).uniform(0.1, 1, (6, 4, 2))
    psth = rates.mean(axis=0, keepdims=True) * 1.1
    assert np.isfinite(psth_r2(rates, psth, [np.arange(6)]))
    assert np.isnan(psth_r2(changed(rates, (2, 1, 0), np.nan), psth, [np.arange(6)]))


def test_infinite_behavior_is_missing_in_trials_and_scores(make_trials):
    trials, rates = make_trials()
    behavior = trials.behavior.copy()
    train, val = (np.argmax(trials.table["split"] == name) for name in ("train", "val"))
    behavior[train, 3, 0], behavior[val, 4, 1] = np.inf, -np.inf
    infinite = trials.replace(behavior=behavior)
    assert infinite.source["notes"] == ["behavior: 2 values of 'hand_vel' are infinite, and count as missing"]
    assert infinite.split("val").replace(lag_ms=0.0).source == infinite.source
    missing = trials.replace(behavior=np.where(np.isinf(behavior), np.nan, behavior))
    np.testing.assert_array_equal(infinite.behavior, missing.behavior)
    assert score(rates, infinite).values == score(rates, missing).values
    assert score(rates, infinite).values["vel R2"] == pytest.approx(score(rates, trials).values["vel R2"], abs=0.02)
    loaded = Trials.from_arrays(trials.counts, 20, behavior=behavior)
    assert loaded.source["notes"] == ["behavior: 2 values of 'behavior' are infinite, and count as missing"]
    with pytest.raises(InputError, match="behavior: a value is infinite"):
        velocity_r2(rates, behavior, rates, trials.behavior)


@pytest.mark.parametrize(
    ("channel", "reason"),
    [
        (lambda b, val: 0 * b + 7.3, "does not change in the scored trials"),
        (lambda b, val: np.where(val, 0.1, b), "does not change in the scored trials"),
        (lambda b, val: 0 * b + np.nan, "has no value in the scored trials"),
        (lambda b, val: np.where(val, b, 0.1), "does not change in the fitted trials"),
        (lambda b, val: np.where(val, np.nan, b), "has no value in the scored trials"),
        (lambda b, val: np.where(val, np.inf, b), "has no value in the scored trials"),
    ],
    ids=["constant", "constant in val", "missing", "constant in train", "missing in val", "infinite in val"],
)
def test_a_channel_that_cannot_be_decoded_is_left_out_with_its_reason(make_trials, channel, reason, capsys):
    trials, rates = make_trials()
    val = (trials.table["split"] == "val")[:, None]
    behavior = trials.behavior.copy()
    behavior[..., 1] = channel(behavior[..., 1], val)
    scores = score(rates, trials.replace(behavior=behavior))
    alone = score(rates, trials.replace(behavior=behavior[..., :1], behavior_channels=("x",)))
    assert scores.values["vel R2"] == alone.values["vel R2"]
    assert scores.intervals["vel R2"] == alone.intervals["vel R2"]
    assert scores.notes == {"vel R2": f"without y, which {reason}"}
    assert alone.notes == {}
    assert str(scores).splitlines()[1].endswith(f"val, 20 ms bins (without y, which {reason})")
    metrics = json.loads(json.dumps(scores.to_dict(), allow_nan=False))
    assert metrics["notes"] == scores.notes
    print_scores(metrics | {"val": metrics["values"], "baselines": {}, "fit_on": "train"}, "title")
    assert f"vel R2: without y, which {reason}" in capsys.readouterr().out
    both = np.repeat(behavior[..., 1:], 2, axis=2)
    none = score(rates, trials.replace(behavior=both))
    assert none.values["vel R2"] is None
    assert none.reasons["vel R2"] == f"no channel can be decoded: x {reason}; y {reason}"


def test_averages_that_do_not_vary_have_no_score(make_trials):
    trials, rates = make_trials()
    counts = trials.counts[:, :1] + 1
    one = Trials.from_arrays(counts, 20, condition="c", table={"split": trials.table["split"], "c": np.zeros(20)})
    scores = score(rates[:, :1], one)
    assert scores.values["psth R2"] is None
    assert scores.reasons["psth R2"] == "the averages by condition do not vary"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_differs_by_rounding_alone_is_constant(dtype):
    rng = np.random.default_rng(0)
    average = np.array([np.full(n, 0.1).sum() / n for n in rng.integers(1, 600, 100)]).astype(dtype)
    assert is_constant(average)
    assert is_constant(np.zeros(3, dtype))
    assert is_constant(np.full(2, 3))
    assert not is_constant(np.array([0.0, 1e-30], dtype))
    assert not is_constant(dtype(1000) + np.arange(3, dtype=dtype))
    assert not is_constant(np.array([-1.7e308, 1.7e308]))


def test_a_draw_without_the_trials_in_which_a_channel_changes_counts_as_none():
    behavior = np.zeros((3, 4, 1))
    behavior[2, :, 0] = np.arange(4.0)
    draws = decoding_draws(behavior, behavior.copy(), np.array([[1.0, 2, 0], [1, 1, 1]]))
    assert np.isnan(draws[0])
    assert draws[1] == 1


def test_huge_behavior_neither_overflows_nor_scores(make_trials):
    trials, rates = make_trials()
    small = score(rates, trials)
    large = score(rates, trials.replace(behavior=np.ldexp(trials.behavior, 700)))
    assert large.values["vel R2"] == pytest.approx(small.values["vel R2"], abs=1e-9)
    assert large.intervals["vel R2"] == pytest.approx(small.intervals["vel R2"], abs=1e-9)
    behavior = trials.behavior.copy()
    behavior[np.argmax(trials.table["split"] == "train"), 0, 0] = 1e308
    found = score(rates, trials.replace(behavior=behavior))
    assert found.values["vel R2"] is None or found.values["vel R2"] < 0


def test_the_benchmarks_number_stays_and_its_convention_is_said():
    rates, _, targets = draw("mc_maze_20")
    for part in ("train", "eval"):
        targets[f"{part}_behavior"][..., 1] = 0.25
    found = evaluate({"mc_maze_20": rates}, {"mc_maze_20": targets})
    (group,) = found.groups
    both = [
        np.concatenate([rates[f"{p}_rates_heldin"], rates[f"{p}_rates_heldout"]], axis=2) for p in ("train", "eval")
    ]
    behavior = [targets[f"{part}_behavior"] for part in ("train", "eval")]
    decoder = fit_decoder(both[0], behavior[0])
    alone = r_squared(behavior[1][..., :1].reshape(-1, 1), decoder.predict(both[1])[..., :1].reshape(-1, 1))
    convention = r_squared(behavior[1].reshape(-1, 2), decoder.predict(both[1]).reshape(-1, 2))
    assert group.values["vel R2"] == pytest.approx(convention, abs=1e-12)
    (note,) = found.notes
    assert note.startswith(
        "mc_maze_20: vel R2 counts channel 1 of the behavior, which does not change in the evaluated"
    )
    assert note.endswith(f"by the benchmark's convention; without it {alone:.4f}.")
    assert list(group.remarks) == ["vel R2"]


def test_infinite_behavior_of_targets_is_missing_with_a_note():
    rates, _, targets = draw("mc_maze_20")
    (clean,) = evaluate({"mc_maze_20": rates}, {"mc_maze_20": targets}).groups
    targets["eval_behavior"][3, 4, 1] = np.inf
    targets["train_behavior"][0, :2, 0] = -np.inf
    found = evaluate({"mc_maze_20": rates}, {"mc_maze_20": targets}, bootstrap=20)
    assert found.groups[0].values["vel R2"] == pytest.approx(clean.values["vel R2"], abs=0.01)
    assert found.notes == [
        "mc_maze_20: train_behavior is infinite in 2 places, which count as missing.",
        "mc_maze_20: eval_behavior is infinite in 1 places, which count as missing.",
    ]
    rates, _, targets = draw("dmfc_rsg_20", trials=(12, 20))
    targets["eval_behavior"][0, 4] = np.inf
    notes = evaluate({"dmfc_rsg_20": rates}, {"dmfc_rsg_20": targets}).notes
    assert "dmfc_rsg_20: eval_behavior is infinite in 1 places, which count as missing." in notes


@pytest.mark.parametrize("value", [np.inf, -np.inf])
@pytest.mark.parametrize("key", ["train_rates_heldin", "eval_rates_heldin", "eval_rates_heldout"])
@pytest.mark.parametrize("group", ["mc_maze_20", "dmfc_rsg_20"])
def test_infinite_rates_are_refused_wherever_they_are_used(group, key, value):
    rates, _, targets = draw(group, trials=(12, 20))
    for place in range(len(rates[key])):
        rates[key][place, 20:, 0] = value
    if group == "dmfc_rsg_20" and key.startswith("train"):
        assert all(np.isfinite(list(evaluate({group: rates}, {group: targets}).groups[0].values.values())))
        return
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputError, match="infinite|negative|beyond all bounds"):
            evaluate({group: rates}, {group: targets})
