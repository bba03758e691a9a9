import json

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from scipy import stats
from sklearn.metrics import r2_score

from nlbprob.errors import InputError
from nlbprob.scoring.decoding import velocity_r2
from nlbprob.scoring.metrics.likelihood import bits, bits_per_spike, bits_per_spike_by_neuron, trial_sums
from nlbprob.scoring.metrics.psth_r2 import psth_r2
from nlbprob.scoring.metrics.r_squared import r_squared
from nlbprob.scoring.metrics.tp_corr import speed_tp_correlation


def draw(seed, shape=(6, 9, 4), hole=0.2):
    """Rates, counts with NaN where not evaluated, and the same counts with a mask."""
    generator = np.random.default_rng(seed)
    rates = generator.gamma(2.0, 0.5, size=shape)
    counts = generator.poisson(rates).astype(float)
    seen = generator.random(shape) >= hole
    return rates, np.where(seen, counts, np.nan), counts, seen


def bits_by_loop(rates, counts):
    model, null, spikes = 0.0, 0.0, 0.0
    for n in range(counts.shape[2]):
        mean = np.nanmean(counts[..., n])
        for i, t in np.argwhere(~np.isnan(counts[..., n])):
            model -= stats.poisson.logpmf(counts[i, t, n], rates[i, t, n])
            null -= stats.poisson.logpmf(counts[i, t, n], max(mean, 1e-9))
            spikes += counts[i, t, n]
    return (null - model) / spikes / np.log(2)


@pytest.mark.parametrize("seed", range(3))
def test_bits_per_spike_is_the_gain_in_log_probability(seed):
    rates, with_nan, counts, seen = draw(seed)
    expected = bits_by_loop(rates, with_nan)
    assert bits_per_spike(rates, with_nan) == pytest.approx(expected, abs=1e-12)
    assert bits_per_spike(rates, counts, seen) == pytest.approx(expected, abs=1e-12)
    assert bits_per_spike(rates.astype(np.float32), with_nan.astype(np.float16)) == pytest.approx(expected, abs=1e-6)


def test_by_neuron_is_each_neuron_alone_and_pools_by_spikes():
    rates, with_nan, _, _ = draw(0)
    with_nan[..., 2] = 0
    each = bits_per_spike_by_neuron(rates, with_nan)
    assert np.isnan(each[2])
    for n in (0, 1, 3):
        assert each[n] == pytest.approx(bits_by_loop(rates[..., [n]], with_nan[..., [n]]), abs=1e-12)
    kept = [0, 1, 3]
    spikes = np.nansum(with_nan[..., kept], axis=(0, 1))
    assert bits_per_spike(rates[..., kept], with_nan[..., kept]) == pytest.approx(
        np.average(each[kept], weights=spikes)
    )


def test_rates_equal_to_the_null_gain_nothing_and_silence_is_minus_infinity():
    _, _, counts, _ = draw(1)
    null = np.broadcast_to(counts.mean(axis=(0, 1)), counts.shape).copy()
    assert bits_per_spike(null, counts) == pytest.approx(0, abs=1e-12)
    assert bits_per_spike(null, np.zeros(counts.shape)) == -np.inf


def test_a_rate_of_zero_counts_as_a_billionth_and_the_array_is_left_alone():
    rates, _, counts, seen = draw(2)
    rates[0, 0, 0], counts[0, 0, 0], seen[0, 0, 0] = 0, 1, True
    other = np.where(rates == 0, 1e-9, rates)
    with pytest.warns(UserWarning, match="1 rates are exactly 0"):
        value = bits_per_spike(rates, counts, seen)
    assert rates[0, 0, 0] == 0
    assert value == bits_per_spike(other, counts, seen)


@pytest.mark.parametrize("bad", [np.nan, -0.1])
def test_impossible_rates_are_refused_where_evaluated_only(bad):
    rates, with_nan, _, seen = draw(3)
    rates[~seen] = bad
    bits_per_spike(rates, with_nan)
    rates[tuple(np.argwhere(seen)[0])] = bad
    with pytest.raises(InputError, match="NaN or negative"):
        bits_per_spike(rates, with_nan)


def test_rates_that_would_broadcast_are_refused():
    rates, with_nan, _, _ = draw(3)
    with pytest.raises((InputError, TypeCheckError)):  # the second where shapes are checked at run time, as here
        bits_per_spike(rates[..., :1], with_nan)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.data())
def test_bits_do_not_depend_on_order_or_on_what_is_not_seen(seed, data):
    rates, with_nan, counts, seen = draw(seed % 1000)
    expected = bits_per_spike(rates, with_nan)
    generator = np.random.default_rng(seed)
    trials, neurons = generator.permutation(6), generator.permutation(4)
    permuted = np.ix_(trials, range(9), neurons)
    assert bits_per_spike(rates[permuted], with_nan[permuted]) == pytest.approx(expected, abs=1e-12)
    each = bits_per_spike_by_neuron(rates, with_nan)
    np.testing.assert_allclose(bits_per_spike_by_neuron(rates[permuted], with_nan[permuted]), each[neurons])
    value = data.draw(st.integers(0, 1000))
    assert bits_per_spike(np.where(seen, rates, 7.0), np.where(seen, counts, value), seen) == expected


def test_a_draw_is_the_score_of_the_repeated_trials():
    rates, with_nan, _, _ = draw(4)
    weights = np.array([[2, 0, 1, 3, 0, 0], [1, 1, 1, 1, 1, 1.0]])
    for row, value in zip(weights, bits(trial_sums(rates, with_nan), weights), strict=True):
        chosen = np.repeat(np.arange(6), row.astype(int))
        assert value == pytest.approx(bits_per_spike(rates[chosen], with_nan[chosen]), abs=1e-12)


def test_r_squared_is_that_of_scikit_learn():
    generator = np.random.default_rng(0)
    true, predicted = generator.normal(size=(2, 20, 4))
    true[:, 1], true[:, 2] = 3, 2
    predicted[:, 2] = 2
    assert r_squared(true, predicted) == pytest.approx(r2_score(true, predicted), abs=1e-12)


def test_psth_r2_stacks_conditions_moves_jitter_and_skips_nan():
    generator = np.random.default_rng(0)
    rates, psth = generator.gamma(1.0, size=(5, 8, 3)), generator.gamma(1.0, size=(3, 8, 3))
    psth[0, :2] = np.nan
    members = [np.array([0, 3]), np.array([], dtype=int), np.array([4])]
    true = np.concatenate([psth[0, 2:], psth[2]])
    predicted = np.concatenate([rates[[0, 3]].mean(axis=0)[2:], rates[4]])
    assert psth_r2(rates, psth, members) == pytest.approx(r2_score(true, predicted), abs=1e-12)
    psth[2, :1] = np.nan
    first = (rates[0, 2:] + rates[3, 0:6]) / 2
    moved = np.concatenate([first, rates[4, :7]])
    shifts = np.array([0, 5, 5, 2, 1])
    expected = r2_score(np.concatenate([psth[0, 2:], psth[2, 1:]]), moved)
    assert psth_r2(rates, psth, members, shifts) == pytest.approx(expected, abs=1e-12)


def test_speed_correlation_within_groups():
    generator = np.random.default_rng(0)
    rates, counts = generator.gamma(1.0, size=(13, 7, 3)), np.zeros((13, 7, 2))
    counts[:, :2] = np.nan
    behavior = np.column_stack([np.arange(13) % 2, np.zeros((13, 2)), np.ones(13), generator.normal(size=13)])
    behavior[12] = np.nan
    values = []
    for group in (0, 1):
        own = [i for i in range(12) if i % 2 == group]
        speeds = [np.mean([np.linalg.norm(rates[i, t + 1] - rates[i, t]) for t in range(2, 6)]) for i in own]
        values.append(stats.pearsonr(speeds, behavior[own, 4]).statistic)
    assert speed_tp_correlation(rates, counts, behavior) == pytest.approx(np.mean(values), abs=1e-12)


@pytest.mark.parametrize("dataset", ["mc_maze_small-20ms", "mc_rtt-20ms", "area2_bump-20ms", "dmfc_rsg-5ms"])
def test_the_benchmarks_own_numbers(shared, dataset):
    folder = shared / "golden" / "expected" / dataset
    metrics = json.loads((folder / "metrics.json").read_text())
    (expected,) = metrics["evaluate_h5"][0].values()
    with h5py.File(folder / "submission_val.h5") as rates, h5py.File(folder / "target.h5") as target:
        (group,) = rates
        r = {key: values[()] for key, values in rates[group].items()}
        t = {key: values[()] for key, values in target[group].items()}
    train, evaluated = (np.concatenate([r[f"{s}_rates_heldin"], r[f"{s}_rates_heldout"]], 2) for s in ("train", "eval"))
    forward = [
        np.concatenate([x[f"eval_{k}_heldin_forward"], x[f"eval_{k}_heldout_forward"]], 2)
        for x, k in ((r, "rates"), (t, "spikes"))
    ]
    found = {
        "co-bps": bits_per_spike(r["eval_rates_heldout"], t["eval_spikes_heldout"]),
        "fp-bps": bits_per_spike(*forward),
    }
    each = bits_per_spike_by_neuron(r["eval_rates_heldout"], t["eval_spikes_heldout"])
    np.testing.assert_allclose(each, metrics["parts"]["per_neuron_bps"], atol=1e-6)
    if "psth" in t:
        found["psth R2"] = psth_r2(evaluated, t["psth"], list(t["eval_cond_idx"]), t.get("eval_jitter"))
    if t["eval_behavior"].ndim == 2:
        found["tp corr"] = speed_tp_correlation(evaluated, t["eval_spikes_heldout"], t["eval_behavior"])
    else:
        masks = [
            t.get(f"{s}_decode_mask", np.ones((len(x), 1), bool)) for s, x in (("train", train), ("eval", evaluated))
        ]
        found["vel R2"] = np.mean([
            velocity_r2(train[a], t["train_behavior"][a], evaluated[b], t["eval_behavior"][b])
            for a, b in zip(masks[0].T, masks[1].T, strict=True)
        ])  # fmt: skip
    assert found == pytest.approx({name.split("] ")[-1]: value for name, value in expected.items()}, abs=1e-9)
