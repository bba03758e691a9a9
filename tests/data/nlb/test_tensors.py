"""Tensors against a dense clock of 1 ms, worked out step by step from what the files hold."""

import dataclasses

import numpy as np
import pytest
import scipy.signal

from nlbprob.data.nlb import eval_inputs, read, resample, targets, train_inputs


@dataclasses.dataclass
class Dense:
    """Everything at 1 ms on the joined clock: NaN where it was not recorded. Units in ascending order of id."""

    spikes: np.ndarray  # [ms, unit]
    heldout: np.ndarray
    behavior: np.ndarray | None  # [ms, channel]
    table: dict

    def bins(self, q):
        """Sums of the recorded milliseconds of each bin, NaN where its first is missing."""
        padded = np.full((-(-len(self.spikes) // q) * q, self.spikes.shape[1]), np.nan)
        padded[: len(self.spikes)] = self.spikes
        blocks = padded.reshape(-1, q, padded.shape[1])
        return np.where(np.isnan(blocks[:, 0]), np.nan, np.nansum(blocks, axis=1))

    def decimated(self, q):
        """The behavior, held where it is missing, decimated by SciPy."""
        columns = []
        for column in self.behavior.T:
            known = np.flatnonzero(~np.isnan(column))
            columns.append(np.interp(np.arange(len(column)), known, column[known]))
        values = scipy.signal.decimate(np.stack(columns, axis=1), q, axis=0, n=500, ftype="fir")
        values[np.isnan(self.behavior[::q])] = np.nan
        return values

    def smoothed(self, sd_ms):
        """Every run of recorded milliseconds convolved on its own."""
        window = scipy.signal.windows.gaussian(6 * sd_ms, sd_ms)
        window /= window.sum()
        out = np.full_like(self.spikes, np.nan)
        for unit, column in enumerate(self.spikes.T):
            edges = np.flatnonzero(np.diff(np.isnan(column), prepend=True, append=True)).reshape(-1, 2)
            for start, stop in edges:
                full = np.convolve(column[start:stop], window)
                out[start:stop, unit] = full[(len(window) - 1) // 2 :][: stop - start]
        return dataclasses.replace(self, spikes=out)

    def window(self, values, event_s, first_ms, bins, q):
        """`bins` rows from the first bin that opens at or after event + first_ms, NaN beyond the clock."""
        begin = int(np.ceil(np.round(1000 * event_s + first_ms, 6) / q))
        rows = np.arange(begin, begin + bins)
        return np.where((rows < len(values))[:, None], values[np.minimum(rows, len(values) - 1)], np.nan)


def dense(train, test, series=None):
    """Both files on one clock."""
    lengths = [round(1000 * content.observed[0][-1, 1]) for content in (test, train)]
    begin = int(np.ceil((lengths[0] - 1 + 50) / 100)) * 100
    ids = np.sort(train.ids)
    spikes = np.full((begin + lengths[1], len(ids)), np.nan)
    for content, shift, length in ((test, 0, lengths[0]), (train, begin, lengths[1])):
        for unit, name in enumerate(content.ids):
            first = int(np.flatnonzero(content.heldout == content.heldout[unit])[0])
            column = np.bincount(np.floor(np.round(1000 * content.spikes[unit], 6)).astype(int), minlength=length)
            known = np.zeros(length, dtype=bool)
            for start, stop in np.round(1000 * content.observed[first], 6):
                known[int(np.ceil(start)) : int(np.floor(stop))] = True
            spikes[shift : shift + length, np.searchsorted(ids, name)] = np.where(known, column[:length], np.nan)
    behavior = None
    if series is not None:
        behavior = np.full((len(spikes), 2), np.nan)
        held = train.series[series]
        order = [1, 0] if held["comments"] == "columns=[y,x]" else [0, 1]
        behavior[begin + np.rint(1000 * held["timestamps"]).astype(int)] = held["data"][:, order]
    table = {
        name: np.r_[test.trials.get(name, [np.nan] * len(test.trials["split"])), values]
        for name, values in train.trials.items()
    }
    for name in table:
        if name.endswith("_time"):
            table[name][len(test.trials["split"]) :] += begin / 1000
    return Dense(spikes, train.heldout[np.argsort(train.ids)], behavior, table)


def same(ours, expected, atol=0.0):
    np.testing.assert_allclose(ours, np.stack(expected), rtol=0, atol=atol)


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


def condition_means(whole, smooth, fields, kept):
    """Mean by align-relative bin over the trials of each condition; kept: (row, begin, end) on the clock of bins."""
    conditions = sorted({tuple(whole.table[name][row] for name in fields) for row, *_ in kept})
    for values in conditions:
        chosen = [item for item in kept if tuple(whole.table[name][item[0]] for name in fields) == values]
        lengths = np.array([end - begin for _, begin, end, _ in chosen])
        chosen = [item for item, length in zip(chosen, lengths, strict=True) if length >= 0.8 * lengths.mean()]
        shortest = min(end - begin for _, begin, end, _ in chosen)
        offsets = sorted({bin - align for _, begin, end, align in chosen for bin in range(begin, end)})
        means = [
            np.nanmean([smooth[o + align] for _, begin, end, align in chosen if begin <= o + align < end], axis=0)
            for o in offsets
        ]
        yield np.array(means), shortest, [item[0] for item in chosen]


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
