"""The benchmark's submission file."""

import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from nlbprob.arguments import checked_keywords
from nlbprob.data.trials import Trials
from nlbprob.errors import InputError
from nlbprob.scoring.rates import check_rates, in_splits, rate_array


@checked_keywords
def write_submission(
    path: str | pathlib.Path,
    rates: Any,
    trials: Trials,
    fit: str | Sequence[str] = "train",
    on: str | Sequence[str] = "val",
    name: str | None = None,
) -> str:
    """Write rates as the benchmark's evaluation reads them: one HDF5 group a data set, float32; returns its name.

    The group is `name` for bins of 5 ms, and `name_20` for bins of 20 ms and so on. It holds train_rates_heldin,
    train_rates_heldout (trials of `fit`), eval_rates_heldin, eval_rates_heldout (trials of `on`), each (trial, time,
    neuron) in table order, and with a forward window eval_rates_heldin_forward and eval_rates_heldout_forward.
    path: a new file, or a submission to add a group to. rates: as `score` takes them.
    name: by default that of the benchmark's data set, or of the recording's file.
    Raises InputError where rates are NaN, zero, negative or in Hz, a split has no trial, or the file holds the group.
    """
    import h5py

    array = rate_array(rates, trials).astype(np.float32)
    check_rates(array, trials.counts, trials.bin_ms, trials.seen)
    tensors = submission_tensors(array, trials, fit, on)
    dataset = trials.source.get("options", {}).get("dataset")
    stem = name or dataset or pathlib.Path(str(trials.source.get("file", "recording"))).stem
    group = stem if trials.bin_ms == 5 else f"{stem}_{trials.bin_ms:g}"
    try:
        file = h5py.File(path, "a")
    except OSError as error:
        raise InputError(f"{path}: cannot be opened as an HDF5 file; name a new file or a submission.") from error
    with file:
        if group in file:
            raise InputError(f"{path}: already holds rates for {group!r}; name another file, or another data set.")
        for key, values in tensors.items():
            file.create_dataset(f"{group}/{key}", data=values, compression="gzip")
    return group


def submission_tensors(
    rates: Float[np.ndarray, "trial time neuron"], trials: Trials, fit: str | Sequence[str], on: str | Sequence[str]
) -> dict[str, Float[np.ndarray, "_ _ _"]]:
    """The arrays of a submission by their keys."""
    window, forward = slice(0, trials.window_bins), slice(trials.window_bins, None)
    parts = [("train", in_splits(trials, fit, "fit"), window, "")]
    parts.append(("eval", in_splits(trials, on, "on"), window, ""))
    if trials.forward_bins:
        parts.append(("eval", parts[1][1], forward, "_forward"))
    return {
        f"{part}_rates_{mask}{suffix}": rates[chosen, bins][..., trials.neurons["heldout"] == (mask == "heldout")]
        for part, chosen, bins, suffix in parts
        for mask in ("heldin", "heldout")
    }
