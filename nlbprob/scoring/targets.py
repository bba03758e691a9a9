"""The targets of one group of a target file: read, and refused where no score could be made of them."""

import dataclasses
from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from nlbprob.errors import InputError
from nlbprob.scoring.hdf5 import CHOICES, LISTS, NUMBERS, Tensors, array, entry, require
from nlbprob.scoring.stored import StoredArray

MASKS = ("heldin", "heldout")


@dataclasses.dataclass(frozen=True)
class Targets:
    """What a group of rates is scored against; None where the data set has no such thing.

    Attributes:
        counts: of held-out neurons, NaN where not scored.
        behavior: velocity, NaN where not known; of dmfc_rsg the five columns of each trial.
        train_behavior: velocity in the train trials, NaN where not known.
        decoders: which train and which evaluated trials each decoder is of.
        psth: averages by condition, spikes/bin; NaN where not scored.
        members: the evaluated trials of each condition of `psth`.
        jitter: bins by which the rates of each trial lie early.
        forward: counts of held-in and held-out neurons in the forward window.
    """

    counts: Num[np.ndarray, "trial time heldout"]
    behavior: Num[np.ndarray, "trial *rest"]
    train_behavior: Num[np.ndarray, "train time channel"] | None = None
    decoders: tuple[Bool[np.ndarray, "train decoder"], Bool[np.ndarray, "trial decoder"]] | None = None
    psth: Num[np.ndarray, "condition time neuron"] | None = None
    members: list[Int[np.ndarray, "_"]] | None = None
    jitter: Int[np.ndarray, " trial"] | None = None
    forward: tuple[Num[np.ndarray, "trial ahead heldin"], Num[np.ndarray, "trial ahead heldout"]] | None = None


def read_targets(dataset: str, truth: Tensors, note: Callable[[str], None]) -> Targets:
    """The targets of a data set.

    Args:
        dataset: the benchmark's name of it.
        truth: the arrays of its group in the target file.
        note: called with what is left out of them, in words.

    Raises:
        InputError: an array is missing, is not of the kind and the shape that the others make necessary, or holds
            impossible values.
    """
    counts = counts_of(truth, "eval_spikes_heldout", (None, None, None))
    trials, bins, _ = counts.shape
    if dataset == "dmfc_rsg":
        targets = Targets(counts, behavior_of(truth, "eval_behavior", (trials, 5), note))
    else:
        train = behavior_of(truth, "train_behavior", (None, None, None), note)
        behavior = behavior_of(truth, "eval_behavior", (trials, bins, train.shape[2]), note)
        decoders = mask_of(truth, "train_decode_mask", len(train)), mask_of(truth, "eval_decode_mask", trials)
        if decoders[0].shape[1] != decoders[1].shape[1]:
            raise InputError("train_decode_mask, eval_decode_mask: are of different numbers of decoders.")
        targets = Targets(counts, behavior, train, decoders)
    forward = tuple(f"eval_spikes_{mask}_forward" for mask in MASKS)
    if forward[0] in truth:
        ahead = tuple(counts_of(truth, key, (trials, None, None)) for key in forward)
        require(ahead[1], forward[1], (trials, ahead[0].shape[1], counts.shape[2]))
        targets = dataclasses.replace(targets, forward=ahead)
    if "psth" not in truth:
        return (
            targets if "eval_cond_idx" not in truth else dataclasses.replace(targets, members=members_of(truth, trials))
        )
    psth, members = array(truth, "psth", (None, None, None)), members_of(truth, trials)
    if len(psth) != len(members) or np.isinf(psth).any():
        raise InputError(f"psth has {len(psth)} conditions, eval_cond_idx {len(members)}; psth must be finite or NaN.")
    return dataclasses.replace(targets, psth=psth, members=members, jitter=jitter_of(truth, trials, bins))


def counts_of(truth: Tensors, key: str, shape: tuple[int | None, ...]) -> Num[np.ndarray, "trial time neuron"]:
    """Spikes per bin, NaN where unknown. Raises InputError where they are none, negative or infinite."""
    counts = array(truth, key, shape, CHOICES)
    if not counts.size:
        raise InputError(f"{key} has the shape {counts.shape}, and so no count.")
    if bad := int(((counts < 0) | np.isinf(counts)).sum()):
        raise InputError(f"{key}: {bad} counts are negative or infinite; a bin that is not scored is NaN.")
    return counts


def behavior_of(
    truth: Tensors, key: str, shape: tuple[int | None, ...], note: Callable[[str], None]
) -> Float[np.ndarray, "trial *rest channel"]:
    """Behavior, NaN in all channels where one of them is infinite, which is noted."""
    behavior = array(truth, key, shape)
    if not behavior.size:
        raise InputError(f"{key} has the shape {behavior.shape}, and so no value.")
    infinite = np.isinf(behavior).any(axis=-1)
    if infinite.any():
        note(f"{key} is infinite in {infinite.sum()} places, which count as missing.")
        behavior = np.where(infinite[..., None], np.nan, behavior)
    return behavior


def mask_of(truth: Tensors, key: str, trials: int) -> Bool[np.ndarray, "trial decoder"]:
    """Which trials each decoder is of; where nothing is said, there is one of all."""
    if key not in truth:
        return np.ones((trials, 1), dtype=bool)
    values = array(truth, key, (trials, None), CHOICES)
    if not np.isin(values, (0, 1)).all():
        raise InputError(f"{key} holds other values than 0 and 1.")
    return values != 0


def members_of(truth: Tensors, trials: int) -> list[Int[np.ndarray, "_"]]:
    """The evaluated trials of each condition. Raises InputError where one is not among them."""
    key = "eval_cond_idx"
    item = entry(truth, key, LISTS)
    listed = item.read(key) if isinstance(item, StoredArray) else item
    if listed.ndim not in (1, 2):
        raise InputError(f"{key} has {listed.ndim} axes; it is a list of the trials of each condition.")
    members = []
    for condition, values in enumerate(listed):
        try:
            indices = np.asarray(values).reshape(-1)
        except ValueError as error:
            raise InputError(f"{key}: condition {condition} is no list of trials.") from error
        if indices.size and indices.dtype.kind not in NUMBERS:
            raise InputError(f"{key}: condition {condition} holds {indices.dtype}, not numbers of trials.")
        if not ((indices >= 0) & (indices < trials) & (indices == np.floor(indices))).all():
            raise InputError(f"{key}: condition {condition} names a trial that is not among the {trials} evaluated.")
        members.append(indices.astype(np.int64))
    return members


def jitter_of(truth: Tensors, trials: int, bins: int) -> Int[np.ndarray, " trial"] | None:
    """By how many bins rates lie early in each trial's window, where that differs."""
    if "eval_jitter" not in truth:
        return None
    jitter = array(truth, "eval_jitter", (trials,))
    if not ((jitter >= 0) & (jitter < bins) & (jitter == np.floor(jitter))).all():
        raise InputError(f"eval_jitter holds other values than whole bins from 0 to {bins - 1}.")
    return jitter.astype(np.int64)
