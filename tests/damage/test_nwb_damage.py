"""Damaged NWB files: a message or right numbers, never a traceback, a hang, a crash or other numbers."""

import shutil

import numpy as np
import pytest

from tests.damage.nwb_damage import damage
from tests.damage.worker import seeds
from tests.data.conftest import example, write

#: More than any message needs; longer ones carry a dump of another library.
LONGEST = 700


#: How a file is read: its trials, windows about an event, pieces.
READINGS = [
    ("start_time", {"condition": "side"}),
    ("go_time", {"align": "go_time", "window_ms": (0, 200), "forward_ms": 100}),
    ("start_time", {"chunk_ms": 500, "units": "depth > 0"}),
]


def loaded(path, reading):
    """What a load gives: counts, seen, where its trials start, and how many bins each has."""
    from nlbprob.data import load

    event, options = READINGS[reading]
    trials = load(path, bin_ms=10, behavior="hand_vel", heldout="none", split="none", **options)
    return trials.counts, trials.seen, trials.table[event], trials.lengths


def plainly_read(path):
    """Spike times of each unit, as pynwb gives them."""
    from pynwb import NWBHDF5IO

    with NWBHDF5IO(path, "r") as io:
        file = io.read()
        return [np.asarray(file.units["spike_times"][unit], dtype=float) for unit in range(len(file.units))]


def agrees(value, spikes):
    """Whether counts are those of the spikes in bins from each start, wherever no spike lies on an edge."""
    counts, seen, start, lengths = value
    if counts.shape[2] != len(spikes):
        return False
    for trial, first in enumerate(start):
        edges = first + 0.01 * np.arange(lengths[trial] + 2)
        inside = seen[trial, : lengths[trial]]
        two = [
            np.stack([np.histogram(times, edges + moved)[0][:-1] for times in spikes], axis=1) * inside
            for moved in (-1e-6, 1e-6)
        ]
        found = counts[trial, : lengths[trial]]
        if np.any(found < np.minimum(*two)) or np.any(found > np.maximum(*two)):
            return False
    return True


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A file without damage, to be read only."""
    return write(tmp_path_factory.mktemp("nwb") / "session.nwb", example())


@pytest.mark.parametrize("seed", list(seeds(200)))
def test_a_damaged_file_is_refused_or_read_as_it_stands(worker, whole, tmp_path, seed):
    path = tmp_path / "session.nwb"
    shutil.copy(whole, path)
    what = damage(path, seed)
    outcome = worker.call(loaded, path, seed % len(READINGS))
    assert outcome.kind in ("fine", "refused"), f"{what}: {outcome.kind} {outcome.text}"
    if outcome.kind == "refused":
        assert str(path) in outcome.text, what
        assert len(outcome.text) - len(str(path)) < LONGEST, outcome.text
        assert outcome.text.isprintable(), repr(outcome.text)
        return
    plain = worker.call(plainly_read, path)
    if plain.kind == "fine" and agrees(outcome.value, plain.value):
        return
    untouched = worker.call(plainly_read, whole)
    assert agrees(outcome.value, untouched.value), f"{what}: other numbers, without a word"
