"""The benchmark's submission file."""

import io
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from nlbprob.arguments import checked_keywords, instance_of
from nlbprob.data.handed import check_trials
from nlbprob.data.trials import Trials
from nlbprob.errors import InputError
from nlbprob.files import path_of, write_bytes
from nlbprob.scoring.hdf5 import array, opened
from nlbprob.scoring.rates import in_splits, rates_to_score
from nlbprob.scoring.stored import CHECKED


@checked_keywords
def write_submission(
    path: str | pathlib.Path,
    rates: Any,
    trials: Trials,
    fit: str | Sequence[str] = "train",
    on: str | Sequence[str] = "val",
    name: str | None = None,
) -> str:
    """Write rates as the benchmark's evaluation reads them: one HDF5 group a data set, float32.

    The group is `name` for bins of 5 ms, and `name_20` for bins of 20 ms and so on. It holds train_rates_heldin,
    train_rates_heldout (trials of `fit`), eval_rates_heldin, eval_rates_heldout (trials of `on`), each (trial, time,
    neuron) in table order, and with a forward window eval_rates_heldin_forward and eval_rates_heldout_forward.

    Args:
        path: a new file, or a submission to add a group to; it is replaced as a whole.
        rates: (trial, time, neuron), spikes/bin, as `score` takes them.
        trials: that the rates are of.
        fit: the split or splits of the train rates.
        on: the split or splits of the evaluated rates.
        name: of the group; None takes that of the benchmark's data set, or of the recording's file.

    Returns:
        The name of the group.

    Raises:
        InputError: rates are NaN, zero, negative or in Hz, a split has no trial, or the file holds the group.
        nlbprob.files.WriteError: the system does not take the file.
    """
    place = path_of(path, "write_submission", "path", "submission.h5")
    instance_of(name, str | None, "write_submission", "name", "the name of a group, 'mc_maze'")
    check_trials(trials, "write_submission")
    scored = in_splits(trials, on, "on")
    array = rates_to_score(rates, trials, scored, caller="write_submission", dtype=np.float32)
    tensors = submission_tensors(array, trials, fit, on)
    dataset = trials.source.get("options", {}).get("dataset")
    stem = name or dataset or pathlib.Path(str(trials.source.get("file", "recording"))).stem
    group = stem if trials.bin_ms == 5 else f"{stem}_{trials.bin_ms:g}"
    if not stem or stem == "." or "/" in group:
        raise InputError(f"name={stem!r}: expected the name of a group, without a slash.")
    write_bytes(place, with_group(place, group, tensors))
    return group


def with_group(path: pathlib.Path, group: str, tensors: Mapping[str, np.ndarray]) -> bytes:
    """The content of a submission with one more group; of a new one where there is no such file.

    It is made in memory, as the HDF5 library ends the process where a disk is full.
    """
    import h5py

    there = path.exists()
    if not path.parent.is_dir() or (there and not path.is_file()):
        raise InputError(f"{path}: is no file in a folder that exists; name a new file or a submission.")
    content = io.BytesIO(path.read_bytes() if there else b"")
    try:
        with h5py.File(content, "r+" if there else "w", libver=CHECKED) as file:
            if group in set(file):
                raise InputError(f"{path}: already holds rates for {group!r}; name another file, or another data set.")
            for key, values in tensors.items():
                file.create_dataset(f"{group}/{key}", data=values, compression="gzip")
    except InputError:
        raise
    except Exception as error:  # h5py has no common class for damage
        raise InputError(f"{path}: cannot be opened as an HDF5 file; name a new file or a submission.") from error
    return content.getvalue()


def submission_parts(trials: Trials, fit: str | Sequence[str], on: str | Sequence[str]) -> dict[str, tuple[Any, ...]]:
    """The key of each array of a submission, and which entries of all rates it holds, as an index of an array."""
    bins, heldout = np.arange(trials.n_bins), trials.neurons["heldout"]
    window, ahead = bins < trials.window_bins, bins >= trials.window_bins
    fitted, scored = in_splits(trials, fit, "fit"), in_splits(trials, on, "on")
    parts = [("train", fitted, window, ""), ("eval", scored, window, "")]
    parts += [("eval", scored, ahead, "_forward")] if trials.forward_bins else []
    return {
        f"{part}_rates_{mask}{suffix}": np.ix_(rows, chosen, heldout == (mask == "heldout"))
        for part, rows, chosen, suffix in parts
        for mask in ("heldin", "heldout")
    }


def submission_tensors(
    rates: Float[np.ndarray, "trial time neuron"], trials: Trials, fit: str | Sequence[str], on: str | Sequence[str]
) -> dict[str, Float[np.ndarray, "_ _ _"]]:
    """The arrays of a submission by their keys."""
    return {key: rates[place] for key, place in submission_parts(trials, fit, on).items()}


def read_submission(
    path: str | pathlib.Path,
    trials: Trials,
    fit: str | Sequence[str] = "train",
    on: str | Sequence[str] = "val",
    group: str | None = None,
) -> Float[np.ndarray, "trial time neuron"]:
    """The rates that a group of a submission holds, as an array of all trials.

    A submission has no rates of the forward window of the trials of `fit`, which no score uses: they are those of the
    neuron's mean over the window there.

    Args:
        path: what `write_submission` wrote of these trials.
        trials: that the rates are of.
        fit: the split or splits of the train rates.
        on: the split or splits of the evaluated rates.
        group: the name of the group; None for the only one.

    Returns:
        [trial, time, neuron], spikes/bin, NaN for trials of other splits.

    Raises:
        InputError: it is damaged, or of other trials.
    """
    rates = np.full(trials.counts.shape, np.nan)
    with opened(path, "submission") as file:
        if group is None and len(file) != 1:
            raise InputError(f"{path}: holds {len(file)} groups, not one; say which with group=.")
        name = next(iter(file)) if group is None else group
        if name not in file:
            raise InputError(f"{path}: has no group {name!r}, but {', '.join(file)}.")
        for key, place in submission_parts(trials, fit, on).items():
            part = array(file[name], key)
            if part.shape != rates[place].shape:
                raise InputError(
                    f"{path}: {key} has the shape {part.shape}, the recording has {rates[place].shape} now (trial, "
                    "bin, neuron); repeat the run."
                )
            rates[place] = part
    ahead = in_splits(trials, fit, "fit"), slice(trials.window_bins, None)
    rates[ahead] = rates[ahead[0], : trials.window_bins].mean((0, 1))
    return rates
