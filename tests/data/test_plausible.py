"""Times that cannot be meant are told with numbers, or refused; ordinary ones raise no alarm."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlbprob.data import Trials
from nlbprob.data.convert import from_arrays
from nlbprob.data.nwb import load
from nlbprob.data.plausible import check_invalid
from nlbprob.data.units import Units
from nlbprob.data.windows import Windows
from nlbprob.errors import InputError

START = np.round(2 + 0.6 * np.arange(20), 6)
STOP = np.round(START + 0.5, 6)
SPLIT = ["train", "train", "train", "val"] * 5


def trains(seconds=16.0, units=8, hz=20.0, seed=3):
    rng = np.random.default_rng(seed)
    return [np.sort(rng.uniform(0, seconds, rng.poisson(seconds * hz))) for _ in range(units)]


def trials_of(spikes, start=START, stop=STOP, bin_ms=10, heldout="none", table=None, **options):
    table = {"split": SPLIT} if table is None and len(start) == 20 else table
    return Trials.from_spike_times(spikes, start, stop, bin_ms=bin_ms, heldout=heldout, table=table, **options)


def notes_of(*arguments, **options):
    """What is said of times; not that there are no obs_intervals, nor what was drawn."""
    said = trials_of(*arguments, **options).source["notes"]
    return [note for note in said if "no obs_intervals" not in note and "drawn with seed" not in note]


def test_ordinary_sessions_raise_no_alarm():
    assert notes_of(trains()) == []
    assert notes_of(trains(hz=0.5)) == []
    assert notes_of(trains(seconds=700.0, hz=5)) == []
    go = START + np.linspace(0, 0.5, 20)
    assert notes_of(trains(), table={"split": SPLIT, "go": go}, align="go", window_ms=(-50, 50)) == []
    assert notes_of(trains(), table={"split": SPLIT, "go": STOP}, align="stop_time", window_ms=(-50, 50)) == []


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), hz=st.floats(1.0, 60.0), pause_s=st.floats(0.0, 3.0), before_s=st.floats(0.0, 60.0))
def test_random_sessions_raise_no_alarm(seed, hz, pause_s, before_s):
    rng = np.random.default_rng(seed)
    start = before_s + np.cumsum(rng.uniform(0.3, 0.8, 20) + 0.5 + pause_s)
    stop = start + rng.choice([0.3, 0.4, 0.5])
    spikes = trains(seconds=stop[-1] + before_s, hz=hz, seed=seed)
    tails = [note for note in notes_of(spikes, start, stop) if "end in less than a bin" not in note]
    assert tails == []


@pytest.mark.parametrize("factor", [1000, 30_000, 1e6])
def test_spikes_in_other_units_than_trials_are_refused(factor):
    start = 0.6 * np.arange(900)
    with pytest.raises(InputError, match=r"spike_times: (99.9%|every|100.0%) .* lie.* both in s, on one"):
        trials_of([times * factor for times in trains(seconds=600.0, hz=10)], start, start + 0.5, split="none")


@pytest.mark.parametrize("factor", [1000, 30_000])
@pytest.mark.parametrize("window_ms", [None, (0, 400)])
def test_trials_in_other_units_than_spikes_are_refused(factor, window_ms):
    start = 0.6 * np.arange(900) * factor
    with pytest.raises(InputError, match=r"start_time: \d+ of 900 trials .* lie outside the recording"):
        trials_of(trains(seconds=600.0, hz=2), start, start + 0.5 * factor, split="none", window_ms=window_ms)


def test_both_in_other_units_are_noted():
    slow = [times * 1000 for times in trains(hz=10)]
    (note,) = notes_of(slow, START * 1000, STOP * 1000, bin_ms=10_000)
    assert "units fire at 0.0099 Hz on average" in note
    assert "are their times in s?" in note
    (note,) = notes_of([times / 1000 for times in trains(hz=40)], START / 1000, STOP / 1000, bin_ms=0.01)
    assert "are their times in s?" in note


def test_a_few_trials_of_a_long_recording_are_noted():
    spikes = trains(seconds=3000.0, hz=4)
    (note,) = notes_of(spikes)
    assert "spike_times: 99.6% of the spikes lie before the first trial or after the last (2 to 13.9 s)" in note


def test_units_on_another_clock_are_noted():
    spikes = trains()
    spikes[2], spikes[5] = spikes[2] * 1000, spikes[5] + 1e5
    assert any(
        "of 2 units hardly any spike lies between" in note and "clock? 2, 5" in note for note in notes_of(spikes)
    )


def test_trials_after_the_end_of_the_recording_are_noted():
    spikes = trains(seconds=8.0)
    (note,) = [note for note in notes_of(spikes) if "outside" in note]
    assert note.startswith("10 of 20 trials lie outside the recording, which reaches from 0.0")
    assert note.endswith(": 10, 11, 12, 13, 14, 15, 16, 17, 18, 19")
    observed = [np.array([[0.0, 8.0]])] * 8
    assert not any("outside" in note for note in notes_of(spikes, obs_intervals=observed) if "trials lie" in note)


@pytest.mark.parametrize("window_ms", [None, (-100, 200)])
@pytest.mark.parametrize(
    "go",
    [0.25 + 0.001 * np.arange(20), np.full(20, 0.25), 250 + np.arange(20.0), 1000 * START, START * 0 - 0.1],
    ids=["of the trial", "constant", "ms of the trial", "ms", "before"],
)
def test_events_that_are_not_on_the_clock_are_refused(go, window_ms):
    with pytest.raises(InputError, match=r"align: 'go' lies outside its trial \(start_time to stop_time\) in 20 of 20"):
        trials_of(trains(), table={"split": SPLIT, "go": go}, align="go", window_ms=window_ms)


def test_events_outside_their_trial_are_noted():
    before = START - 0.05
    (note,) = notes_of(trains(), table={"split": SPLIT, "go": before}, align="go", window_ms=(0, 100))
    assert note.startswith("align: 'go' lies outside its trial (start_time to stop_time) in 20 of 20 trials")
    some = np.where(np.arange(20) < 3, STOP + 0.01, START)
    (note,) = notes_of(trains(), table={"split": SPLIT, "go": some}, align="go", window_ms=(0, 50))
    assert "in 3 of 20 trials: 0, 1, 2" in note


def test_events_without_a_time_are_left_out():
    go = np.where(np.arange(20) == 4, np.nan, START)
    go[5] = np.inf
    trials = trials_of(trains(), table={"split": SPLIT, "go": go}, align="go", window_ms=(0, 100))
    assert trials.n_trials == 18
    assert "2 trials left out, without a time of go: 4, 5" in trials.source["notes"]


def test_trials_that_stop_before_they_start():
    stop = np.where(np.arange(20) == 7, START - 1, STOP)
    trials = trials_of(trains(), stop=stop)
    assert trials.n_trials == 19
    assert "1 trials stop before they start: 7" in trials.source["notes"]
    assert "1 trials left out, shorter than a bin: 7" in trials.source["notes"]
    assert "1 trials stop before they start: 7" in notes_of(trains(), stop=stop, window_ms=(0, 100))
    with pytest.raises(InputError, match="stop_time: lies before start_time in all 20 trials; .* exchanged"):
        trials_of(trains(), STOP, START)


def test_trials_of_no_length():
    stop = np.where(np.arange(20) == 7, START, STOP)
    assert "1 trials left out, shorter than a bin: 7" in notes_of(trains(), stop=stop)
    with pytest.raises(InputError, match="bin_ms: no trial lasts a whole bin"):
        trials_of(trains(), START, START)
    assert notes_of(trains(), START, START, window_ms=(0, 400)) == []


def test_a_trial_far_longer_than_the_others():
    stop = np.where(np.arange(20) == 19, 500.0, STOP)
    notes = notes_of(trains(seconds=500.0, hz=2), stop=stop)
    assert "trial 19 lasts 486.6 s, the median one 0.5 s; all are padded to it, unseen" in notes
    stop[19] = 1e9
    with pytest.raises(InputError, match="stop_time: trial 19 lasts 1e.09 s, the median one 0.5 s, and all are padded"):
        trials_of(trains(), stop=stop)


def test_one_stray_spike_makes_no_recording(write_nwb, recipe):
    recipe.trials = recipe.observed = None
    plain = load(write_nwb(recipe), bin_ms=10, chunk_ms=1000)
    for stray in ([20_000.0], [-9_000.0], [-9_000.0, 5_000.0, 20_000.0]):
        spikes = [times.copy() for times in recipe.spikes]
        recipe.spikes[4] = np.sort(np.append(spikes[4], stray))
        trials = load(write_nwb(recipe), bin_ms=10, chunk_ms=1000)
        recipe.spikes = spikes
        np.testing.assert_array_equal(trials.counts, plain.counts)
        note = trials.source["notes"][0]
        assert f"{len(stray)} stray spikes at {min(stray):g} to {max(stray):g} s (units 15)" in note
    kept = load(write_nwb(recipe), bin_ms=10, chunk_ms=1000, units="rate > 5")
    assert kept.n_neurons == 7


UNEVEN = {
    "each time twice": (np.repeat(np.arange(0, 17, 0.02), 2), 0.0, "times of 'x' come more than once; their"),
    "two rates": (np.r_[np.arange(0, 8, 0.001), np.arange(8, 17, 0.01)], 0.0, "'x' are unevenly spaced, 1 to 10 ms"),
    "a quarter": (np.arange(0, 5, 0.01), 0.75, "'x' has no value in 75% of the bins of the trials; it has 500 samples"),
    "without a time": (np.r_[np.arange(0, 17, 0.01), np.nan, np.nan], 0.0, "2 of 1702 samples of 'x' have no time"),
    "back in time": (np.r_[np.arange(8, 17, 0.01), np.arange(0, 8, 0.01)], 0.0, "the times of 'x' step back 1 times"),
}  # fmt: skip


@pytest.mark.parametrize(("times", "missing", "message"), UNEVEN.values(), ids=UNEVEN)
def test_behavior_that_is_lost_or_was_mended_is_noted(times, missing, message):
    values = np.where(np.isnan(times), 1e6, np.nan_to_num(times))
    trials = trials_of(trains(), behavior=(times, values), behavior_name="x", bin_ms=5)
    (note,) = [note for note in trials.source["notes"] if "behavior" in note]
    assert message in note
    assert "averaged" not in note or (note.startswith("behavior: 850 times of") and note.endswith(", 1700 to 850"))
    found = trials.behavior[..., 0]
    assert np.isnan(found).mean() == pytest.approx(missing, abs=0.01)
    centers = START[:, None] + 0.005 * (np.arange(100) + 0.5)
    assert np.nanmax(np.abs(found - centers)) < 0.006


def test_behavior_sampled_on_change_is_noted():
    rng = np.random.default_rng(0)
    times = np.sort(rng.uniform(0, 16, 400))
    trials = trials_of(trains(), behavior=(times, times), behavior_name="x")
    (note,) = [note for note in trials.source["notes"] if "behavior" in note]
    share = np.isnan(trials.behavior).mean()
    assert f"'x' has no value in {share:.0%} of the bins of the trials" in note
    assert 0.3 < share < 0.7


def test_regular_behavior_with_a_gap_is_not_bridged_and_raises_no_alarm():
    times = np.r_[np.arange(0, 8, 0.01), np.arange(8.3, 16, 0.01)]
    trials = trials_of(trains(), behavior=(times, times), behavior_name="x")
    assert not any("behavior" in note for note in trials.source["notes"])
    centers = START[:, None] + 0.01 * (np.arange(50) + 0.5)
    np.testing.assert_array_equal(np.isnan(trials.behavior[..., 0]), (centers > 7.995) & (centers < 8.3))


def test_one_dead_channel_is_told_from_a_dead_signal():
    times = np.arange(0, 16, 0.01)
    values = np.stack([times, np.where(times < 9, np.nan, times)], axis=1)
    trials = trials_of(trains(), behavior=(times, values), behavior_name="x")
    assert any("a channel of 'x' has no value in" in note for note in trials.source["notes"])


@pytest.mark.parametrize("factor", [1000, 30_000])
def test_behavior_in_other_units_than_trials_is_refused(factor):
    times = np.arange(0, 16, 0.01)
    with pytest.raises(
        InputError, match=r"behavior: 'x' reaches from 0 to \d+ s and has \d samples in the time of the 20"
    ):
        trials_of(trains(), behavior=(times * factor, times), behavior_name="x")
    slow = np.arange(0, 16, 1.0)
    assert notes_of(trains(), behavior=(slow, slow), behavior_name="x") == []


def test_few_spikes_do_not_tell_how_far_a_recording_reaches():
    assert notes_of([np.array([2.1, 2.2])]) == []


@pytest.mark.parametrize(
    "times", [np.repeat(np.arange(0, 16, 0.01), 2), np.arange(0, 16, 0.001)], ids=["twice", "fast"]
)
def test_the_mean_of_the_largest_numbers_is_finite(times):
    found = trials_of(trains(), behavior=(times, np.full(len(times), 1.5e308))).behavior
    np.testing.assert_array_equal(found, 1.5e308)


def test_infinite_behavior_is_missing_with_a_note():
    times = np.arange(0, 16, 0.01)
    values = times.copy()
    values[[300, 900]] = np.inf, -np.inf
    trials = trials_of(trains(), behavior=(times, values), behavior_name="x")
    assert "behavior: 2 values of 'x' are infinite, and count as missing" in trials.source["notes"]
    assert not np.isinf(trials.behavior).any()


def test_behavior_far_from_all_other_values_is_noted():
    times = np.arange(0, 16, 0.01)
    values = np.sin(times)
    assert notes_of(trains(), behavior=(times, values), behavior_name="x") == []
    values[[300, 900]] = 1e30, -1e300
    (note,) = notes_of(trains(), behavior=(times, values), behavior_name="x")
    assert re.match(r"behavior: \d values of 'x' lie over 100 times as far from the median as 99% do", note)
    counts = np.ones((5, 50, 3), int)
    smooth = np.random.default_rng(0).normal(size=(5, 50, 2))
    assert from_arrays(counts, 20.0, behavior=smooth).source["notes"] == []
    smooth[2, 3, 1] = 1e9
    (note,) = from_arrays(counts, 20.0, behavior=smooth).source["notes"]
    assert note.startswith("behavior: 1 values of 'behavior' lie over 100 times")
    smooth[2, 3, 1] = 0.0
    smooth.ravel()[::40] = -9999.0  # a number that stands for no value
    (note,) = from_arrays(counts, 20.0, behavior=smooth).source["notes"]
    assert note.startswith("behavior: 13 values of 'behavior' lie over 100 times as far from the median as 94% do")
    rare = np.zeros((5, 50, 1))
    rare[1, 1] = 1.0  # an event is no fault
    assert from_arrays(counts, 20.0, behavior=rare).source["notes"] == []


def test_trials_in_a_gap_of_the_recording_are_noted():
    spikes = [times[(times < 5) | (times > 9)] for times in trains()]
    (note,) = notes_of(spikes)
    silent = (START >= 5) & (STOP < 9)
    assert f"{silent.sum()} of 20 trials hold 0 spikes, where about" in note
    assert "they count as silent" in note
    part = np.array([[0.0, 5.0], [9.0, 16.0]])
    assert not [note for note in notes_of(spikes, obs_intervals=[part] * 8) if "silent" in note]


def test_pieces_far_from_nearly_all_spikes_are_noted():
    spikes = [np.r_[times, 3000 + 50 * np.arange(3) + unit] for unit, times in enumerate(trains())]
    trials = load(dict(enumerate(spikes)), chunk_ms=500, bin_ms=10)
    assert trials.n_trials > 6000
    assert any("trials hold 23 spikes, where about" in note for note in trials.source["notes"])


@pytest.mark.parametrize("to", ["ms", "another clock"])
def test_invalid_times_that_touch_nothing_are_noted(to):
    units = Units.from_lists(
        {"id": np.arange(8)}, trains(), [None] * 8, {"ms": [[3000.0, 3500.0]], "another clock": [[-90.0, -80.0]]}[to]
    )
    notes = []
    check_invalid(units, Windows(START, np.full(20, 50), 10.0), notes)
    assert "invalid_times: none of its 1 intervals" in notes[0]
    assert "are both in s, on one clock?" in notes[0]
