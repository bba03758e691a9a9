"""A dense clock of 1 ms, worked out step by step from what the files hold: the oracle of the tensors."""

import dataclasses

import numpy as np
import scipy.signal


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
