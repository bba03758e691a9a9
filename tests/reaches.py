"""A small mc_maze_small with known rates: files, and targets of its test phase, for examples that have to run."""

import numpy as np

from nlbprob.data.nlb.facts import DATASETS, suffix
from tests.data.nlb.conftest import Content, write_both
from tests.scoring.files import truth, write

DATASET, UNITS, HELDOUT, TRIALS, TEST_TRIALS, CONDITIONS = "mc_maze_small", 24, 6, 80, 20, 4
BEFORE_S, TRIAL_S = 0.5, 1.4  # from a trial's start to the onset of movement, and to its end


def velocity(condition, time_s):
    """[trial, time, 2] in mm/s: a bell of 300 ms towards the condition's target, 300 ms after onset at its fastest."""
    angle = 2 * np.pi * condition[:, None] / CONDITIONS
    speed = 300 * np.exp(-0.5 * ((time_s - 0.3) / 0.12) ** 2)
    return np.stack([speed * np.cos(angle), speed * np.sin(angle)], axis=-1)


def rates_hz(condition, time_s):
    """[trial, time, unit]: log-linear in the velocity 120 ms later."""
    tuning = np.random.default_rng(0).normal(size=(2, UNITS)) / 300
    return np.exp(np.log(25) + velocity(condition, time_s + 0.12) @ tuning)


def spikes(random, starts, condition, length_s, before_s):
    """Spike times of each unit, drawn ms by ms."""
    grid = np.arange(round(1000 * length_s)) / 1000
    drawn = random.random((len(starts), len(grid), UNITS)) < rates_hz(condition, grid - before_s) / 1000
    times = np.round(starts[:, None] + grid + 0.0003, 4)
    return [np.sort(times[drawn[..., unit]]) for unit in range(UNITS)]


def content(random, starts, condition, length_s, before_s, split):
    """One file without behavior and conditions."""
    observed = np.round(np.column_stack([starts, starts + length_s]), 3)
    onset = np.round(starts + before_s, 3)
    columns = {"start_time": observed[:, 0], "stop_time": observed[:, 1], "split": split, "move_onset_time": onset}
    heldout, ids = np.arange(UNITS) % (UNITS // HELDOUT) == 1, 1001 + np.arange(UNITS)
    return Content(ids, heldout, spikes(random, starts, condition, length_s, before_s), [observed] * UNITS, columns)


def write_reaches(folder):
    """Write both files as a download of them lies in a folder; returns the condition of every trial, and of test."""
    random = np.random.default_rng(1)
    condition, of_test = np.arange(TRIALS) % CONDITIONS, np.arange(TEST_TRIALS) % CONDITIONS
    split = np.where(np.arange(TRIALS) // CONDITIONS % 4 == 3, "val", "train").tolist()
    starts = np.round(2.0 * np.arange(TRIALS), 3)
    train = content(random, starts, condition, TRIAL_S, BEFORE_S, split)
    train.trials |= {"trial_type": condition, "trial_version": np.zeros(TRIALS, dtype=int)}
    grid = np.arange(round(1000 * TRIAL_S)) / 1000
    hand = velocity(condition, grid - BEFORE_S).reshape(-1, 2)
    times = np.round(starts[:, None] + grid, 3).ravel()
    train.series["hand_vel"] = {"data": hand, "timestamps": times, "comments": "columns=[x,y]"}
    snippets = np.round(0.8 * np.arange(TEST_TRIALS), 3)
    test = content(random, snippets, of_test, 0.7, 0.25, ["test"] * TEST_TRIALS)
    write_both(DATASET, train, test.keep_units(~test.heldout), folder)
    return condition, of_test, train.heldout


def write_truth(path, condition, of_test, heldout, bin_ms):
    """Write the targets of the test phase, drawn from the true rates."""
    first, last = DATASETS[DATASET].window_ms
    middle = (np.arange(first, last + 200, bin_ms) + bin_ms / 2) / 1000
    bins, rates = (last - first) // bin_ms, {}
    for part, own in (("train", condition), ("eval", of_test)):
        expected = rates_hz(own, middle) * bin_ms / 1000
        for mask, chosen in (("heldin", ~heldout), ("heldout", heldout)):
            rates[f"{part}_rates_{mask}"] = expected[:, :bins, chosen]
            if part == "eval":
                rates[f"{part}_rates_{mask}_forward"] = expected[:, bins:, chosen]
    group = DATASET + suffix(bin_ms)
    return write(path, {group: truth(group, rates)})
