import numpy as np
import pytest

from nlbprob.errors import InputError
from nlbprob.reporting.scores import of_baselines
from nlbprob.scoring.baselines import CONDITION_PSTH, MEAN_RATE, SMOOTHING, baselines, chosen_settings
from nlbprob.scoring.forward import with_forecast
from nlbprob.scoring.inner import inner_splits, mean_rates
from nlbprob.scoring.scores import score


@pytest.fixture
def recording(make_trials):
    return make_trials(n_trials=80, n_neurons=12, forward_bins=5)


def test_baselines_beat_the_mean_rate_and_not_the_truth(recording):
    trials, truth = recording
    found = {name: score(rates, trials, bootstrap=0).values for name, rates in baselines(trials).items()}
    assert list(found) == [MEAN_RATE, SMOOTHING, CONDITION_PSTH]
    best = score(truth, trials, bootstrap=0).values
    for name in (SMOOTHING, CONDITION_PSTH):
        for metric in ("co-bps", "vel R2", "psth R2"):
            assert found[name][metric] > found[MEAN_RATE][metric] + 0.1, (name, metric)
        assert found[name]["co-bps"] < best["co-bps"]
    assert found[SMOOTHING]["co-bps"] > 0.75 * best["co-bps"]


def test_what_was_chosen_is_told(recording):
    found = baselines(recording[0])
    settings = {name: chosen_settings(rates) for name, rates in found.items()}
    assert settings[MEAN_RATE] == {}
    assert set(settings[SMOOTHING]) == {"width_ms", "penalty"}
    assert set(settings[CONDITION_PSTH]) == {"width_ms", "pseudo_trials"}
    (told,) = of_baselines({"fit_on": "train", "baseline_settings": settings})
    assert told.startswith(f"Chosen inside train: {SMOOTHING}: Gaussian of {settings[SMOOTHING]['width_ms']:g} ms")
    assert f"{CONDITION_PSTH}: Gaussian of {settings[CONDITION_PSTH]['width_ms']:g} ms" in told
    assert of_baselines({"fit_on": "train"}) == []
    (told,) = of_baselines({"fit_on": "a+b", "baseline_settings": {SMOOTHING: {"penalty": 703.125}}})
    assert told == f"Chosen inside a+b: {SMOOTHING}: ridge penalty 700."


def test_the_mean_rate_is_the_mean_count_in_the_window_of_the_fitted_trials(recording):
    trials, _ = recording
    rates = baselines(trials)[MEAN_RATE]
    expected = trials.counts[trials.table["split"] == "train", :25].mean(axis=(0, 1))
    np.testing.assert_allclose(rates.values, np.broadcast_to(expected, trials.counts.shape))
    assert rates.attrs["units"] == "spikes/bin"


def test_the_share_carried_forward_is_the_one_that_forecasts(make_trials):
    trials, _ = make_trials(n_trials=80, forward_bins=5)
    fitted, mean = trials.table["split"] == "train", np.full(10, 0.3)
    slow = np.random.default_rng(0).gamma(0.5, 0.6, size=(80, 1, 10))
    for rates, share in ((np.broadcast_to(slow, trials.counts.shape), 1.0), (np.full(trials.counts.shape, 0.3), 0.0)):
        counts = np.random.default_rng(1).poisson(rates).astype(np.uint8)
        drawn = trials.replace(counts=counts).hide_heldout("val")
        guess = with_forecast(lambda visible: np.broadcast_to(slow, (80, 25, 10)), drawn, fitted, mean)
        np.testing.assert_allclose(guess[:, 25:], mean + share * np.repeat(slow - mean, 5, axis=1))
    short = trials.replace(forward_bins=20).hide_forward()
    guess = with_forecast(lambda visible: np.full((80, 10, 10), 0.9), short, fitted, mean)
    np.testing.assert_allclose(guess[:, 10:], 0.3)


def test_nothing_that_is_to_be_predicted_is_read(recording):
    trials, _ = recording
    hidden = ~trials.hide_heldout("val").seen
    other = trials.replace(counts=np.where(hidden, 7, trials.counts).astype(np.uint8))
    expected = baselines(other)
    for name, rates in baselines(trials).items():
        np.testing.assert_array_equal(rates, expected[name], err_msg=name)


def test_unseen_entries_change_nothing_and_order_does_not_matter(recording):
    trials, _ = recording
    generator = np.random.default_rng(0)
    seen = trials.seen & (generator.random(trials.seen.shape) > 0.2)
    seen[3], seen[:, :, 4] = False, False
    trials = trials.replace(seen=seen)
    expected = baselines(trials)
    other = trials.replace(counts=np.where(seen, trials.counts, 9).astype(np.uint8))
    neurons = generator.permutation(trials.n_neurons)
    permuted = baselines(other.select(neurons=neurons))
    for name, rates in expected.items():
        assert np.isfinite(rates).all()
        assert (rates > 0).all()
        np.testing.assert_allclose(permuted[name], rates.values[:, :, neurons], rtol=1e-3, err_msg=name)


def test_the_same_seed_gives_the_same_rates(recording):
    trials, _ = recording
    first, second = baselines(trials, seed=3), baselines(trials, seed=3)
    for name, rates in first.items():
        np.testing.assert_array_equal(rates, second[name])


def test_silent_neurons_get_small_positive_rates(recording):
    trials, _ = recording
    counts = trials.counts.copy()
    counts[:, :, [0, 2]] = 0
    for rates in baselines(trials.replace(counts=counts)).values():
        assert (rates > 0).all()
        assert float(rates[:, :, [0, 2]].max()) < 0.05
    score(rates, trials)


def test_a_baseline_is_left_out_where_it_has_no_meaning(make_trials):
    trials, _ = make_trials(condition=())
    assert list(baselines(trials)) == [MEAN_RATE, SMOOTHING]
    trials, _ = make_trials(neurons={"id": np.arange(10), "heldout": np.zeros(10, dtype=bool)})
    assert list(baselines(trials)) == [MEAN_RATE, CONDITION_PSTH]
    trials, _ = make_trials()
    seen = trials.seen.copy()
    seen[0, 20:] = False
    assert list(baselines(trials.replace(seen=seen))) == [MEAN_RATE, SMOOTHING]


def test_conditions_unknown_or_new_get_the_average_of_all(make_trials):
    trials, _ = make_trials(n_trials=30)
    condition = trials.table["condition"].astype(float)
    condition[4], condition[9] = np.nan, 5.0
    trials = trials.replace(table=trials.table | {"condition": condition})
    rates = baselines(trials)[CONDITION_PSTH].values
    np.testing.assert_allclose(rates[4], rates[9])
    assert not np.allclose(rates[4], rates[14])


def test_scoring_what_was_learned_from_is_refused(make_trials):
    trials, _ = make_trials()
    with pytest.raises(InputError, match="score on trials that were not learned from"):
        baselines(trials, fit=["train", "val"], on="val")
    with pytest.raises(InputError, match="fit: no trial is in split 'trein'"):
        baselines(trials, fit="trein")


def test_inner_splits_are_one_of_many_trials_and_five_of_few():
    (learned, judged), *more = inner_splits(np.arange(10, 110), seed=0)
    assert not more
    assert len(judged) == 20
    assert sorted([*learned, *judged]) == list(range(10, 110))
    folds = inner_splits(np.arange(16), seed=0)
    assert sorted(np.concatenate([judged for _, judged in folds])) == list(range(16))
    assert len(inner_splits(np.arange(100), seed=0, every_fold=True)) == 5
    ((learned, judged),) = inner_splits(np.array([3]), seed=0)
    assert list(learned) == list(judged) == [3]


def test_a_neuron_never_seen_has_half_a_spike_a_bin(make_trials):
    trials, _ = make_trials()
    seen = trials.seen.copy()
    seen[:, :, 0] = False
    assert mean_rates(trials.replace(seen=seen), np.ones(20, dtype=bool))[0] == 0.5
