"""`average`: the weighted mean of rates, the weights that folds choose, and what each member adds."""

import dataclasses
import itertools
import re

import numpy as np
import pytest

import nlbprob as nlb
from nlbprob.scoring.metrics.likelihood import bits_per_spike
from nlbprob.selection import average as averaging
from nlbprob.selection.member_weights import Predictions, best_weights, contributions, joined, without
from tests.conftest import EM_ALONE

#: EM iterations of the members.
LENGTHS = {"brief": 1, "long": 10}


@pytest.fixture(scope="module")
def posteriors(recording):
    """Fits to the training trials that differ, and share what is compiled."""
    train, model = recording.split("train"), nlb.Model(latents=[nlb.LDS(2)])
    return {name: nlb.fit(model, train, **(EM_ALONE | {"em_iterations": steps})) for name, steps in LENGTHS.items()}


@pytest.fixture(scope="module")
def committee(posteriors):
    return nlb.average(posteriors, [1, 3])


def guesses(truth):
    """Rates of three members: blurred in time, off by a factor, and of other neurons' mean."""
    rates = truth.rates.astype(float)
    return [0.5 * (rates + np.roll(rates, 2, axis=1)), 1.4 * rates, np.broadcast_to(rates.mean((0, 1)), rates.shape)]


def test_rates_are_the_weighted_mean_of_the_members(posteriors, committee, recording):
    visible = recording.hide_heldout("val")
    for options in ({}, {"causal": True, "beyond_ms": 40}):
        first, second = (posterior.rates(visible, **options) for posterior in posteriors.values())
        rates = committee.rates(visible, **options)
        expected = 0.25 * first.values.astype(float) + 0.75 * second.values.astype(float)
        np.testing.assert_allclose(rates.values, expected, rtol=1e-12)
        assert (rates.dims, rates.attrs) == (first.dims, first.attrs)
        assert rates.time.values.tolist() == first.time.values.tolist()
    equal = nlb.average(list(posteriors.values()))
    assert equal.weights == {"LDS 1": 0.5, "LDS 2": 0.5}
    assert nlb.average(posteriors, {"long": 1, "brief": 0}).rates(visible).equals(second_of(posteriors, visible))


def second_of(posteriors, visible):
    return posteriors["long"].rates(visible).astype(float)


def test_a_committee_is_scored_and_submitted_as_a_posterior_is(committee, posteriors, recording, tmp_path):
    visible = recording.hide_heldout("val")
    rates = committee.rates(visible)
    score = nlb.score(rates, recording, bootstrap=0).values["co-bps"]
    assert nlb.write_submission(tmp_path / "s.h5", rates, recording, name="mine") == "mine_20"
    assert "brief" in committee.verdict
    assert committee.neuron_ids.tolist() == recording.neurons["id"].tolist()
    table = committee.contributions(recording)
    assert table.attrs["score"] == pytest.approx(score, abs=1e-6)
    alone = {
        name: nlb.score(posterior.rates(visible), recording, bootstrap=0).values["co-bps"]
        for name, posterior in posteriors.items()
    }
    assert table["score"].values == pytest.approx(list(alone.values()), abs=1e-6)
    assert table["adds"].values == pytest.approx([score - alone["long"], score - alone["brief"]], abs=1e-6)
    difference = nlb.compare(rates, posteriors["long"].rates(visible), recording)
    ends = table["adds_low"].values[0], table["adds_high"].values[0]
    assert ends == pytest.approx(difference.interval, abs=1e-5)


def test_bits_come_out_as_those_of_whole_arrays(truth, recording):
    trials = recording
    rates = guesses(truth)
    hidden = np.ix_(np.arange(trials.n_trials), np.arange(trials.window_bins), trials.heldout)
    parts = [trials.select(trials=rows) for rows in (np.arange(11), np.arange(11, 30))]
    pieces = [Predictions.of([each[part.table["id"]] for each in rates], part) for part in parts]
    for weights in ([1, 0, 0], [0.2, 0.3, 0.5]):
        mean = sum(weight * each for weight, each in zip(weights, rates, strict=True))
        expected = bits_per_spike(mean[hidden], trials.counts[hidden], trials.seen[hidden])
        assert joined(pieces).score(np.array(weights, float)) == pytest.approx(expected, abs=1e-12)


def test_the_best_weights_are_those_of_a_grid(truth):
    predictions = Predictions.of(guesses(truth), truth.trials)
    best = best_weights(predictions)
    grid = np.linspace(0, 1, 101)
    points = [np.array([a, b, 1 - a - b]) for a, b in itertools.product(grid, grid) if a + b <= 1 + 1e-9]
    scores = [predictions.score(point.clip(0)) for point in points]
    assert predictions.score(best) >= max(scores) - 1e-9
    np.testing.assert_allclose(best, points[int(np.argmax(scores))], atol=0.01)
    assert 0.1 < best[0] < 0.9  # no corner


def test_a_member_that_only_harms_gets_no_weight(truth):
    predictions = Predictions.of([truth.rates, 3 * truth.rates, 0.2 * truth.rates[::-1]], truth.trials)
    best = best_weights(predictions)
    assert best.sum() == pytest.approx(1)
    worse = [predictions.score(w) for w in (np.array([0.99, 0.01, 0]), np.array([0.99, 0, 0.01]))]
    assert predictions.score(best) >= max(worse)


def test_what_a_member_adds_is_the_score_less_that_of_the_others(truth):
    predictions = Predictions.of(guesses(truth), truth.trials)
    weights = np.array([0.6, 0.0, 0.4])
    table = contributions(predictions, ["a", "b", "c"], weights, bootstrap=0)
    others = [[0, 0, 1.0], [0.6, 0, 0.4], [1.0, 0, 0]]
    score = predictions.score(weights)
    assert table["adds"].values == pytest.approx([score - predictions.score(np.array(each)) for each in others])
    assert table["adds"].sel(member="b") == 0
    assert np.isnan(table["adds_low"]).all()
    assert without(np.array([1.0, 0, 0]), 0).tolist() == [0, 0.5, 0.5]


@dataclasses.dataclass
class Guess:
    """Stands for a refit: blurred true rates; keeps what it was shown."""

    rates_of: np.ndarray
    shown: list

    def rates(self, trials):
        self.shown.append(trials)
        return self.rates_of[trials.table["id"]]


def test_weights_are_chosen_on_folds_that_no_member_has_seen(posteriors, truth, recording, monkeypatch):
    train, shown, calls, rates = recording.split("train"), [], [], guesses(truth)[:2]

    def fit_fold(model, trials, learned, room, options):
        calls.append((set(trials.table["id"][learned]), options))
        return Guess(rates[(len(calls) - 1) // 3], shown)

    monkeypatch.setattr(averaging, "fit_fold", fit_fold)
    committee = nlb.average(
        posteriors, folds=3, trials=train, seed=4, progress=False, fit_options={"precision": "float64"}
    )
    assert [options["em_iterations"] for _, options in calls] == [1, 1, 1, 10, 10, 10]
    for (learned, options), held in zip(calls, shown, strict=True):
        assert learned == set(train.table["id"]) - set(held.table["id"])
        assert not held.seen[..., held.heldout].any()
        assert (options["precision"], options["svi_steps"], options["posterior"]) == ("float64", 0, "neuron")
    predictions = Predictions.of([each[train.table["id"]] for each in rates], train)
    assert list(committee.weights.values()) == pytest.approx(best_weights(predictions), abs=1e-3)
    assert committee.table.attrs["score"] == pytest.approx(
        predictions.score(np.array(list(committee.weights.values())))
    )
    shown_lines = repr(committee).splitlines()
    assert shown_lines[0] == "Committee: 2 models, weights: 3 folds of train (24 trials, seed 4), by co-bps"
    assert shown_lines[1].split() == ["weight", "bits/spike", "adds"]
    assert shown_lines[-1].split()[:2] == ["together", "1.000"]
    assert committee.members == posteriors


def test_folds_are_fitted_with_the_members_own_settings(posteriors, recording):
    committee = nlb.average(posteriors, folds=2, trials=recording.split("train"), progress=False)
    assert sum(committee.weights.values()) == pytest.approx(1)
    assert (committee.table["score"].values < committee.table.attrs["score"] + 1e-9).all()


def test_a_committee_is_saved_and_loaded(posteriors, committee, recording, tmp_path):
    visible = recording.hide_heldout("val")
    table = committee.contributions(recording).assign_attrs(measure="co-bps")
    saved = dataclasses.replace(committee, chosen="2 folds", table=table)
    again = nlb.Committee.load(saved.save(tmp_path / "c"))
    np.testing.assert_array_equal(again.rates(visible).values, committee.rates(visible).values)
    assert (again.weights, again.chosen, list(again.members)) == (committee.weights, "2 folds", list(posteriors))
    assert again.table.equals(table.drop_attrs().assign_coords(table.coords))
    assert again.table.attrs == table.attrs
    assert repr(again) == repr(saved)
    posteriors["long"].save(tmp_path / "c" / "members" / "brief")
    with pytest.raises(nlb.InputError, match="brief is not the posterior that the committee was saved with"):
        nlb.Committee.load(tmp_path / "c")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"format": 1', '"format": 2', "is of format '2'"),
        ('"brief": 0.25', '"brief": 0.35', "its weights do not sum to 1"),
        ('"brief": 0.25', '"brief": -0.25', "its weights do not sum to 1"),
        ('"brief": 0.25', '"../x": 0.25', "its members are not two or more with names"),
        ('"chosen": "given"', '"chosen": 3', "its entry 'chosen' is no text"),
        ('"weights"', '"wights"', "'weights'"),
    ],
)
def test_a_damaged_committee_is_refused(committee, tmp_path, old, new, message):
    path = committee.save(tmp_path / "c") / "committee.json"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(nlb.InputError, match=re.escape(message)):
        nlb.Committee.load(tmp_path / "c")


def test_members_that_do_not_fit_together_are_refused(posteriors, fitted, recording):
    other = dataclasses.replace(fitted, neuron_ids=fitted.neuron_ids[::-1])
    wider = dataclasses.replace(fitted, context=dataclasses.replace(fitted.context, bin_ms=40.0))
    train, pair = recording.split("train"), list(posteriors.values())
    cases = [
        (lambda: nlb.average([fitted, other]), "LDS 1 and LDS 2 are fits to other neurons"),
        (lambda: nlb.average([fitted, wider]), "LDS 1 has bins of 20 ms, LDS 2 of 40 ms"),
        (lambda: nlb.average([fitted]), "1 posterior is no committee; give two or more"),
        (lambda: nlb.average(fitted), "posteriors is of type Posterior: give a list"),
        (lambda: nlb.average([fitted, nlb.average(pair)]), "posteriors[1] is of type Committee: give a Posterior"),
        (lambda: nlb.average({"a/b": fitted, "c": fitted}), "'a/b' cannot name a member"),
        (lambda: nlb.average(pair, [1, -1]), "weights[1]=-1): it must be a finite number, at least zero"),
        (lambda: nlb.average(pair, [0, 0]), "all weights are 0"),
        (lambda: nlb.average(pair, [1]), "these weights do not fit the 2 members LDS 1, LDS 2"),
        (lambda: nlb.average(posteriors, {"brief": 1, "other": 1}), "do not fit the 2 members brief, long"),
        (lambda: nlb.average(pair, 3), "weights=3): give a number for each member"),
        (lambda: nlb.average(pair, folds=3), "folds=3): the folds choose the weights; give trials="),
        (lambda: nlb.average(pair, [1, 1], folds=3, trials=train), "give no weights beside them"),
        (lambda: nlb.average(pair, trials=train), "trials and fit_options are for choosing the weights"),
        (lambda: nlb.average(pair, folds=1, trials=train), "folds=1): it must be a whole number, at least 2"),
        (lambda: nlb.average(pair, folds=99, trials=train), "folds=99: choose at least 2"),
        (
            lambda: nlb.average(pair).rates(recording.select(neurons=np.arange(8))),
            "neuron ids are not those of the fit",
        ),
        (lambda: nlb.score(nlb.average(pair), recording), "rates: of type Committee; hand over rates"),
        (lambda: nlb.Committee.load("nowhere"), "nowhere holds no committee: committee.json is missing"),
    ]
    for call, message in cases:
        with pytest.raises(nlb.InputError, match=re.escape(message)):
            call()
