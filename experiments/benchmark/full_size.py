"""Time and memory of `nlbprob tensors` on a recording of the size of mc_maze, simulated.

python experiments/benchmark/full_size.py [--folder DIR] [--bin-ms 5]

Writes the train and the test file where they are missing (0.7 GB, seeded), makes the tensors of the validation phase,
target with PSTH included, in a process of its own, and keeps its time and peak memory in results.json beside this file.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile
import time

import numpy as np
from pynwb import NWBHDF5IO, NWBFile, TimeSeries

from nlbprob.data.nlb import DATASETS

UNITS, HELDOUT, TRAIN_TRIALS, VAL_TRIALS, TEST_TRIALS = 182, 45, 1721, 574, 574
CONDITIONS = 108  # 36 types in 3 versions
TRIAL_S, EVERY_S = 2.7, 2.828  # a trial, and from one to the next: 6,950 s with the test file
SNIPPET_S, SNIPPET_EVERY_S, ONSET_S = 0.7, 0.8, 0.25  # of a trial in the test file
MEAN_HZ = 6.2


def spike_times(random: np.random.Generator, hz: float, starts: np.ndarray, length_s: float) -> np.ndarray:
    """A Poisson train inside the intervals, to the tenth of a millisecond."""
    number = random.poisson(hz * length_s * len(starts))
    trial = random.integers(len(starts), size=number)
    return np.sort(np.round(starts[trial] + random.uniform(0, length_s, size=number), 4))


def write_file(
    path: pathlib.Path, starts: np.ndarray, length_s: float, columns: dict, units: np.ndarray, seed: int
) -> int:
    """One NWB file with spikes inside the trials alone; the number of spikes."""
    random = np.random.default_rng(seed)
    file = NWBFile("A simulated reach recording.", path.stem, datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC))
    hz = np.random.default_rng(0).gamma(2, MEAN_HZ / 2, size=UNITS)
    observed = np.round(np.column_stack([starts, starts + length_s]), 3)
    file.add_unit_column("heldout", "not in the test file")
    number = 0
    for unit in units:
        times = spike_times(random, hz[unit], starts, length_s)
        file.add_unit(spike_times=times, obs_intervals=observed, heldout=bool(unit < HELDOUT), id=int(1001 + 10 * unit))
        number += len(times)
    for name in columns:
        file.add_trial_column(name, name)
    for row in range(len(starts)):
        file.add_trial(*observed[row], **{name: values[row] for name, values in columns.items()})
    if "trial_type" in columns:
        module = file.create_processing_module("behavior", "the hand, the cursor and the eye")
        when = np.round(starts[:, None] + np.arange(round(1000 * length_s)) / 1000, 3).ravel()
        for name in ("cursor_pos", "eye_pos", "hand_pos", "hand_vel"):
            values = 100 * np.sin(np.outer(when, random.uniform(1, 9, size=2)))
            module.add(TimeSeries(name=name, data=values, unit="mm", timestamps=when, comments="columns=[x,y]"))
    with NWBHDF5IO(path, "w") as io:
        io.write(file)
    return number


def write_pair(folder: pathlib.Path) -> int:
    """The train and the test file of a simulated mc_maze; the number of spikes."""
    random = np.random.default_rng(1)
    starts = np.round(EVERY_S * np.arange(TRAIN_TRIALS + VAL_TRIALS), 3)
    condition = random.integers(CONDITIONS, size=len(starts))
    columns = {
        "split": random.permutation(["train"] * TRAIN_TRIALS + ["val"] * VAL_TRIALS).tolist(),
        "trial_type": condition // 3,
        "trial_version": condition % 3,
        "move_onset_time": np.round(starts + random.uniform(1.0, 1.6, size=len(starts)), 3),
    }
    name = DATASETS["mc_maze"].files
    train, test = folder / f"{name}_desc-train_behavior+ecephys.nwb", folder / f"{name}_desc-test_ecephys.nwb"
    number = write_file(train, starts, TRIAL_S, columns, np.arange(UNITS), seed=2)
    snippets = np.round(SNIPPET_EVERY_S * np.arange(TEST_TRIALS), 3)
    columns = {"split": ["test"] * TEST_TRIALS, "move_onset_time": np.round(snippets + ONSET_S, 3)}
    return number + write_file(test, snippets, SNIPPET_S, columns, np.arange(HELDOUT, UNITS), seed=3)


def measure(folder: pathlib.Path, bin_ms: int, out: pathlib.Path) -> dict[str, float]:
    """Wall time (s) and peak memory (GB) of the command, in a process of its own."""
    command = [sys.executable, "-m", "nlbprob", "tensors", folder, "--dataset", "mc_maze", "--bin-ms", str(bin_ms)]
    begin = time.perf_counter()
    process = subprocess.Popen([*command, "--phase", "val", "--out", out], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"nlbprob tensors failed with status {status}.")
    peak = usage.ru_maxrss / (1e9 if platform.system() == "Darwin" else 1e6)
    return {
        "seconds": round(time.perf_counter() - begin, 1),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_gb": round(peak, 2),
    }


def main() -> None:
    """Write the files where they are missing, measure, keep and print the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=pathlib.Path, help="where the files are kept (default: a temporary folder)")
    parser.add_argument("--bin-ms", type=int, default=5, choices=(5, 20))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.folder or pathlib.Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        if not list(folder.glob("*.nwb")):
            print(f"Wrote {write_pair(folder):,} spikes to {folder}.")
        result = measure(folder, arguments.bin_ms, pathlib.Path(scratch) / "tensors")
    place = pathlib.Path(__file__).with_name("results.json")
    results = json.loads(place.read_text()) if place.exists() else {}
    results[f"tensors, mc_maze in full size, {arguments.bin_ms} ms"] = result | {"cores": os.cpu_count()}
    place.write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
