"""Tensors against a dense clock of 1 ms, worked out step by step from what the files hold."""

import numpy as np
import pytest

from nlbprob.data.nlb import eval_inputs, read, resample, targets, train_inputs
from tests.data.nlb import conftest as pairs
from tests.data.nlb.dense import condition_means, dense, same


@pytest.fixture(params=[0, 3])
def maze_pair(request):
    return pairs.maze(request.param)


@pytest.fixture(params=[0, 3])
def timing_pair(request):
    return pairs.timing(request.param)


@pytest.mark.parametrize("q", [5, 20])
def test_windows_of_a_maze(write_pair, maze_pair, q):
    train, test = maze_pair
    whole = dense(train, test, "hand_vel")
    resampled = resample(read(write_pair("mc_maze_small", train, test), "mc_maze_small"), q)
    bins, velocity = whole.bins(q), whole.decimated(q)
    rows = {name: np.flatnonzero(whole.table["split"] == name) for name in ("train", "val", "test")}
    onset = whole.table["move_onset_time"]

    def cut(split, values, first_ms, length_ms):
        return [whole.window(values, onset[row], first_ms, length_ms // q, q) for row in rows[split]]

    ours = train_inputs(resampled)
    same(ours["train_spikes_heldin"], cut("train", bins[:, ~whole.heldout], -250, 700))
    same(ours["train_spikes_heldout"], cut("train", bins[:, whole.heldout], -250, 700))
    same(ours["train_spikes_heldin_forward"], cut("train", bins[:, ~whole.heldout], 450, 200))
    same(ours["train_spikes_heldout_forward"], cut("train", bins[:, whole.heldout], 450, 200))
    same(ours["train_behavior"], cut("train", velocity, -250 + 120, 700), atol=1e-9)
    assert ours["train_spikes_heldin"].dtype == np.float16
    target = targets(resampled)["mc_maze_small" + ("_20" if q == 20 else "")]
    same(target["eval_behavior"], cut("val", velocity, -250 + 120, 700), atol=1e-9)
    same(eval_inputs(resampled)["eval_spikes_heldout"], cut("val", bins[:, whole.heldout], -250, 700))
    same(target["eval_spikes_heldout"], cut("val", bins[:, whole.heldout], -250, 700))
    ours = eval_inputs(resampled, "test")
    assert list(ours) == ["eval_spikes_heldin"]
    same(ours["eval_spikes_heldin"], cut("test", bins[:, ~whole.heldout], -250, 700))


@pytest.mark.parametrize("q", [5, 20])
def test_psths_of_a_maze(write_pair, maze_pair, q):
    train, test = maze_pair
    whole = dense(train, test, "hand_vel")
    target = targets(resample(read(write_pair("mc_maze_small", train, test), "mc_maze_small"), q))
    (target,) = target.values()
    smooth = whole.smoothed(50).bins(q)
    kept = []
    for row in np.flatnonzero(np.isin(whole.table["split"], ("train", "val"))):
        align_ms = np.round(1000 * whole.table["move_onset_time"][row], 6)
        begin = int(np.ceil(np.round(align_ms - 250, 6) / q))
        kept.append((row, begin, begin + 700 // q, int(np.ceil(align_ms / q))))
    order = np.argsort(whole.heldout, kind="stable")
    found = list(condition_means(whole, smooth, ("trial_type", "trial_version"), kept))
    same(target["psth"], [means[:shortest][:, order] for means, shortest, _ in found], atol=1e-9)
    for key, split in (("train_cond_idx", "train"), ("eval_cond_idx", "val")):
        rows = list(np.flatnonzero(whole.table["split"] == split))
        for ours, (_, _, of_condition) in zip(target[key], found, strict=True):
            np.testing.assert_array_equal(ours, [rows.index(row) for row in of_condition if row in rows])
    if q == 20:  # some trials begin a bin before others, so there is one bin too many before the cut
        assert max(len(means) for means, *_ in found) == 36


def bumps(seed):
    """area2_bump from the maze's trials: other columns, and windows of two trials that overlap."""
    train, test = pairs.maze(seed)
    for theirs, ours in (("trial_type", "cond_dir"), ("trial_version", "ctr_hold_bump")):
        train.trials[ours] = train.trials.pop(theirs)
    return train, test


@pytest.mark.parametrize("q", [5, 20])
@pytest.mark.parametrize("seed", [1, 2])
def test_windows_decoders_and_psths_of_bumps(write_pair, seed, q):
    train, test = bumps(seed)
    whole = dense(train, test, "hand_vel")
    resampled = resample(read(write_pair("area2_bump", train, test), "area2_bump"), q)
    bins, velocity, onset = whole.bins(q), whole.decimated(q), whole.table["move_onset_time"]
    rows = {name: np.flatnonzero(whole.table["split"] == name) for name in ("train", "val")}
    (target,) = targets(resampled).values()
    ours = train_inputs(resampled)
    for kind, mask in (("heldin", ~whole.heldout), ("heldout", whole.heldout)):
        cut = [whole.window(bins[:, mask], onset[row], -100, 600 // q, q) for row in rows["train"]]
        same(ours[f"train_spikes_{kind}"], cut)
        cut = [whole.window(bins[:, mask], onset[row], 500, 200 // q, q) for row in rows["val"]]
        same(target[f"eval_spikes_{kind}_forward"], cut)
    for key, split in (("train", "train"), ("eval", "val")):
        cut = [whole.window(velocity, onset[row], -100 - 20, 600 // q, q) for row in rows[split]]
        same(target[f"{key}_behavior"], cut, atol=1e-9)
        passive = whole.table["ctr_hold_bump"][rows[split]]
        np.testing.assert_array_equal(target[f"{key}_decode_mask"], np.stack([passive == 0, passive == 1], axis=1))
    smooth, kept = whole.smoothed(40).bins(q), []
    for row in np.flatnonzero(np.isin(whole.table["split"], ("train", "val"))):
        align_ms = np.round(1000 * onset[row], 6)
        begin = int(np.ceil(np.round(align_ms - 100, 6) / q))
        kept.append((row, begin, begin + 600 // q, int(np.ceil(align_ms / q))))
    order = np.argsort(whole.heldout, kind="stable")
    found = list(condition_means(whole, smooth, ("cond_dir", "ctr_hold_bump"), kept))
    same(target["psth"], [means[:shortest][:, order] for means, shortest, _ in found], atol=1e-9)


def segments(seed, number=16):
    """mc_rtt: segments of 600 ms without a pause between them, a signal at a regular rate."""
    rng = np.random.default_rng(seed)
    start = np.round(0.6 * np.arange(number), 3)
    length = 0.6 * number + 0.4
    ids, heldout, spikes = pairs.units(rng, 6, length)
    data = np.cumsum(rng.normal(size=(round(1000 * length), 2)), axis=0)
    train = pairs.Content(
        ids,
        heldout,
        spikes,
        [np.array([[0.0, length]])] * 6,
        {"start_time": start, "stop_time": np.round(start + 0.6, 3), "split": ["train", "train", "val", "none"] * 4},
        {"finger_vel": {"data": data, "timestamps": np.arange(len(data)) / 1000, "comments": "columns=[x,y]"}},
    )
    begin = np.round(0.7 * np.arange(4), 3)
    test = pairs.Content(
        ids,
        heldout,
        [np.sort(rng.uniform(0, 2.7, 50)) for _ in ids],
        [np.column_stack([begin, np.round(begin + 0.6, 3)])] * 6,
        {"start_time": begin, "stop_time": np.round(begin + 0.6, 3), "split": ["test"] * 4},
    ).keep_units(~heldout)
    return train, test


@pytest.mark.parametrize("q", [5, 20])
@pytest.mark.parametrize("seed", [1, 2])
def test_windows_of_segments(write_pair, seed, q):
    train, test = segments(seed)
    whole = dense(train, test, "finger_vel")
    resampled = resample(read(write_pair("mc_rtt", train, test), "mc_rtt"), q)
    bins, velocity, start = whole.bins(q), whole.decimated(q), whole.table["start_time"]
    rows = {name: np.flatnonzero(whole.table["split"] == name) for name in ("train", "val", "test")}
    (target,) = targets(resampled).values()
    ours = train_inputs(resampled)
    for kind, mask in (("heldin", ~whole.heldout), ("heldout", whole.heldout)):
        same(
            ours[f"train_spikes_{kind}"], [whole.window(bins[:, mask], start[r], 0, 600 // q, q) for r in rows["train"]]
        )
        forward = [whole.window(bins[:, mask], start[r], 600, 200 // q, q) for r in rows["val"]]
        same(target[f"eval_spikes_{kind}_forward"], forward)
    for key, split in (("train", "train"), ("eval", "val")):
        same(
            target[f"{key}_behavior"],
            [whole.window(velocity, start[r], 140, 600 // q, q) for r in rows[split]],
            atol=1e-9,
        )
    heldin = [whole.window(bins[:, ~whole.heldout], start[r], 0, 600 // q, q) for r in rows["test"]]
    same(eval_inputs(resampled, "test")["eval_spikes_heldin"], heldin)
    assert "psth" not in target


def jitter_of(tp, bin_ms, seed=0):
    """Bins, drawn one by one from the legacy generator."""
    random = np.random.RandomState(seed)
    return [int(np.round(random.random_sample() * np.floor(np.clip(1500 - x, 0, 300) / bin_ms))) for x in tp]


@pytest.mark.parametrize("q", [5, 20])
@pytest.mark.parametrize("gaps", [False, True])
def test_jittered_windows_and_scored_intervals(write_pair, timing_pair, q, gaps):
    train, test = timing_pair
    if gaps:  # inside some scored intervals, of held-out units alone
        begin = train.trials["go_time"][::5] - 0.3
        cuts = np.column_stack([np.r_[0, begin + 0.0123], np.r_[begin, 90.0]])
        train.observed = [
            cuts if heldout else whole for heldout, whole in zip(train.heldout, train.observed, strict=True)
        ]
    whole = dense(train, test)
    bins, length = whole.bins(q), 1500 // q
    resampled = resample(read(write_pair("dmfc_rsg", train, test), "dmfc_rsg"), q)
    (target,) = targets(resampled).values()
    ours = train_inputs(resampled, "train", "val")
    go = whole.table["go_time"]
    rows = np.flatnonzero(np.isin(whole.table["split"], ("train", "val")))
    shift = jitter_of(whole.table["tp"][rows], q)
    expected = [
        whole.window(bins, go[row] + q * bin / 1000, -1500, length, q) for row, bin in zip(rows, shift, strict=True)
    ]
    same(ours["train_spikes_heldin"], np.stack(expected)[:, :, ~whole.heldout])
    rows = np.flatnonzero(whole.table["split"] == "val")
    shift = jitter_of(whole.table["tp"][rows], q)
    np.testing.assert_array_equal(target["eval_jitter"], shift)
    assert target["train_jitter"].shape == (20,)
    for trial, (row, jitter) in enumerate(zip(rows, shift, strict=True)):
        begin, end = (int(np.ceil(np.round(1000 * whole.table[name][row], 6) / q)) for name in ("set_time", "go_time"))
        interval = bins[begin:end][~np.isnan(bins[begin:end]).any(axis=1)][:, whole.heldout]
        place = np.full((length, interval.shape[1]), np.nan)
        place[length - jitter - len(interval) : length - jitter] = interval
        np.testing.assert_array_equal(target["eval_spikes_heldout"][trial], place)
        forward = whole.window(bins, go[row] + q * jitter / 1000, 0, 200 // q, q)
        np.testing.assert_array_equal(target["eval_spikes_heldout_forward"][trial], forward[:, whole.heldout])


@pytest.mark.parametrize("q", [5, 20])
@pytest.mark.parametrize("gaps", [False, True])
def test_psths_of_intervals(write_pair, timing_pair, q, gaps):
    train, test = timing_pair
    if gaps:
        begin = np.sort(np.r_[train.trials["go_time"][::2] - 0.3, train.trials["go_time"][::3] - 0.06])
        begin = begin[np.r_[True, np.diff(begin) > 0.2]]
        train.observed = [np.column_stack([np.r_[0, begin + 0.0123], np.r_[begin, 90.0]])] * len(train.ids)
    whole = dense(train, test)
    (target,) = targets(resample(read(write_pair("dmfc_rsg", train, test), "dmfc_rsg"), q)).values()
    smooth, kept = whole.smoothed(70).bins(q), []
    for row in np.flatnonzero(np.isin(whole.table["split"], ("train", "val")) & (whole.table["is_outlier"] == 0)):
        begin, end = (int(np.ceil(np.round(1000 * whole.table[name][row], 6) / q)) for name in ("set_time", "go_time"))
        kept.append((row, begin, end, end))
    order = np.argsort(whole.heldout, kind="stable")
    found = list(condition_means(whole, smooth, ("is_eye", "theta", "is_short", "ts"), kept))
    for ours, (means, shortest, _) in zip(target["psth"], found, strict=True):
        np.testing.assert_allclose(ours[-shortest:], means[-shortest:][:, order], atol=1e-9)
        assert np.isnan(ours[:-shortest]).all()


def test_values_of_trials_are_the_behavior_of_dmfc(write_pair, timing_pair):
    train, test = timing_pair
    (target,) = targets(resample(read(write_pair("dmfc_rsg", train, test), "dmfc_rsg"), 5)).values()
    columns = [train.trials[name] for name in ("is_eye", "theta", "is_short", "ts", "tp")]
    values = np.stack([np.asarray(column, dtype=float) for column in columns], axis=1)
    values[train.trials["is_outlier"]] = np.nan
    split = np.array(train.trials["split"])
    np.testing.assert_array_equal(target["train_behavior"], values[split == "train"])
    np.testing.assert_array_equal(target["eval_behavior"], values[split == "val"])


def test_trials_without_the_event_are_left_out_everywhere(write_pair, maze_pair):
    train, test = maze_pair
    train.trials["move_onset_time"][[0, 1]] = np.nan
    resampled = resample(read(write_pair("mc_maze_small", train, test), "mc_maze_small"), 20)
    (target,) = targets(resampled).values()
    assert len(train_inputs(resampled)["train_spikes_heldin"]) == len(target["train_behavior"]) == 11
    assert len(eval_inputs(resampled)["eval_spikes_heldin"]) == len(target["eval_spikes_heldout"]) == 5
    positions = np.concatenate([*target["train_cond_idx"]])
    np.testing.assert_array_equal(np.sort(positions), np.arange(11))


def test_behavior_ends_where_the_next_window_begins(write_pair, maze_pair):
    train, test = maze_pair
    train.trials["move_onset_time"][0] = train.trials["move_onset_time"][2] - 0.5  # both train
    resampled = resample(read(write_pair("mc_maze_small", train, test), "mc_maze_small"), 5)
    first = train_inputs(resampled)["train_behavior"][0]
    assert not np.isnan(first[:60]).all()
    assert np.isnan(first[100:]).all()
