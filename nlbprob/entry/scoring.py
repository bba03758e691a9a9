"""The scores of an entry computed from the entry alone: its rates against the counts that they are to predict."""

import contextlib
import pathlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from nlbprob import files
from nlbprob.data.nlb.hdf5 import write_h5
from nlbprob.data.trials import Trials
from nlbprob.errors import InputError
from nlbprob.scoring.baselines import baselines
from nlbprob.scoring.benchmark import benchmark_target, measured
from nlbprob.scoring.hdf5 import opened
from nlbprob.scoring.submission import read_submission

#: What a run is scored with: its trials and, of the benchmark's data sets, the benchmark's targets.
TRIALS, TARGETS = "trials.nc", "targets.h5"
#: How far a number that is computed again may lie from the one in the entry: rates are kept in single precision.
TOLERANCE = 1e-5

Splits = tuple[tuple[str, ...], tuple[str, ...]]


class Number(NamedTuple):
    """A number of an entry, and what follows from its rates in its place.

    Attributes:
        names: where it stands, such as ("scores", "co-bps").
        pair: the number in the entry, and the computed one.
    """

    names: tuple[str, ...]
    pair: tuple[Any, Any]

    @property
    def agrees(self) -> bool:
        """Whether both are the same but for rounding."""
        one, other = self.pair
        if isinstance(one, int | float) and isinstance(other, int | float):
            return abs(one - other) <= TOLERANCE
        return one == other

    def __str__(self) -> str:
        one, other = (f"{each:.6f}" if isinstance(each, float) else str(each) for each in self.pair)
        return f"{' of '.join(reversed(self.names))} is {one} in the entry, and {other} by its rates and counts"


def write_data(folder: pathlib.Path, trials: Trials, splits: Splits) -> None:
    """Write the trials, and the benchmark's targets where they are of one of its data sets, to a new folder."""
    with files.translated(folder):
        folder.mkdir(parents=True)
        dataset = trials.to_xarray()
        compressed = {"zlib": True, "complevel": 4, "shuffle": True}
        encoding = {name: compressed for name, variable in dataset.data_vars.items() if variable.size}
        dataset.to_netcdf(folder / TRIALS, engine="h5netcdf", encoding=encoding)
    target = benchmark_target(trials, *splits)
    if target is not None:
        write_h5(folder / TARGETS, target)


def read_trials(folder: pathlib.Path) -> Trials:
    """The trials that `write_data` wrote. Raises InputError where they cannot be read."""
    import xarray

    path = folder / TRIALS
    try:
        return Trials.from_xarray(xarray.load_dataset(path, engine="h5netcdf"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: cannot be read as trials ({error}); take the entry from a copy.") from error


@contextlib.contextmanager
def target_of(folder: pathlib.Path) -> Iterator[Any]:
    """The benchmark's targets that a folder holds while the context lasts; None where there are none."""
    if not (folder / TARGETS).is_file():
        yield None
        return
    with opened(folder / TARGETS, "target file") as target:
        yield target


def rescored(data: pathlib.Path, submission: pathlib.Path, splits: Splits, group: str | None = None) -> dict[str, Any]:
    """Every number of metrics.json that follows from rates and counts, and how far co-bps lies above the baselines'.

    Args:
        data: the folder that `write_data` wrote.
        submission: the rates.
        splits: fitted and scored.
        group: of the submission; None for the only one.

    Returns:
        What `measured` returns, and "paired" {baseline: {"value", "interval"}}, paired over trials.

    Raises:
        InputError: a file is damaged, or they do not fit each other.
    """
    trials, (fit, on) = read_trials(data), splits
    rates = read_submission(submission, trials, fit, on, group)
    with target_of(data) as target:
        metrics = measured(rates, trials, fit, on, baselines(trials, fit, on), target)
    return metrics | {
        "paired": {
            name: {"value": values["co-bps"], "interval": metrics["difference_intervals"][name]["co-bps"]}
            for name, values in metrics["differences"].items()
        }
    }


def compared(stated: Any, computed: Any, names: tuple[str, ...] = ()) -> Iterator[Number]:
    """Every number of two tables; what stands in one of them alone is None in the other."""
    if isinstance(stated, list | tuple) and isinstance(computed, list | tuple) and len(stated) == len(computed):
        stated, computed = dict(enumerate(stated)), dict(enumerate(computed))
    if isinstance(stated, dict) and isinstance(computed, dict):
        for name in dict.fromkeys([*stated, *computed]):
            yield from compared(stated.get(name), computed.get(name), (*names, str(name)))
    else:
        yield Number(names, (stated, computed))


def numbers(metrics: dict[str, Any]) -> dict[str, Any]:
    """The part of metrics.json, and of the differences, that is computed again."""
    kept = {name: metrics[name] for name in ("intervals", "baselines", "baseline_intervals") if name in metrics}
    if "paired" in metrics:
        kept["paired"] = metrics["paired"]
    neurons = {str(each["id"]): each["co-bps"] for each in metrics.get("by_neuron", [])}
    return {"scores": metrics[metrics["split"]]} | kept | {"co-bps by neuron": neurons}
