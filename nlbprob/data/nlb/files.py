"""The train and the test file of a data set, wherever they lie in a folder."""

import os
from pathlib import Path

from nlbprob.data.nlb.facts import DATASETS, Dataset
from nlbprob.errors import InputError, printable

#: A folder may hold the files themselves, {subject}/{file} or {dandiset}/{subject}/{file}.
DEPTHS = ("*.nwb", "*/*.nwb", "*/*/*.nwb")


def find_pair(folder: str | os.PathLike, dataset: Dataset) -> tuple[Path, Path]:
    """The train and the test file of a data set, in the folder or up to two folders deeper.

    Both are needed in either phase: the benchmark puts the two recordings on one clock, the test file first, and
    decimates the behavior there, so that what lies before the first trial decides the behavior at its start.

    Raises:
        FileNotFoundError: there is no such folder, or no NWB file in it.
        InputError: one of the two is missing, comes twice, or the files are of another data set.
    """
    place = Path(folder)
    if place.is_file():
        raise InputError(
            f"{folder}: is a file; name the folder with the train and the test file of {dataset.name}, "
            "or leave out the dataset to read this file alone."
        )
    if not place.is_dir():
        raise FileNotFoundError(
            f"{printable(str(folder))}: there is no such folder; name the one with the files of {dataset.name}."
        )
    present = [path for depth in DEPTHS for path in sorted(place.glob(depth)) if path.is_file()]
    if not present:
        raise FileNotFoundError(f"{printable(str(folder))}: holds no NWB file; {wanted(dataset)}.")
    train, test = ([path for path in present if belongs(path, dataset, kind)] for kind in ("train", "test"))
    if not train and not test:
        raise InputError(f"{folder}: holds {described(present)}, not {dataset.name}; {wanted(dataset)}.")
    for kind, path, other in (("train", train, test), ("test", test, train)):
        if not path:
            raise InputError(
                f"{folder}: the {kind} file of {dataset.name} is missing beside {other[0].name}; {wanted(dataset)}: "
                "the benchmark joins the two recordings, and its numbers depend on both."
            )
        if len(path) > 1:
            raise InputError(f"{folder}: two {kind} files of {dataset.name}, {path[0]} and {path[1]}; leave one.")
    return train[0], test[0]


def belongs(path: Path, dataset: Dataset, kind: str) -> bool:
    """Whether a file's name is that of the train or test file of a data set."""
    return path.name.startswith(f"{dataset.files}_desc-{kind}_")


def wanted(dataset: Dataset) -> str:
    """Which files to get, and from where."""
    return f"get {dataset.files}_desc-train_*.nwb and {dataset.files}_desc-test_*.nwb of DANDI set {dataset.dandiset}"


def described(present: list[Path]) -> str:
    """What the files are: the names of their data sets, or of the first few files."""
    names = [
        name
        for name, dataset in DATASETS.items()
        if any(belongs(path, dataset, kind) for path in present for kind in ("train", "test"))
    ]
    return " and ".join(names) if names else ", ".join(path.name for path in present[:3])
