"""Trains and spikes that come twice, and clocks coarser than bins, are noted with numbers; ordinary ones are not."""

import numpy as np
import pytest

from nlbprob.data import Trials
from nlbprob.data.spike_trains import alike, coarse
from tests.data.test_plausible import notes_of, trains


def test_ordinary_trains_raise_no_alarm():
    assert notes_of(trains()) == []
    few = [np.array([2.1, 2.2]), np.array([2.1, 2.2])]
    assert notes_of(few) == []


def test_units_with_the_same_spike_times_are_named():
    spikes = trains()
    spikes[5] = spikes[2]
    (note,) = notes_of(spikes)
    assert note.startswith("spike_times: units 2 and 5 have the same spike times; where one is held out and another is")
    assert "units 2 and 5" not in str(notes_of(spikes, units="id != 5"))
    assert alike([b"a", b"b", b"a", b"", b"", b"b"], list("pqrstu"), "units", "x") == [
        "units p and r; q and u have the same x; where one is held out and another is not, scores show what was "
        "copied: keep one of them"
    ]


def test_neurons_with_the_same_counts_are_named():
    counts = np.random.default_rng(0).poisson(0.5, size=(6, 20, 4))
    assert Trials.from_arrays(counts, 20.0).source["notes"] == []
    counts[..., 3] = counts[..., 0]
    (note,) = Trials.from_arrays(counts, 20.0).source["notes"]
    assert note.startswith("counts: neurons 0 and 3 have the same counts in every bin")


def test_spikes_that_were_merged_twice_are_noted():
    spikes = trains()
    number = len(spikes[4])
    spikes[4] = np.repeat(spikes[4], 2)
    (note,) = notes_of(spikes)
    assert f"{number} of the {2 * number} spikes of 1 units come at the time of another spike of the unit" in note
    assert note.endswith("merged twice? 4")
    spikes[4] = np.sort(np.r_[trains()[4], trains()[4][:10]])  # a few, as merging two sortings of a unit leaves
    assert notes_of(spikes) == []


@pytest.mark.parametrize(
    ("step", "bin_ms", "numbers"),
    [(1 / 240, 20, "4 or 5"), (0.004, 10, "2 or 3"), (0.02, 5, "0 or 1"), (1.0, 10, "0 or 1"), (0.001, 2.5, "2 or 3")],
)
def test_spike_times_in_steps_that_do_not_divide_a_bin_are_noted(step, bin_ms, numbers):
    spikes = [np.unique(np.round(times / step) * step) for times in trains(seconds=400 if step == 1 else 16)]
    (note,) = coarse(spikes, bin_ms)
    assert f"in steps of {1000 * step:.3g} ms, of which bins of {bin_ms:g} ms hold {numbers}, so" in note


@pytest.mark.parametrize(
    ("step", "bin_ms"), [(1 / 240, 50), (0.001, 5), (0.005, 5), (0.00125, 20), (1 / 30_000, 5), (1 / 24_414, 1)]
)
def test_steps_that_divide_a_bin_or_are_far_below_it_raise_no_alarm(step, bin_ms):
    assert coarse([np.unique(np.round(times / step) * step) for times in trains()], bin_ms) == []


def test_times_of_half_precision_are_steps_too():
    spikes = [np.sort(times.astype(np.float16).astype(float)) for times in trains()]
    assert any("come in steps of" in note for note in coarse(spikes, 10))


def test_rare_spikes_show_no_step():
    rng = np.random.default_rng(0)
    assert coarse([np.sort(rng.uniform(0, 4000, 200)) for _ in range(3)], 5) == []
    assert coarse([np.arange(20.0)], 5) == []
    assert coarse([np.zeros(0)], 5) == []
