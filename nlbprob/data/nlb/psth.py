"""Target PSTHs: spikes smoothed at 1 ms, summed in bins, averaged over the trials of each condition."""

import dataclasses

import numpy as np
from jaxtyping import Bool, Float, Int

from nlbprob.data.conditions import joint_values
from nlbprob.data.nlb.facts import Psth
from nlbprob.data.nlb.resampled import Resampled
from nlbprob.data.nlb.session import Session
from nlbprob.data.nlb.smoothing import Average, Gaussian, cut
from nlbprob.data.nlb.spans import spans
from nlbprob.errors import InputError

SHORT = 0.8  # trials shorter than this part of their condition's mean length are left out


@dataclasses.dataclass(frozen=True, eq=False)
class Target:
    """The target PSTH.

    Attributes:
        psth: [condition, time, neuron], held-in units first, spikes/bin.
        trials: those averaged, rows of the table.
    """

    psth: Float[np.ndarray, "condition time neuron"]
    trials: list[Int[np.ndarray, " _"]]

    def positions(self, rows: Int[np.ndarray, " trial"]) -> np.ndarray:
        """Of each condition, the positions of its trials among the rows: an array of arrays."""
        positions = np.empty(len(self.trials), dtype=object)
        positions[:] = [np.flatnonzero(np.isin(rows, of_condition)) for of_condition in self.trials]
        return positions


def psth_target(resampled: Resampled, facts: Psth, used: Bool[np.ndarray, " trial"], length: int | None) -> Target:
    """Mean over trials of the smoothed spikes/bin of each condition that has trials in `used`.

    psth[c, k, n] = mean over trials i of c of sum over the ms t of bin k of y[i, t, n], y smoothed by a `Gaussian`;
    each stretch of recorded time is smoothed on its own, as if there were no spikes beyond its ends.

    Args:
        resampled: the session in bins.
        facts: how the benchmark makes the PSTH.
        used: the trials to average.
        length: bins up to the align event of which the PSTH fills the last, NaN before; None: bins from its first on.

    Raises:
        InputError: no condition has a trial.
    """
    session = resampled.session
    averages = [
        average for mask in conditions(session, facts, used) for average in aligned(resampled, facts, mask, length)
    ]
    if not averages:
        raise InputError(f"{session.files[1]}: no trial has a value in each of {', '.join(facts.conditions)}.")
    total = length or max(average.bins for average in averages)
    psth = np.full((len(averages), total, len(session.heldout)), np.nan)
    column = 0
    for heldout in (False, True):
        pieces = cut(resampled, averages, heldout, Gaussian(facts.kern_sd_ms))
        for unit in np.flatnonzero(session.heldout == heldout):
            for row, (average, mean) in enumerate(zip(averages, pieces.mean(session.spikes[unit]), strict=True)):
                begin = total - average.bins if length else 0
                psth[row, begin : begin + average.bins, column] = mean[: average.bins]
            column += 1
    return Target(psth, [average.spans.row for average in averages])


def conditions(session: Session, facts: Psth, used: Bool[np.ndarray, " trial"]) -> list[Bool[np.ndarray, " trial"]]:
    """The trials of each condition, in the order of its values; without conditions that have none in `used`."""
    if session.dataset.outlier is not None:
        used = used & (session.values(session.dataset.outlier) != 1)
    index, labels = joint_values([session.table[name] for name in facts.conditions], len(used))
    masks = [used & (index == condition) for condition in range(len(labels))]
    return [mask for mask in masks if mask.any()]


def aligned(resampled: Resampled, facts: Psth, mask: Bool[np.ndarray, " trial"], length: int | None) -> list[Average]:
    """What is averaged: trials of at least 0.8 of the mean length, in as many bins as the shortest of them has.

    The last bins where there is a length, else the first; no Average where no trial has a bin.
    A bug of the benchmark whose number is kept: bins follow the clock, not the trial, so that where an edge of the
    window is no whole number of bins from the align event (250 ms at 20 ms), some trials begin a bin before others.
    There is then one bin too many, and the last is dropped: the first bin averages some of the trials only.
    Where all trials are longer than `length`, the benchmark stops with an error; the last bins are kept here.
    """
    windows = spans(resampled.session, facts.epoch, mask, resampled.bin_ms).on_clock(resampled.n_bins)
    windows = windows.select(windows.count > 0)
    if len(windows.row):
        windows = windows.select(windows.count >= SHORT * windows.count.mean())
    if not len(windows.row):
        return []
    begin = windows.first - windows.align
    bins = int(windows.count.min())
    if length is None:
        return [Average(windows, int(begin.min()), bins)]
    bins = min(bins, length)
    return [Average(windows, int((begin + windows.count).max()) - bins, bins)]
