"""Small NWB files for the tests of reading, and the numbers that they hold."""

import dataclasses
import datetime
import pathlib

import numpy as np
import pytest


@dataclasses.dataclass
class Recipe:
    """What goes into an NWB file; None leaves a part out."""

    spikes: list
    units: dict = dataclasses.field(default_factory=dict)
    observed: list | None = None
    trials: dict | None = None
    series: dict = dataclasses.field(default_factory=dict)
    table: str = "trials"
    module: str | None = "behavior"


def write(path: pathlib.Path, recipe: Recipe) -> pathlib.Path:
    from pynwb import NWBHDF5IO, NWBFile, TimeSeries

    file = NWBFile("a session", "identifier", datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC))
    for name in recipe.units:
        if name != "id":
            file.add_unit_column(name, name)
    for unit, times in enumerate(recipe.spikes):
        of_unit = {name: values[unit] for name, values in recipe.units.items()}
        if recipe.observed is not None:
            of_unit["obs_intervals"] = recipe.observed[unit]
        file.add_unit(spike_times=times, **of_unit)
    if recipe.trials is not None:
        add_intervals(file, recipe)
    for name, keywords in recipe.series.items():
        series = TimeSeries(name=name, unit="mm", **keywords)
        if recipe.module is None:
            file.add_acquisition(series)
        else:
            module = file.processing.get(recipe.module) or file.create_processing_module(recipe.module, "signals")
            module.add(series)
    with NWBHDF5IO(path, "w") as io:
        io.write(file)
    return path


def add_intervals(file, recipe):
    from pynwb.epoch import TimeIntervals

    if recipe.table == "trials":
        add_column, add_row = file.add_trial_column, file.add_trial
    else:
        intervals = TimeIntervals(name=recipe.table, description="pieces")
        file.add_time_intervals(intervals)
        add_column, add_row = intervals.add_column, intervals.add_interval
    for name in recipe.trials:
        if name not in ("start_time", "stop_time", "id"):
            add_column(name, name)
    for row in range(len(recipe.trials["start_time"])):
        add_row(**{name: values[row] for name, values in recipe.trials.items()})


def example() -> Recipe:
    """12 trials of 500 ms, 600 ms apart, 8 units of 5 to 40 Hz; unit 3 is silent."""
    rng = np.random.default_rng(3)
    start = np.round(0.6 * np.arange(12), 6)
    stop = np.round(start + 0.5, 6)
    spikes = [np.sort(rng.uniform(0, 7.2, size=rng.poisson(7.2 * hz))) for hz in rng.uniform(5, 40, size=8)]
    spikes[3] = np.zeros(0)
    return Recipe(
        spikes=spikes,
        units={
            "id": list(range(11, 19)),
            "heldout": [False, True] * 4,
            "area": ["MOs", "MOs", "VISp", "VISp", "CA1", "CA1", "CA1", "MOs"],
            "depth": np.linspace(100, 800, 8).tolist(),
        },
        observed=[np.column_stack([start, stop])] * 8,
        trials={
            "id": list(range(100, 112)),
            "start_time": start,
            "stop_time": stop,
            "split": ["train", "train", "val"] * 4,
            "side": ["left", "right"] * 6,
            "contrast": [0.0, 0.5, 1.0] * 4,
            "go_time": np.round(start + 0.1, 6),
        },
        series={"hand_vel": {"data": rng.normal(size=(720, 2)), "rate": 100.0, "comments": "columns=[x,y]"}},
    )


@pytest.fixture
def write_nwb(tmp_path):
    """Write a Recipe as an NWB file and return its path."""

    def to_file(recipe: Recipe, name: str = "session.nwb") -> pathlib.Path:
        return write(tmp_path / name, recipe)

    return to_file


@pytest.fixture
def recipe() -> Recipe:
    """The example, to be changed and written."""
    return example()


@pytest.fixture(scope="session")
def example_nwb(tmp_path_factory) -> pathlib.Path:
    """The example as a file, to be read only."""
    return write(tmp_path_factory.mktemp("nwb") / "session.nwb", example())
