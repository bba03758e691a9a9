"""Tensors to the benchmark's HDF5 files."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nlbprob.data.nlb.facts import splits
from nlbprob.data.nlb.resampled import resample
from nlbprob.data.nlb.session import read
from nlbprob.data.nlb.tensors import eval_inputs, targets, train_inputs
from nlbprob.errors import InputError
from nlbprob.files import translated, write_hdf5


def write_tensors(
    folder: str | os.PathLike, dataset: str, bin_ms: float | int, phase: str, out: str | os.PathLike, seed: int = 0
) -> list[Path]:
    """Write train_input.h5 and eval_input.h5 of a phase, and target.h5 of the validation phase.

    Args:
        folder: with the train and the test file of the data set.
        dataset: name of the data set.
        bin_ms: bin width in ms.
        phase: "val": learn from train, evaluate on val; "test": learn from train and val, evaluate on test.
        out: made if need be; files of these names are replaced.
        seed: of the jitter of dmfc_rsg.

    Returns:
        The paths of the files.

    Raises:
        FileNotFoundError: as `read` does.
        InputError: as `read`, `resample` and `splits` do.
        WriteError: a file cannot be written.
    """
    train, evaluated = splits(phase)
    place = Path(out)
    if place.exists() and not place.is_dir():
        raise InputError(f"{place} is a file: name a folder to write to.")
    resampled = resample(read(folder, dataset), bin_ms)
    with translated(place):
        place.mkdir(parents=True, exist_ok=True)
    paths = [place / "train_input.h5", place / "eval_input.h5"]
    write_h5(paths[0], train_inputs(resampled, *train, seed=seed))
    write_h5(paths[1], eval_inputs(resampled, evaluated, seed=seed))
    if phase == "val":
        paths.append(place / "target.h5")
        write_h5(paths[2], targets(resampled, seed=seed))
    return paths


def write_h5(path: Path, tensors: Mapping[str, Any]) -> None:
    """Write arrays, and groups of them, in place of the file: floats as float32, whole numbers as int32, compressed.

    An array of arrays becomes one of variable length, also where all are of one length: there the benchmark's own tools
    stop with an error.

    Raises:
        WriteError: the file cannot be written; what was there stays then.
    """
    write_hdf5(path, lambda file: write_group(file, tensors))


def write_group(group: Any, tensors: Mapping[str, Any]) -> None:
    """Each array as a data set, each mapping as a group."""
    import h5py

    for name, value in tensors.items():
        if isinstance(value, Mapping):
            write_group(group.create_group(name), value)
        elif value.dtype == object:
            group.create_dataset(name, data=value, dtype=h5py.vlen_dtype(np.int32), compression="gzip")
        else:
            kind = {"f": np.float32, "i": np.int32}.get(value.dtype.kind, value.dtype)
            group.create_dataset(name, data=value, dtype=kind, compression="gzip")


def contents(path: Path) -> dict[str, tuple[int, ...]]:
    """The name and the shape of every array in a file."""
    import h5py

    shapes: dict[str, tuple[int, ...]] = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: shapes.update({name: item.shape} if hasattr(item, "shape") else {}))
    return shapes
