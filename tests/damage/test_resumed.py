"""Fits that are killed at random moments and gone on with end as if nothing had happened, to the last bit."""

import json
import pathlib
import random
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest

from nlbprob.storage import reading
from tests.damage.worker import seeds

ROOT = pathlib.Path(__file__).resolve().parents[2]
#: The command line, with a checkpoint after every step.
PROGRAM = """
import nlbprob.infer.fit.checkpoint as checkpoint
checkpoint.LEAST_SECONDS = 0.0
checkpoint.TIME_FRACTION = 1e9
from nlbprob.cli import program
raise SystemExit(program())
"""
SHORT = ["--model.dim", "2", "--em-iterations", "6", "--svi-steps", "20", "--draws", "4", "--bin-ms", "20"]


def started(*words):
    """The command under way."""
    command = [sys.executable, "-c", PROGRAM, *map(str, words)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finished(*words):
    """Run a command to its end."""
    with started(*words) as process:
        _, shown = process.communicate(timeout=800)
    assert process.returncode == 0, shown


@pytest.fixture(scope="module")
def unbroken(recorded_file, tmp_path_factory):
    """A run in one go."""
    out = tmp_path_factory.mktemp("unbroken") / "run"
    finished("fit", "poisson_lds", recorded_file, "--out", out, *SHORT)
    return out


def log(path):
    """The stage and number of each step in a log; none where there is no log yet."""
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [(line["stage"], line["step"]) for line in map(json.loads, (line for line in lines if line.endswith("\n")))]


def results(folder):
    """The scores, the arrays of the posterior and the submission of a run."""
    metrics = json.loads((folder / "metrics.json").read_text())
    with np.load(folder / "posterior" / "posterior.npz") as file:
        arrays = {name: file[name] for name in file.files if "seconds" not in name}
    with h5py.File(folder / "submission.h5") as file:
        file.visititems(lambda name, item: arrays.update({name: item[()]} if isinstance(item, h5py.Dataset) else {}))
    return metrics, arrays


@pytest.mark.parametrize("seed", list(seeds(20, 1)))
def test_a_fit_that_was_killed_ends_as_one_in_one_go(seed, recorded_file, unbroken, tmp_path):
    draw, out = random.Random(seed), tmp_path / "run"
    number = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)[seed % 3]
    steps = draw.randrange(len(log(unbroken / "log.jsonl")) + 1)
    with started("fit", "poisson_lds", recorded_file, "--out", out, *SHORT) as process:
        while process.poll() is None and len(log(out / "unfinished" / "log.jsonl")) < steps:
            time.sleep(0.01)
        time.sleep(draw.uniform(0, 0.5))
        process.send_signal(number)
        process.communicate(timeout=280)
    run = reading.examine(out)
    assert run is not None or not steps
    finished(*(["fit", "--resume", out] if run else ["fit", "poisson_lds", recorded_file, "--out", out, *SHORT]))
    metrics, arrays = results(out)
    wanted_metrics, wanted = results(unbroken)
    assert metrics == wanted_metrics
    assert arrays.keys() == wanted.keys()
    for name, value in wanted.items():
        np.testing.assert_array_equal(arrays[name], value, name)
    assert log(out / "log.jsonl") == log(unbroken / "log.jsonl")
    assert not (out / "checkpoint").exists()
