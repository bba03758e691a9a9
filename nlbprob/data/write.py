"""`Trials` to NWB files as the benchmark hands them out: train with everything, test with held-in units alone."""

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nlbprob.files import translated, write_hdf5

if TYPE_CHECKING:
    from nlbprob.data.trials import Trials

#: Silence between two trials on the written clock.
GAP_S = 0.1


def write_pair(folder: str | Path, trials: "Trials", seed: int = 0) -> tuple[Path, Path]:
    """Write `simulated_desc-train_behavior+ecephys.nwb` and `simulated_desc-test_ecephys.nwb`; return both paths.

    The train file holds all trials and units, with the splits; the test file the counts of the held-in units, in the
    scored window, of the trials that are not "train". Spikes are spread evenly at random inside their bin, so
    binning the files again with the same width gives the same counts.
    """
    folder = Path(folder)
    with translated(folder):
        folder.mkdir(parents=True, exist_ok=True)
    paths = folder / "simulated_desc-train_behavior+ecephys.nwb", folder / "simulated_desc-test_ecephys.nwb"
    write(paths[0], trials, seed)
    rows = trials.table["split"] != "train"
    heldin_trials = trials.select(trials=rows if rows.any() else [-1], neurons=trials.heldin)
    hidden = heldin_trials.select().hide_forward()
    write(paths[1], hidden.replace(behavior=None, behavior_name=None, behavior_channels=()), seed, forward=False)
    return paths


def write(path: Path, trials: "Trials", seed: int, forward: bool = True) -> None:
    """Write one NWB file: units, trials with their columns, and the behavior series, unshifted."""
    from pynwb import NWBHDF5IO, NWBFile, TimeSeries

    bins = trials.n_bins if forward else trials.window_bins
    bin_s = trials.bin_ms / 1000
    length = trials.n_bins * bin_s + abs(trials.lag_ms) / 1000
    starts = np.arange(trials.n_trials) * (length + GAP_S)
    began = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    file: Any = NWBFile(session_description="Simulated by nlbprob.", identifier=path.stem, session_start_time=began)
    add_trials(file, trials, starts, starts + trials.window_bins * bin_s)
    observed = np.stack([starts, starts + bins * bin_s], 1)
    columns = {name: values for name, values in trials.neurons.items() if name != "id"}
    for name in columns:
        file.add_unit_column(name, f"{name} of the unit")
    random = np.random.default_rng(seed)
    for unit in range(trials.n_neurons):
        times = spread(trials.counts[:, :bins, unit] * trials.seen[:, :bins, unit], starts, bin_s, random)
        unit_columns = {name: plain(values[unit]) for name, values in columns.items()}
        file.add_unit(spike_times=times, obs_intervals=observed, id=unit, **unit_columns)
    if trials.behavior is not None:
        module = file.create_processing_module("behavior", "behavior")
        times = starts[:, None] + np.arange(trials.n_bins) * bin_s + trials.lag_ms / 1000
        channels = ",".join(trials.behavior_channels)
        module.add(
            TimeSeries(
                name=trials.behavior_name or "behavior",
                data=trials.behavior.reshape(-1, trials.behavior.shape[2]),
                timestamps=times.ravel(),
                unit="mm/s",
                comments=f"columns=[{channels}]",
            )
        )

    def fill(opened: Any) -> None:
        with NWBHDF5IO(file=opened, mode="w") as io:
            io.write(container=file)

    write_hdf5(path, fill)


def add_trials(file: Any, trials: "Trials", starts: np.ndarray, stops: np.ndarray) -> None:
    """The trial table: start and stop in seconds, then the columns of `trials.table`."""
    columns = {name: values for name, values in trials.table.items() if name not in ("id", "start_time", "stop_time")}
    for name in columns:
        file.add_trial_column(name, f"{name} of the trial")
    for row, (start, stop) in enumerate(zip(starts, stops, strict=True)):
        file.add_trial(
            start_time=start, stop_time=stop, **{name: plain(values[row]) for name, values in columns.items()}
        )


def spread(counts: np.ndarray, starts: np.ndarray, bin_s: float, random: np.random.Generator) -> np.ndarray:
    """Sorted spike times in seconds for the counts [trial, time] of one unit."""
    trial, time = np.nonzero(counts)
    repeats = counts[trial, time]
    edges = np.repeat(starts[trial] + time * bin_s, repeats)
    return np.sort(edges + bin_s * random.uniform(0.05, 0.95, edges.size))


def plain(value: Any) -> Any:
    """A NumPy scalar as Python's own."""
    return value.item() if hasattr(value, "item") else value
