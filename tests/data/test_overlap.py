"""Trials that share time: never learned from in one split and scored in another without a word."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlbprob.data import Trials
from nlbprob.data.overlap import common_s, container
from nlbprob.data.windows import merge
from nlbprob.errors import InputError

START = np.round(0.6 * np.arange(20), 6)
SPLIT = np.array(["train", "train", "train", "val"] * 5)


def trials_of(start, stop, split=SPLIT, **options):
    rng = np.random.default_rng(0)
    spikes = [np.sort(rng.uniform(0, 13, 260)) for _ in range(6)]
    table = {} if split is None else {"split": split}
    return Trials.from_spike_times(spikes, start, stop, bin_ms=10, heldout="none", table=table, **options)


def notes_of(*arguments, **options):
    notes = trials_of(*arguments, **options).source["notes"]
    return [note for note in notes if "obs_intervals" not in note and "drawn with seed" not in note]


def other_of(values, place):
    """The values, that at `place` being the one before it."""
    changed = values.copy()
    changed[place] = changed[place - 1]
    return changed


@pytest.mark.parametrize(
    ("start", "stop", "options"),
    [
        (other_of(START, 3), other_of(START, 3) + 0.5, {}),
        (other_of(START, 3), other_of(START, 3) + 0.5, {"window_ms": (0, 300)}),
        (other_of(START, 3) + 0.1, other_of(START, 3) + 0.4 + 0.2 * (np.arange(20) != 3), {}),
        (START, np.where(np.arange(20) == 3, START + 1.2, START + 0.5), {}),
        (other_of(START, 3), other_of(START, 3) + 0.5, {"join": True}),
    ],
    ids=["repeated", "window", "inside", "around", "pieces"],
)
def test_a_trial_inside_one_of_another_split_is_refused(start, stop, options):
    with pytest.raises(
        InputError, match=r"split: trial \d \((train|val)\) repeats or lies inside trial \d .*; give both"
    ):
        trials_of(start, stop, **options)


@pytest.mark.parametrize("seed", range(4))
def test_a_drawn_split_keeps_trials_that_share_all_their_time_together(seed):
    start = np.repeat(START[::2], 2)
    stop = start + np.tile([0.5, 0.4], 10)
    trials = trials_of(start, stop, split=None, seed=seed)
    split = trials.table["split"]
    np.testing.assert_array_equal(split[::2], split[1::2])
    moved = [note for note in trials.source["notes"] if "are in train too" in note]
    drawn = trials_of(START, START + 0.5, split=None, seed=seed).table["split"]
    number = int(((drawn == "val") & (split == "train")).sum())
    assert moved == (
        [f"{number} trials share all their time with a trial of train, and are in train too"] if number else []
    )


def test_repeats_within_a_split_are_noted():
    start = other_of(START, 2)
    assert "2 trials have the same window as another: 1, 2" in notes_of(start, start + 0.5)


def test_windows_that_reach_into_another_split_are_noted_with_numbers():
    assert notes_of(START, START + 0.5) == []
    assert notes_of(START, START + 0.6) == []
    (note,) = notes_of(START, START + 0.7)
    assert note.startswith(
        "windows of 14 trials overlap those of another split, by up to 200 ms; scores there are of bins"
    )


def test_forward_windows_in_windows_of_another_split_are_noted():
    (note,) = notes_of(START, START + 0.5, forward_ms=200)
    assert note.startswith("forward windows of 9 trials lie in windows of another split, by up to 100 ms; forecasts")
    assert notes_of(START, START + 0.5, forward_ms=100) == []
    (note,) = notes_of(START, START + 0.5, window_ms=(0, 600), forward_ms=100)
    assert "forward windows of 9 trials" in note


def test_pieces_side_by_side_share_nothing_but_forward_windows():
    assert notes_of(START, START + 0.6, split=SPLIT, join=True)[0].startswith("20 pieces joined")
    (note,) = notes_of(START, START + 0.6, forward_ms=100)
    assert "forward windows of 9 trials" in note


intervals = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 10), st.sampled_from("abc")), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(intervals)
def test_containers_and_common_time_are_those_of_a_loop(listed):
    start = np.array([first for first, _, _ in listed], dtype=float)
    stop = start + np.array([length for _, length, _ in listed], dtype=float)
    group = np.array([name for *_, name in listed])
    found = container(start, stop, np.full(len(start), 1e-6), group)
    for i, outer in enumerate(found):
        around = [j for j in range(len(start)) if group[j] != group[i] and start[j] <= start[i] and stop[i] <= stop[j]]
        assert outer in around if around else outer == -1
    merged = merge(np.column_stack([start, stop])[group == "a"], 0.0)
    ticks = np.zeros(50, dtype=bool)
    for first, last in merged.astype(int):
        ticks[first:last] = True
    expected = [ticks[int(first) : int(last)].sum() for first, last in zip(start, stop, strict=True)]
    np.testing.assert_array_equal(common_s(start, stop, merged), expected)
