"""`choose`: what the folds see, how they are scored, and which candidate is taken."""

import dataclasses

import numpy as np
import pytest

import nlbprob as nlb
from nlbprob.scoring.metrics.likelihood import bits_per_spike
from nlbprob.selection import choose as choosing
from nlbprob.selection.fold_fit import FoldFit


def plane(*, dim=2, gain=1.0):
    """A model file's function."""
    return nlb.Model(latents=[nlb.LDS(dim)], readout=nlb.LinearReadout(loading_scale=0.5 * gain))


@dataclasses.dataclass
class Oracle:
    """Stands for a posterior: the true rates, blurred the more the further `dim` is from 3; keeps what it was shown."""

    truth: nlb.simulation.Simulated
    dim: int
    fitted: nlb.Trials
    shown: list

    def rates(self, trials):
        self.shown.append((self.fitted, trials))
        own = self.truth.rates[trials.table["id"]]
        return own + 0.4 * abs(self.dim - 3) * own.mean((0, 1))


@pytest.fixture
def shown(truth, monkeypatch):
    """Fits are replaced by the oracle; returns the pairs of trials that were fitted and shown."""
    found = []

    def fit_fold(model, trials, learned, room, options):
        return Oracle(truth, model.latents[0].dim, trials.select(trials=learned), found)

    monkeypatch.setattr(choosing, "fit_fold", fit_fold)
    return found


def test_every_trial_is_held_out_once_and_its_heldout_neurons_are_hidden(shown, recording):
    train = recording.split("train")
    nlb.choose(plane, train, dim=[2, 3], folds=4, progress=False)
    assert len(shown) == 8
    for candidate in (shown[:4], shown[4:]):
        held = np.concatenate([trials.table["id"] for _, trials in candidate])
        assert sorted(held) == sorted(train.table["id"])
        for fitted, trials in candidate:
            assert set(fitted.table["id"]) == set(train.table["id"]) - set(trials.table["id"])
            assert not trials.seen[..., trials.heldout].any()
            assert not trials.seen[:, trials.window_bins :].any()


@dataclasses.dataclass(frozen=True)
class Fitted:
    """Stands for a posterior."""

    model: nlb.Model


def test_candidates_that_differ_in_the_temperature_alone_share_their_fits(recording):
    made, fold = [], FoldFit(recording)

    def fit(model):
        made.append(model)
        return Fitted(model)

    def candidate(dim, temperature):
        return nlb.Model(latents=[nlb.Templates(2, dim=dim, temperature=temperature), nlb.LDS(1)])

    for dim in (1, 2):
        for temperature in (1.0, 8.0):
            assert fold.posterior(candidate(dim, temperature), fit).model == candidate(dim, temperature)
    assert made == [candidate(1, 1.0), candidate(2, 1.0)]
    for _ in range(2):
        assert fold.posterior(plane(dim=2), fit).model == plane(dim=2)
    assert len(made) == 4


def test_the_score_is_co_bps_of_all_trials_and_the_best_is_taken(shown, truth, recording):
    train = recording.split("train")
    choice = nlb.choose(plane, train, dim=[1, 2, 3, 4], gain=1.0, folds=3, seed=4, progress=False)
    assert choice.keywords == {"dim": 3, "gain": 1.0}
    assert choice.model == plane(dim=3)
    assert choice.split == "3 folds of train (24 trials, seed 4)"
    assert choice.measure == "co-bps"
    window, heldout = train.window_bins, train.heldout
    own = [array[:, :window, heldout] for array in (truth.rates[train.table["id"]], train.counts, train.seen)]
    assert choice.table["score"].values[2] == pytest.approx(bits_per_spike(*own), rel=1e-6)
    assert choice.table["difference"].values[2] == 0
    assert np.all(choice.table["standard_error"] > 0)
    assert choice.table["fold_score"].shape == (4, 3)
    lines = repr(choice).splitlines()
    assert lines[0] == "Choice: dim=3, gain=1.0, by co-bps on 3 folds of train (24 trials, seed 4)"
    assert [line.endswith("chosen") for line in lines[2:]] == [False, False, True, False]


def test_the_rule_of_one_standard_error_takes_the_first_that_is_hardly_worse(shown, recording):
    train = recording.split("train")
    choice = nlb.choose(plane, train, dim=[1, 2, 3], rule="one-standard-error", progress=False)
    table = choice.table
    near = table["difference"].values >= -table["difference_standard_error"].values
    assert choice.keywords == {"dim": [1, 2, 3][int(np.flatnonzero(near)[0])]}
    table["difference"].values[:] = [-0.3, -0.1, 0.0]
    table["difference_standard_error"].values[:] = [0.2, 0.2, 0.0]
    assert choosing.select(table, "one-standard-error") == 1
    assert choosing.select(table, "best") == 2


def test_without_heldout_neurons_a_quarter_drawn_by_the_seed_is_hidden(shown, recording):
    neurons = recording.neurons | {"heldout": np.zeros(10, bool)}
    train = recording.replace(neurons=neurons).split("train")
    choice = nlb.choose(plane, train, dim=[3], folds=2, seed=7, progress=False)
    assert choice.measure == "bits per spike of 2 hidden neurons (drawn, seed 7)"
    hidden = [~trials.seen.any((0, 1)) for _, trials in shown]
    assert hidden[0].sum() == 2
    np.testing.assert_array_equal(hidden[0], hidden[1])
    assert all(fitted.seen.any((0, 1)).all() for fitted, _ in shown)


@pytest.mark.slow
def test_a_plane_is_chosen_over_a_line_by_real_fits(recording):
    train = recording.split("train")
    choice = nlb.choose(plane, train, dim=[1, 2], folds=2, fit_options={"em_iterations": 6}, progress=False)
    assert choice.keywords == {"dim": 2}
    assert float(choice.table["score"][1]) > 0.02


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dim": [2], "rule": "bets"}, "rule='bets'.*Did you mean 'best'"),
        ({}, "nothing to choose from.*dim=\\[4, 8, 12\\]"),
        ({"dim": []}, "choose\\(dim=\\[\\]\\).*at least one value"),
        ({"dims": [2]}, "cannot be made with dims=2.*'dims'"),
        ({"dim": [2, 30]}, "30 latents.*10 neurons"),
        ({"dim": [2], "folds": 1}, "folds=1.*at least 2"),
        ({"dim": [2], "folds": 25}, "no more than the 24 trials"),
    ],
)
def test_what_cannot_be_chosen_from_is_told_before_anything_is_fitted(shown, recording, options, message):
    with pytest.raises(nlb.InputError, match=message):
        nlb.choose(plane, recording.split("train"), progress=False, **options)
    assert not shown


def test_a_model_is_named_or_told_to_be_one(shown, recording):
    train = recording.split("train")
    assert nlb.choose("poisson_lds", train, dim=[2], folds=2, progress=False).model == nlb.load_model(
        "poisson_lds", dim=2
    )
    with pytest.raises(nlb.InputError, match="is of type int; return an nlb.Model"):
        nlb.choose(lambda dim: dim, train, dim=[2], progress=False)
