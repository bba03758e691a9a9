"""Sessions stitched to one recording, and back."""

import json

import numpy as np
import pytest

import nlbprob as nlb
from nlbprob.data.stitch import checked, members, neurons_of_a_session
from nlbprob.errors import InputError
from nlbprob.scoring.rates import label_rates, rate_array


def draw(neurons=4, trials=6, bins=5, seed=0, **fields):
    """A session with behavior, inputs, conditions and an unseen entry."""
    random = np.random.default_rng(seed)
    seen = np.ones((trials, bins, neurons), dtype=bool)
    seen[0, 1, 2] = False
    arguments = {
        "counts": random.poisson(1.0, seen.shape),
        "seen": seen,
        "bin_ms": 20,
        "neurons": {"id": np.arange(neurons) + 10 * seed, "heldout": np.arange(neurons) == 1},
        "table": {"id": np.arange(trials), "split": ["train", "val"] * (trials // 2), "side": list("aab" * 2)},
        "time_ms": 20.0 * np.arange(bins) - 40,
        "condition": ("side",),
        "behavior": random.normal(size=(trials, bins, 2)),
        "behavior_name": "hand_vel",
        "inputs": {"cue": random.normal(size=(trials, bins, 1))},
        "source": {"file": f"{seed}.nwb", "notes": [f"drawn with {seed}"]},
    }
    return nlb.Trials(**(arguments | fields))


@pytest.fixture
def sessions():
    """Two sessions that differ in neurons, trials' length, columns and what their ids are."""
    neurons = {"id": list("pqrst"), "heldout": np.arange(5) == 3, "area": list("xyxyx"), "good": np.arange(5) < 2}
    table = {"id": list("uvwxyz"), "split": ["train"] * 5 + ["val"], "side": list("abcabc"), "reward": np.arange(6)}
    two = draw(neurons=5, bins=8, seed=2, table=table)
    return {"one": draw(seed=1), "two": two.replace(neurons=neurons)}


def same(one, other):
    """Whether two Trials are equal in everything, types of columns too."""
    for name in ("counts", "seen", "behavior", "time_ms"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    for name in ("neurons", "table", "inputs"):
        columns, others = getattr(one, name), getattr(other, name)
        assert columns.keys() == others.keys()
        for key, column in columns.items():
            np.testing.assert_array_equal(column, others[key])
            assert column.dtype == others[key].dtype
    for name in ("bin_ms", "condition", "behavior_name", "behavior_channels", "lag_ms", "forward_bins", "source"):
        assert getattr(one, name) == getattr(other, name)


def test_each_trial_sees_the_neurons_of_its_session_alone(sessions):
    stitched = nlb.stitch(sessions)
    one, two = sessions.values()
    assert stitched.counts.shape == (12, 8, 9)
    np.testing.assert_array_equal(stitched.counts[:6, :5, :4], one.counts)
    np.testing.assert_array_equal(stitched.seen[:6, :5, :4], one.seen)
    np.testing.assert_array_equal(stitched.counts[6:, :, 4:], two.counts)
    assert stitched.seen.sum() == one.seen.sum() + two.seen.sum()
    np.testing.assert_array_equal(stitched.lengths, [5] * 6 + [8] * 6)
    assert stitched.time_ms[[0, -1]].tolist() == [-40, 100]
    np.testing.assert_array_equal(stitched.neurons["id"][[0, 8]], ["one/10", "two/t"])
    np.testing.assert_array_equal(stitched.table["id"][[0, 11]], ["one/0", "two/z"])
    np.testing.assert_array_equal(stitched.neurons["session"], ["one"] * 4 + ["two"] * 5)
    np.testing.assert_array_equal(stitched.table["session"], ["one"] * 6 + ["two"] * 6)
    assert stitched.neurons["area"].tolist() == [""] * 4 + list("xyxyx")
    assert np.isnan(stitched.table["reward"][:6]).all()
    assert stitched.condition_labels == ["a", "b", "c"]
    assert np.isnan(stitched.behavior[:6, 5:]).all()
    assert not stitched.inputs["cue"][:6, 5:].any()
    assert stitched.source["notes"] == ["one: drawn with 1", "two: drawn with 2"]
    assert neurons_of_a_session(stitched) == 5
    assert neurons_of_a_session(one) == 4


def test_the_way_back_is_exact(sessions):
    stitched = nlb.stitch(sessions)
    json.dumps(stitched.source)
    for trials in (stitched, nlb.Trials.from_xarray(stitched.to_xarray())):
        for name, own in nlb.unstitch(trials).items():
            same(own, sessions[name])
    val = nlb.unstitch(stitched.split("val"))
    same(val["two"], sessions["two"].split("val"))
    only = stitched.select(neurons=stitched.neurons["session"] == "two")
    assert list(nlb.unstitch(only)) == ["two"]
    with pytest.raises(InputError, match="of one session"):
        nlb.unstitch(sessions["one"])


def test_hidden_neurons_and_rates_come_apart_by_session(sessions):
    stitched = nlb.stitch(sessions)
    hidden = nlb.unstitch(stitched.hide_heldout("val"))
    np.testing.assert_array_equal(hidden["one"].seen, sessions["one"].hide_heldout("val").seen)
    rates = np.random.default_rng(0).uniform(0.5, 1.5, stitched.counts.shape)
    labeled, plain = nlb.unstitch(stitched, label_rates(rates, stitched)), nlb.unstitch(stitched, rates)
    np.testing.assert_array_equal(plain["two"], rates[6:, :, 4:])
    for name, trials in sessions.items():
        np.testing.assert_array_equal(rate_array(labeled[name], trials), plain[name])
    with pytest.raises(InputError, match="shape"):
        nlb.unstitch(stitched, rates[:2])


def test_scores_count_seen_entries_alone_and_are_those_of_the_sessions_together(sessions):
    sessions = {name: trials.replace(table=draw().table) for name, trials in sessions.items()}
    stitched = nlb.stitch(sessions)
    random = np.random.default_rng(0)
    rates = random.uniform(0.5, 1.5, stitched.counts.shape)
    other = np.where(stitched.seen, rates, random.uniform(0.5, 1.5, rates.shape))
    whole = nlb.score(rates, stitched)
    own = {name: nlb.score(rate, sessions[name]) for name, rate in nlb.unstitch(stitched, rates).items()}
    for name in ("co-bps", "psth R2"):
        assert whole.values[name] != pytest.approx(own["one"].values[name])
    spikes = [part.counts[1::2][..., part.heldout].sum() for part in sessions.values()]
    pooled = np.average([score.values["co-bps"] for score in own.values()], weights=spikes)
    assert whole.values["co-bps"] == pytest.approx(pooled)
    averaged = np.average([score.values["psth R2"] for score in own.values()], weights=[4, 5])
    assert whole.values["psth R2"] == pytest.approx(averaged)
    np.testing.assert_allclose(whole.by_neuron, np.concatenate([score.by_neuron for score in own.values()]))
    again = nlb.score(other, stitched)
    for name in ("co-bps", "psth R2"):
        assert again.values[name] == whole.values[name]


def test_baselines_of_stitched_sessions_are_those_of_each():
    sessions = {
        "one": draw(trials=12, bins=6, seed=1, **rows(12)),
        "two": draw(neurons=5, trials=12, seed=2, **rows(12)),
    }
    stitched = nlb.stitch(sessions)
    whole = nlb.baselines(stitched)
    assert list(whole) == ["mean rate", "smoothing + Poisson regression", "condition PSTH"]
    for name, trials in sessions.items():
        for baseline, rates in nlb.baselines(trials).items():
            np.testing.assert_array_equal(nlb.unstitch(stitched, whole[baseline])[name], rates)


def rows(trials):
    """The table of so many trials."""
    return {
        "table": {
            "id": np.arange(trials),
            "split": ["train", "val"] * (trials // 2),
            "side": ["a", "b"] * (trials // 2),
        }
    }


def test_neurons_of_one_id_can_be_shared():
    first = draw(seed=0)
    second = draw(seed=0, bins=7).select(neurons=[3, 1, 0])
    second = second.replace(neurons={"id": [3, 1, 99], "heldout": [False, True, False]})
    stitched = nlb.stitch({"one": first, "two": second}, shared=True)
    np.testing.assert_array_equal(stitched.neurons["id"], [0, 1, 2, 3, 99])
    assert stitched.neurons["session"].tolist() == ["one", "one+two", "one", "one+two", "two"]
    np.testing.assert_array_equal(stitched.counts[6:][:, :, [3, 1, 4]], second.counts)
    assert not stitched.seen[6:][:, :, [0, 2]].any()
    back = nlb.unstitch(stitched)
    same(back["one"], first)
    np.testing.assert_array_equal(back["two"].neurons["id"], [1, 3, 99])
    np.testing.assert_array_equal(back["two"].counts, second.counts[:, :, [1, 0, 2]])
    rows, units = members(stitched)["two"]
    assert (rows.sum(), units.sum()) == (6, 3)
    with pytest.raises(InputError, match="neuron 1 is held out in some"):
        nlb.stitch(
            {"one": first, "two": second.replace(neurons={"id": [3, 1, 99], "heldout": [False] * 3})}, shared=True
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bin_ms": 10, "time_ms": 10.0 * np.arange(5) - 40}, r"bin width \(ms\) of two is 10.0, that of one 20.0"),
        ({"time_ms": 20.0 * np.arange(5)}, "first bin edge"),
        ({"forward_bins": 2}, "forward window"),
        ({"condition": ()}, "condition of two"),
        ({"condition": ("id",)}, "condition of two"),
        ({"behavior": None, "behavior_name": None}, "behavior of two is None"),
        ({"behavior_channels": ("u", "v")}, "behavior of two"),
        ({"lag_ms": 100}, "behavior of two"),
        ({"inputs": {}}, "inputs of two is {}"),
        ({"table": draw().table | {"session": np.arange(6)}}, "two has a column 'session' in table already"),
    ],
)
def test_sessions_that_do_not_fit_are_named(change, message):
    with pytest.raises(InputError, match=message):
        nlb.stitch({"one": draw(), "two": draw().replace(**change)})


def test_there_must_be_sessions_with_names_of_use():
    with pytest.raises(InputError, match="no session"):
        nlb.stitch({})
    for name in ("", "a/b", "a+b"):
        with pytest.raises(InputError, match="is no name of a session"):
            nlb.stitch({name: draw()})
    with pytest.raises(InputError, match="already"):
        nlb.stitch({"again": nlb.stitch({"one": draw()})})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            list,
            r"stitch: expected a mapping of names to trials, got list; give names, \{'day1': first, 'day2': second\}",
        ),
        (lambda sessions: sessions["one"], "stitch: expected a mapping of names to trials, got Trials"),
        (lambda sessions: sessions | {"two": 3}, "stitch: 'two' is a int; hand over the Trials of each session"),
    ],
    ids=["list", "trials", "number"],
)
def test_what_is_no_mapping_of_trials_is_told(sessions, change, message):
    with pytest.raises(InputError, match=message):
        checked(change(sessions))
