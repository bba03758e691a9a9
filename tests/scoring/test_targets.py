import numpy as np
import pytest

from nlbprob.errors import InputError
from nlbprob.scoring.evaluate import evaluate
from tests.scoring.files import draw, write


def both(group, changes=(), without=()):
    """A submission and targets of one group, in which some arrays of the targets are others or missing."""
    rates, _, targets = draw(group)
    targets |= dict(changes)
    return {group: rates}, {group: {key: values for key, values in targets.items() if key not in without}}


def one(key, value, group="mc_maze_20", index=(0, 0, 0)):
    """The targets' array with one entry changed."""
    values = draw(group)[2][key].astype(float)
    values[index] = value
    return {key: values}


def members(*lists):
    found = np.empty(len(lists), dtype=object)
    found[:] = [np.asarray(own) for own in lists]
    return {"eval_cond_idx": found}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (one("eval_spikes_heldout", -1), "eval_spikes_heldout: 1 counts are negative or infinite"),
        (one("eval_spikes_heldout", np.inf), "eval_spikes_heldout: 1 counts are negative or infinite"),
        (one("eval_spikes_heldin_forward", -1), "eval_spikes_heldin_forward: 1 counts are negative"),
        ({"eval_spikes_heldout": np.zeros((0, 35, 6))}, "has the shape .0, 35, 6., and so no count"),
        ({"eval_spikes_heldout": np.zeros((10, 35))}, "eval_spikes_heldout has shape .10, 35."),
        ({"eval_behavior": np.zeros((10, 34, 2))}, "eval_behavior has shape .10, 34, 2., the targets need .10, 35"),
        (
            {"train_behavior": np.zeros((12, 35, 3))},
            "eval_behavior has shape .10, 35, 2., the targets need .10, 35, 3.",
        ),
        ({"train_behavior": np.zeros((12, 35))}, "train_behavior has shape .12, 35."),
        ({"eval_behavior": np.full((10, 35, 2), "x")}, "eval_behavior holds text, not numbers"),
        ({"eval_behavior": np.ones((10, 35, 2)) * 1j}, "eval_behavior holds complex values, not numbers"),
        (one("psth", np.inf), "psth must be finite or NaN"),
        (members([0], [1]), "psth has 3 conditions, eval_cond_idx 2"),
        (members([0], [1], [10]), "condition 2 names a trial that is not among the 10 evaluated"),
        (members([0], [-1], [2]), "condition 1 names a trial that is not among the 10 evaluated"),
        (members([0.5], [1], [2]), "condition 0 names a trial"),
        (members(["a"], [1], [2]), "condition 0 holds <U1, not numbers of trials"),
        ({"eval_cond_idx": np.array(5)}, "eval_cond_idx has 0 axes"),
        ({"eval_jitter": np.full(10, 35)}, "eval_jitter holds other values than whole bins from 0 to 34"),
        ({"eval_jitter": np.full(10, -1)}, "eval_jitter holds other values than whole bins"),
        ({"eval_jitter": np.zeros(9, int)}, "eval_jitter has shape .9,."),
        ({"train_decode_mask": np.ones((12, 2))}, "are of different numbers of decoders"),
        ({"eval_decode_mask": np.full((10, 1), 2)}, "eval_decode_mask holds other values than 0 and 1"),
        ({"eval_decode_mask": np.ones((9, 1))}, "eval_decode_mask has shape .9, 1."),
    ],
)
def test_targets_that_no_score_can_be_made_of_are_refused_by_name(changes, message):
    with pytest.raises(InputError, match=f"the targets: mc_maze_20: .*{message}"):
        evaluate(*both("mc_maze_20", changes))


@pytest.mark.parametrize("key", ["eval_behavior", "train_behavior", "eval_spikes_heldin_forward", "eval_cond_idx"])
def test_what_is_missing_is_named_or_noted(key):
    without = {key, "eval_spikes_heldout_forward"} if "forward" in key else {key}
    rates, targets = both("mc_maze_20", without=without)
    if "forward" in key:
        assert evaluate(rates, targets).notes == ["mc_maze_20: no fp-bps: the targets have no forward spikes."]
        return
    with pytest.raises(InputError, match=f"the targets: mc_maze_20: {key} is missing"):
        evaluate(rates, targets)


@pytest.mark.parametrize("channel", [0, 1])
@pytest.mark.parametrize(("key", "value"), [("eval_behavior", np.inf), ("train_behavior", -np.inf)])
def test_infinite_behavior_counts_as_missing_and_is_noted(key, value, channel):
    group = "mc_maze_20"
    known = evaluate(*both(group, one(key, np.nan, index=(1, 2)))).groups[0].values
    found = evaluate(*both(group, one(key, value, index=(1, 2, channel))))
    assert found.groups[0].values == known
    assert found.notes == [f"{group}: {key} is infinite in 1 places, which count as missing."]


@pytest.mark.parametrize("key", ["eval_rates_heldin", "train_rates_heldin", "train_rates_heldout"])
def test_an_infinite_rate_is_refused_wherever_it_stands(key):
    rates, targets = both("mc_maze_20")
    rates["mc_maze_20"][key][3, 4, 0] = np.inf
    with pytest.raises(InputError, match=f"the submission: mc_maze_20: {key}: 1 rates are infinite"):
        evaluate(rates, targets)


def test_trials_of_conditions_may_be_lists_or_a_table(tmp_path):
    rates, targets = both("mc_maze_20", members([0, 1, 2], [3, 4, 5], [6, 7, 8]))
    expected = evaluate(rates, targets, by_condition=True)
    own = targets["mc_maze_20"]
    for form in ([[0, 1, 2], [3, 4, 5], [6, 7, 8]], np.arange(9).reshape(3, 3)):
        found = evaluate(rates, {"mc_maze_20": own | {"eval_cond_idx": form}}, by_condition=True)
        assert found.groups[0].values == expected.groups[0].values
        assert found.groups[0].by_condition == expected.groups[0].by_condition
    stored = evaluate(write(tmp_path / "rates.h5", rates), write(tmp_path / "targets.h5", targets), by_condition=True)
    assert stored.groups == expected.groups


def test_masked_counts_are_not_scored():
    rates, targets = both("mc_maze_20")
    counts = targets["mc_maze_20"]["eval_spikes_heldout"]
    mask = np.random.default_rng(0).uniform(size=counts.shape) < 0.2
    expected = evaluate(
        rates, {"mc_maze_20": targets["mc_maze_20"] | {"eval_spikes_heldout": np.where(mask, np.nan, counts)}}
    )
    masked = np.ma.masked_array(np.where(mask, 99, counts).astype(int), mask)
    found = evaluate(rates, {"mc_maze_20": targets["mc_maze_20"] | {"eval_spikes_heldout": masked}})
    assert found.groups[0].values == expected.groups[0].values


def test_masked_rates_are_missing():
    rates, targets = both("mc_maze_20")
    values = rates["mc_maze_20"]["eval_rates_heldout"]
    rates["mc_maze_20"]["eval_rates_heldout"] = np.ma.masked_array(
        values, np.arange(values.size).reshape(values.shape) == 5
    )
    with pytest.raises(InputError, match="mc_maze_20: rates: an evaluated rate is NaN or negative"):
        evaluate(rates, targets)
