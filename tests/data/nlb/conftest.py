"""Small train and test files of the benchmark's data sets, and the golden ones."""

import dataclasses
import datetime
import pathlib

import numpy as np
import pytest

from nlbprob.data.nlb import DATASETS


@dataclasses.dataclass
class Content:
    """What one file holds; units in the order of the table."""

    ids: np.ndarray
    heldout: np.ndarray
    spikes: list
    observed: list
    trials: dict
    series: dict = dataclasses.field(default_factory=dict)

    def keep_units(self, mask):
        chosen = np.flatnonzero(mask)
        return dataclasses.replace(
            self,
            ids=self.ids[chosen],
            heldout=self.heldout[chosen],
            spikes=[self.spikes[unit] for unit in chosen],
            observed=[self.observed[unit] for unit in chosen],
        )


def write_content(path: pathlib.Path, content: Content) -> pathlib.Path:
    from pynwb import NWBHDF5IO, NWBFile, TimeSeries

    file = NWBFile("a session", "identifier", datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC))
    file.add_unit_column("heldout", "held out")
    for row, unit in enumerate(content.ids):
        file.add_unit(
            spike_times=content.spikes[row],
            obs_intervals=content.observed[row],
            heldout=bool(content.heldout[row]),
            id=int(unit),
        )
    for name in content.trials:
        if name not in ("start_time", "stop_time"):
            file.add_trial_column(name, name)
    for row in range(len(content.trials["start_time"])):
        file.add_trial(**{name: values[row] for name, values in content.trials.items()})
    if content.series:
        module = file.create_processing_module("behavior", "signals")
        for name, keywords in content.series.items():
            module.add(TimeSeries(name=name, unit="mm", **keywords))
    path.parent.mkdir(parents=True, exist_ok=True)
    with NWBHDF5IO(path, "w") as io:
        io.write(file)
    return path


def units(rng, number, stop_s):
    """Ids in no order, a third held out, Poisson trains of 10 to 40 Hz."""
    ids = rng.permutation(1000 + 10 * np.arange(number))
    spikes = [np.sort(rng.uniform(0, stop_s, rng.poisson(stop_s * hz))) for hz in rng.uniform(10, 40, size=number)]
    return ids, np.arange(number) % 3 == 1, spikes


def maze(seed=0):
    """24 trials of 1.3 s with 20 ms between them, observed inside trials alone, onsets at a tenth of a ms."""
    rng = np.random.default_rng(seed)
    start = np.round(0.013 + 1.32 * np.arange(24), 3)
    stop = np.round(start + 1.3, 3)
    observed = np.column_stack([start, stop])
    observed[1::3, 0] += 0.0004
    ids, heldout, spikes = units(rng, 7, stop[-1])
    samples = np.round((start[:, None] + np.arange(1300) / 1000).ravel(), 3)
    train = Content(
        ids,
        heldout,
        spikes,
        [observed] * 7,
        {
            "start_time": start,
            "stop_time": stop,
            "split": ["train", "val", "train", "none"] * 6,
            "move_onset_time": np.round(start + rng.uniform(0.4, 0.6, 24), 4),
            "trial_type": rng.integers(2, size=24),
            "trial_version": rng.integers(2, size=24),
        },
        {
            "hand_vel": {
                "data": np.cumsum(rng.normal(size=(len(samples), 2)), axis=0),
                "timestamps": samples,
                "comments": "columns=[y,x]",
                "conversion": 0.001,
            }
        },
    )
    begin = np.round(0.8 * np.arange(4), 3)
    snippets = np.column_stack([begin, np.round(begin + 0.7, 3)])
    test = Content(
        ids,
        heldout,
        [np.sort(rng.uniform(0, 3.1, 60)) for _ in ids],
        [snippets] * 7,
        {
            "start_time": begin,
            "stop_time": snippets[:, 1],
            "split": ["test"] * 4,
            "move_onset_time": np.round(begin + 0.25, 3),
        },
    ).keep_units(~heldout)
    return train, test


def timing(seed=0):
    """dmfc_rsg: 30 trials of 3 s, times at half a ms, 2 outliers, intervals of 400 to 1300 ms before go."""
    rng = np.random.default_rng(seed)
    start = np.round(3.0 * np.arange(30), 4)
    tp = np.round(2 * rng.uniform(400, 1300, 30)) / 2
    go = np.round(2000 * (start + rng.uniform(1.9, 2.2, 30))) / 2000
    ids, heldout, spikes = units(rng, 6, 90.0)
    train = Content(
        ids,
        heldout,
        spikes,
        [np.array([[0.0, 90.0]])] * 6,
        {
            "start_time": start,
            "stop_time": start + 2.9,
            "split": ["train", "val", "train"] * 10,
            "set_time": go - tp / 1000,
            "go_time": go,
            "is_eye": rng.random(30) < 0.5,
            "theta": rng.choice([0.0, 180.0], 30),
            "is_short": np.ones(30, dtype=bool),
            "ts": np.full(30, 800.0),
            "tp": tp,
            "is_outlier": np.isin(np.arange(30), [4, 7]),
        },
    )
    begin = np.round(1.6 * np.arange(4), 3)
    test = Content(
        ids,
        heldout,
        [np.sort(rng.uniform(0, 6.3, 90)) for _ in ids],
        [np.column_stack([begin, np.round(begin + 1.5, 3)])] * 6,
        {
            "start_time": begin,
            "stop_time": np.round(begin + 1.5, 3),
            "split": ["test"] * 4,
            "set_time": np.round(begin + 0.7, 3),
            "go_time": np.round(begin + 1.5, 3),
        },
    ).keep_units(~heldout)
    return train, test


def write_both(dataset, train, test, folder):
    """Write both files of a data set, nested as a download is, and return the folder."""
    facts = DATASETS[dataset]
    place = folder / facts.dandiset / facts.files.split("_")[0]
    write_content(place / f"{facts.files}_desc-train_behavior+ecephys.nwb", train)
    write_content(place / f"{facts.files}_desc-test_ecephys.nwb", test)
    return folder


@pytest.fixture
def write_pair(tmp_path):
    """`write_both` into a folder of the test."""

    def to_folder(dataset, train, test, folder=None):
        return write_both(dataset, train, test, folder or tmp_path / "data")

    return to_folder


@pytest.fixture
def maze_pair():
    """Train and test content of an mc_maze_small, to be changed and written."""
    return maze()


@pytest.fixture
def timing_pair():
    """Train and test content of a dmfc_rsg, to be changed and written."""
    return timing()


@pytest.fixture(scope="session")
def golden(shared):
    """The folder of golden files and values."""
    return shared / "golden"
