"""The benchmark's tensors in memory: what a model learns from, what it is evaluated on, what it is scored against.

Every array has the trials of its splits in the order of the joined table (test file, then train file), without those
that lack the time of the align event, and neurons in ascending order of their id, held-in and held-out apart. Spikes
are float16 counts per bin, NaN where nothing was recorded. Keys, shapes and numbers are those of nlb_tools 0.0.4 with
behavior, forward window and PSTH included; where it stops with an error because windows come out uneven (cut at
the next trial, or with missing bins dropped), windows here are whole and missing bins are NaN.
"""

import dataclasses

import numpy as np
from jaxtyping import Float, Int

from nlbprob.data.nlb.facts import suffix
from nlbprob.data.nlb.jitter import jitter_ms
from nlbprob.data.nlb.psth import psth_target
from nlbprob.data.nlb.resampled import Resampled
from nlbprob.data.nlb.spans import Spans, input_windows, spans

Tensors = dict[str, np.ndarray]


def train_inputs(resampled: Resampled, *splits: str, seed: int = 0) -> Tensors:
    """What a model may learn from, of the trials of the splits.

    Args:
        resampled: the session in bins.
        *splits: names of splits; "train", where none is named.
        seed: of the jitter of dmfc_rsg.

    Returns:
        train_spikes_heldin, train_spikes_heldout [trial, time, neuron]; train_behavior [trial, time, channel], for
        dmfc_rsg [trial, column]; train_spikes_heldin_forward, train_spikes_heldout_forward of the 200 ms that follow.

    Raises:
        InputError: no trial is in the splits.
    """
    heldout = resampled.session.heldout
    window, _ = jittered(resampled, splits or ("train",), seed)
    return {
        "train_spikes_heldin": resampled.counts(window.first, resampled.window_bins, ~heldout),
        "train_spikes_heldout": resampled.counts(window.first, resampled.window_bins, heldout),
        "train_behavior": behavior(resampled, window, resampled.session.dataset.inputs.overlap),
    } | forward(resampled, window, "train")


def eval_inputs(resampled: Resampled, split: str = "val", seed: int = 0) -> Tensors:
    """What a model is evaluated on: eval_spikes_heldin, and eval_spikes_heldout unless these are test trials.

    Args:
        resampled: the session in bins.
        split: name of the split.
        seed: of the jitter of dmfc_rsg.

    Raises:
        InputError: no trial is in the split.
    """
    heldout = resampled.session.heldout
    window, _ = jittered(resampled, (split,), seed)
    tensors = {"eval_spikes_heldin": resampled.counts(window.first, resampled.window_bins, ~heldout)}
    if split != "test":
        tensors["eval_spikes_heldout"] = resampled.counts(window.first, resampled.window_bins, heldout)
    return tensors


def targets(resampled: Resampled, seed: int = 0) -> dict[str, Tensors]:
    """What rates are scored against in the validation phase, under the data set's name and `suffix`.

    The PSTH averages train and val trials: it has seen the trials that it is compared with.

    Args:
        resampled: the session in bins.
        seed: of the jitter of dmfc_rsg.

    Returns:
        eval_spikes_heldout (dmfc_rsg: float64, NaN outside [set, go)); train_behavior, eval_behavior;
        eval_spikes_heldin_forward, eval_spikes_heldout_forward; train_decode_mask, eval_decode_mask [trial, decoder] of
        area2_bump; psth [condition, time, held-in then held-out neuron] in spikes/bin, float64, with train_cond_idx and
        eval_cond_idx, the positions of each condition's trials, of all but mc_rtt; and train_jitter, eval_jitter (bins)
        of dmfc_rsg.

    Raises:
        InputError: there is no train or no val trial.
    """
    session, facts = resampled.session, resampled.session.dataset
    train, train_jitter = jittered(resampled, ("train",), seed)
    evaluated, eval_jitter = jittered(resampled, ("val",), seed)
    if facts.scored.window_ms is None:
        spikes = interval_counts(resampled, evaluated, eval_jitter)
    else:
        spikes = resampled.counts(evaluated.first, resampled.window_bins, session.heldout)
    tensors = {
        "eval_spikes_heldout": spikes,
        "train_behavior": behavior(resampled, train, facts.scored.overlap),
        "eval_behavior": behavior(resampled, evaluated, facts.scored.overlap),
    } | forward(resampled, evaluated, "eval")
    if facts.decode_by is not None:
        value = session.values(facts.decode_by)
        tensors["train_decode_mask"] = value[train.row, None] == [0, 1]
        tensors["eval_decode_mask"] = value[evaluated.row, None] == [0, 1]
    if facts.psth is not None:
        length = resampled.window_bins if facts.psth.epoch.window_ms is None else None
        target = psth_target(resampled, facts.psth, session.mask("train") | session.mask("val"), length)
        tensors |= {
            "train_cond_idx": target.positions(train.row),
            "eval_cond_idx": target.positions(evaluated.row),
            "psth": target.psth,
        }
        if facts.jitter is not None:
            tensors |= {"train_jitter": train_jitter, "eval_jitter": eval_jitter}
    return {facts.name + suffix(resampled.bin_ms): tensors}


def jittered(resampled: Resampled, splits: tuple[str, ...], seed: int) -> tuple[Spans, Int[np.ndarray, " trial"]]:
    """The windows that a model sees of the trials of the splits, and by how many bins each is shifted.

    Raises:
        InputError: no trial is in the splits.
    """
    session, mask = resampled.session, resampled.session.mask(*splits)
    shift = jitter_ms(session, mask, resampled.bin_ms, seed)
    window = input_windows(session, mask, resampled.bin_ms, shift)
    return window, np.round(shift[window.row] / resampled.bin_ms).astype(np.int64)


def forward(resampled: Resampled, window: Spans, prefix: str) -> Tensors:
    """Spikes of the forward window, which follows the window."""
    heldout, first = resampled.session.heldout, window.first + resampled.window_bins
    return {
        f"{prefix}_spikes_heldin_forward": resampled.counts(first, resampled.forward_bins, ~heldout),
        f"{prefix}_spikes_heldout_forward": resampled.counts(first, resampled.forward_bins, heldout),
    }


def behavior(resampled: Resampled, window: Spans, overlap: bool) -> Float[np.ndarray, "trial *rest"]:
    """[trial, time, channel], lag_ms after each bin of the window, NaN where it was not recorded; or [trial, column].

    Args:
        resampled: the session in bins.
        window: the bins of the trials.
        overlap: the window may run into the next trial's; else it ends there, and so does the clock: NaN after that.
    """
    session, facts = resampled.session, resampled.session.dataset
    if facts.trial_behavior:
        values = np.stack([session.values(name)[window.row] for name in facts.trial_behavior], axis=1)
        if facts.outlier is not None:
            values[session.values(facts.outlier)[window.row] != 0] = np.nan
        return values
    mask = np.isin(np.arange(len(session.table["id"])), window.row)
    epoch = dataclasses.replace(facts.inputs, overlap=overlap)
    later = spans(session, epoch, mask, resampled.bin_ms, facts.lag_ms).on_clock(resampled.n_bins)
    length = int(later.count.max())
    values = resampled.inside(resampled.behavior, later.first, length, beyond=np.nan)
    values[np.arange(length) >= later.count[:, None]] = np.nan
    return values


def interval_counts(
    resampled: Resampled, window: Spans, jitter: Int[np.ndarray, " trial"]
) -> Float[np.ndarray, "trial time neuron"]:
    """Held-out spikes of the scored interval at its place in the window, float64; NaN before and after it.

    Bins that were not recorded are left out, and earlier ones moved up to fill their place, as the benchmark has it.

    Args:
        resampled: the session in bins.
        window: the jittered bins of the trials.
        jitter: by how many bins each trial is shifted.
    """
    session, length = resampled.session, resampled.window_bins
    mask = np.isin(np.arange(len(session.table["id"])), window.row)
    scored = spans(session, session.dataset.scored, mask, resampled.bin_ms).on_clock(resampled.n_bins)
    recorded = resampled.recorded.all(axis=0)
    counts = np.full((len(window.row), length, int(session.heldout.sum())), np.nan)
    for trial, first, count in zip(np.searchsorted(window.row, scored.row), scored.first, scored.count, strict=True):
        kept = np.flatnonzero(recorded[first : first + count])[-(length - jitter[trial]) :]
        interval = resampled.counts(first[None], int(count), session.heldout)[0, kept]
        end = length - jitter[trial]
        counts[trial, end - len(kept) : end] = interval
    return counts
