"""What the files of a run hold, read with the care that files from anywhere need."""

import pathlib
from typing import Any

from nlbprob.errors import InputError
from nlbprob.settings import Settings
from nlbprob.storage import reading
from nlbprob.storage.forms import CONFIG, METRICS, RECORD, SCORES, shown

#: The record of a test.
RECORD_NAME = "test.json"
#: What only the run of a committee has: the weights of its members.
COMMITTEE = "committee.json"


def read_config(folder: pathlib.Path) -> dict[str, Any]:
    """config.json of a run that is done."""
    return reading.read_json(folder, "config.json", CONFIG)


def read_metrics(folder: pathlib.Path) -> dict[str, Any]:
    """metrics.json of a run that is done."""
    metrics = reading.read_json(folder, "metrics.json", METRICS)
    reading.check_form(folder / "metrics.json", metrics, METRICS | {metrics["split"]: SCORES})
    return shown(metrics)


def read_test(folder: str | pathlib.Path) -> dict[str, Any] | None:
    """The record that `nlbprob test` wrote of the run in `folder`; None where it was not tested."""
    folder = pathlib.Path(folder)
    tested = RECORD_NAME in reading.existing(folder).manifest.files
    return shown(reading.read_json(folder, RECORD_NAME, RECORD)) if tested else None


def is_committee(folder: pathlib.Path) -> bool:
    """Whether a folder holds the run of a committee."""
    run = reading.examine(folder)
    return run is not None and COMMITTEE in run.manifest.files


def refuse_committee(folder: pathlib.Path, why: str) -> None:
    """Raise InputError with the reason where a folder holds the run of a committee."""
    if is_committee(folder):
        raise InputError(
            f"{folder}: is a committee, which `nlbprob average` made: {why}; name one of its members' runs."
        )


def settings_of(config: dict[str, Any], folder: pathlib.Path) -> Settings:
    """The settings of a run. Raises InputError where they are not whole, or not settings."""
    return Settings.of_run(config["settings"], str(folder / "config.json"))


def read_posterior(folder: str | pathlib.Path, model=None):
    """The posterior in a run's folder, or in a folder that `Posterior.save` wrote.

    Raises:
        InputError: there is none, or a file of it is missing or was changed since the run wrote it.
    """
    from nlbprob.posterior.posterior import Posterior

    place = pathlib.Path(folder)
    run = reading.examine(place)
    if run is None:
        return Posterior.load(place, model)
    if wrong := reading.damages(run, ["posterior"]):
        raise InputError(f"{place}: {'; '.join(wrong)}; {reading.ending(run)}. Name another run.")
    return Posterior.load(place / "posterior", model)
