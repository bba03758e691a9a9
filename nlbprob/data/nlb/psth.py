"""Target PSTHs: spikes smoothed at 1 ms, summed in bins, averaged over the trials of each condition."""

import dataclasses

import numpy as np
from jaxtyping import Bool, Float, Int

from nlbprob.data.conditions import joint_values
from nlbprob.data.nlb.facts import Psth
from nlbprob.data.nlb.resampled import Resampled, locate
from nlbprob.data.nlb.session import Session
from nlbprob.data.nlb.spans import Spans, spans

SHORT = 0.8  # trials shorter than this part of their condition's mean length are left out


@dataclasses.dataclass(frozen=True, eq=False)
class Average:
    """The trials of one condition, and the bins of their PSTH: `bins` from `first` on, relative to the align event."""

    spans: Spans
    first: int
    bins: int


def conditions(
    session: Session, facts: Psth, used: Bool[np.ndarray, " trial"]
) -> list[Bool[np.ndarray, " trial"]]:
    """The trials of each condition, in the order of its values; without conditions of which no trial is used."""
    skipped = np.zeros_like(used)
    if session.dataset.outlier is not None:
        skipped = session.values(session.dataset.outlier) == 1
    index, labels = joint_values([session.table[name] for name in facts.conditions], len(used))
    masks = [(index == condition) & used & ~skipped for condition in range(len(labels))]
    return [mask for mask in masks if mask.any()]


def averages(
    resampled: Resampled, facts: Psth, used: Bool[np.ndarray, " trial"], length: int, front: bool
) -> list[Average]:
    """What is averaged for each condition: trials of at least 0.8 of the mean length, cut to the shortest of these.

    length: bins of the PSTH at most. front: keep the last bins, up to the align event; else the first.
    Trials whose align event lies in other parts of a bin may begin a bin apart (always at 20 ms, where 250 ms before
    the event is no whole number of bins). The benchmark then has one bin too many, and drops the last; so do we.
    """
    chosen = []
    for mask in conditions(resampled.session, facts, used):
        of_trials = spans(resampled.session, facts.epoch, mask, resampled.bin_ms)
        of_trials = of_trials.select(of_trials.count > 0)
        of_trials = of_trials.select(of_trials.count >= SHORT * of_trials.count.mean())
        if not len(of_trials.row):
            continue
        begin = of_trials.first - of_trials.align
        shortest = min(int(of_trials.count.min()), length)
        first = int((begin + of_trials.count).max()) - shortest if front else int(begin.min())
        chosen.append(Average(of_trials, first, shortest))
    return chosen


def psths(
    resampled: Resampled, facts: Psth, chosen: list[Average], length: int, front: bool
) -> Float[np.ndarray, "condition time neuron"]:
    """Mean over trials of the smoothed spikes/bin, held-in units first; NaN before (front) or after a shorter PSTH.

    psth[c, k, n] = mean over trials i of c of sum over ms of bin k of sum_j w[j] x[i, ms + h - j, n],
    w a Gaussian of standard deviation s = kern_sd_ms and 6 s samples, h = 3 s - 1: half a ms early, as 6 s is even.
    Each stretch of recorded time is smoothed on its own, with no spikes beyond its ends.
    """
    session = resampled.session
    psth = np.full((len(chosen), length, len(session.heldout)), np.nan)
    units = np.concatenate([np.flatnonzero(~session.heldout), np.flatnonzero(session.heldout)])
    for heldout in (False, True):
        pieces = cut(resampled, chosen, heldout)
        own = np.flatnonzero(session.heldout[units] == heldout)
        for column in own:
            means = pieces.mean(smoothed(resampled, pieces, session.spikes[units[column]], facts.kern_sd_ms))
            for condition, average in enumerate(chosen):
                place = slice(length - average.bins, None) if front else slice(average.bins)
                psth[condition, place, column] = means[condition, : average.bins]
    return psth
