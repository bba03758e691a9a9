"""The same recording gives the same Trials from a file and from every library that holds it in memory."""

import pathlib
import tempfile

import numpy as np
import pandas as pd
import pynapple as nap
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import nlbprob as nlb
from tests.data import conftest as files
from tests.data.neighbours import sessions

#: What pynapple says when it takes a microsecond off trials that touch, and of columns that are attributes of its own.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Some starts and ends are equal"),
    pytest.mark.filterwarnings("ignore:Metadata name"),
]


def written(recorded, folder, observed=True):
    return sessions.nwb(recorded, lambda **fields: files.write(folder / "a.nwb", files.Recipe(**fields)), observed)


def frame(recorded):
    return pd.DataFrame(recorded.trials)


def behavior(recorded):
    return {"velocity": (recorded.signal_times, recorded.velocity)}


def from_dict(recorded):
    return recorded.spikes, {"trials": recorded.trials, "neurons": recorded.neurons}


def from_dict_and_frames(recorded):
    neurons = pd.DataFrame(recorded.neurons, index=list(recorded.spikes))
    signal = pd.DataFrame(recorded.velocity, index=recorded.signal_times, columns=["x", "y"])
    beside = {"trials": frame(recorded), "neurons": neurons[::-1], "behavior": {"velocity": signal}}
    return recorded.spikes, beside


def from_table(recorded):
    table = pd.DataFrame(recorded.neurons, index=list(recorded.spikes))
    table["spike_times"] = list(recorded.spikes.values())
    table["obs_intervals"] = recorded.observed
    return table, {"trials": frame(recorded)}


def from_columns(recorded):
    columns = {"id": list(recorded.spikes), **recorded.neurons, "spike_times": list(recorded.spikes.values())}
    return columns | {"obs_intervals": recorded.observed}, {"trials": recorded.trials}


def from_tsgroup(recorded):
    signal = {"velocity": sessions.tsdframe(recorded)}
    return sessions.tsgroup(recorded), {"trials": sessions.interval_set(recorded), "behavior": signal}


def from_tsgroup_without_support(recorded):
    units = {unit: nap.Ts(train) for unit, train in recorded.spikes.items()}
    return nap.TsGroup(units, metadata=recorded.neurons), {"trials": sessions.interval_set(recorded)}


def from_sorting(recorded):
    return sessions.sorting(recorded), {"trials": frame(recorded)}


def from_sorting_of_a_recording(recorded):
    made = sessions.sorting(recorded)
    made.register_recording(sessions.traces(recorded))
    return made, {"trials": frame(recorded)}


def from_spike_trains(recorded):
    return sessions.spike_trains(recorded), {"trials": sessions.epoch(recorded)}


def from_segment(recorded):
    return sessions.segment(recorded), {"behavior": "velocity"}


def from_data(recorded):
    made = sessions.data(recorded)
    return made, {"behavior": {"velocity": (made.cursor.timestamps, made.cursor.velocity)}}


#: Each with whether it knows when units were recorded.
WAYS = {
    from_dict: False,
    from_dict_and_frames: False,
    from_table: True,
    from_columns: True,
    from_tsgroup: True,
    from_tsgroup_without_support: False,
    from_sorting: False,
    from_sorting_of_a_recording: True,
    from_spike_trains: True,
    from_segment: True,
    from_data: True,
}
OPTIONS = [
    {"bin_ms": 20},
    {"bin_ms": 5, "align": "go_time", "window_ms": (-100, 300), "forward_ms": 50, "condition": "side", "lag_ms": 40},
    {"bin_ms": 50, "units": "area == 'MOs' and depth > 150", "heldout": "none"},
    {"bin_ms": 100, "split": "none", "seed": 3},
]


def check_same(found, expected):
    """Two Trials are equal, but for where they come from."""
    np.testing.assert_array_equal(found.counts, expected.counts)
    np.testing.assert_array_equal(found.seen, expected.seen)
    for one, other in ((found.neurons, expected.neurons), (found.table, expected.table)):
        assert one.keys() == other.keys()
        for name, column in one.items():
            assert column.dtype.kind == other[name].dtype.kind, name
            if column.dtype.kind == "f":
                np.testing.assert_allclose(column, other[name], rtol=0, atol=1e-9, err_msg=name)
            else:
                np.testing.assert_array_equal(column, other[name], err_msg=name)
    np.testing.assert_array_equal(found.time_ms, expected.time_ms)
    assert (found.forward_bins, found.condition, found.lag_ms) == (
        expected.forward_bins,
        expected.condition,
        expected.lag_ms,
    )
    assert (found.behavior_name, found.behavior_channels) == (expected.behavior_name, expected.behavior_channels)
    np.testing.assert_allclose(found.behavior, expected.behavior, rtol=0, atol=1e-9)
    assert found.source["notes"] == expected.source["notes"]
    assert found.source["options"] == expected.source["options"]
    assert found.source["seeds"] == expected.source["seeds"]


@pytest.fixture(scope="module")
def recorded():
    return sessions.draw(seed=1)


@pytest.fixture(scope="module")
def paths(recorded, tmp_path_factory):
    """The file with observation intervals, and without."""
    return {known: written(recorded, tmp_path_factory.mktemp("nwb"), known) for known in (True, False)}


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: f"{options['bin_ms']} ms")
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_what_a_library_holds_gives_the_trials_of_the_file(way, options, recorded, paths):
    source, beside = way(recorded)
    found = nlb.load(source, **({"behavior": behavior(recorded)} | beside), **options)
    check_same(found, nlb.load(paths[WAYS[way]], behavior="velocity", **options))


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_pieces_of_a_recording_are_those_of_the_file(way, recorded, paths):
    source, beside = way(recorded)
    beside = {"behavior": behavior(recorded)} | beside | {"trials": None}
    found = nlb.load(source, **beside, bin_ms=10, chunk_ms=700)
    check_same(found, nlb.load(paths[WAYS[way]], behavior="velocity", bin_ms=10, chunk_ms=700))


# Files are written and read, so a failure is not shrunk.
@settings(max_examples=5, deadline=None, derandomize=True, phases=[Phase.generate])
@given(
    seed=st.integers(0, 10_000),
    units=st.integers(2, 6),
    trials=st.integers(5, 14),
    spikes=st.integers(20, 200),
    gap_s=st.sampled_from([0.0, 0.05, 0.4]),
    start_s=st.sampled_from([0.0, 0.1234, 7.0]),
    bin_ms=st.sampled_from([5, 20, 35]),
    align=st.sampled_from(["start_time", "go_time"]),
)
def test_random_recordings_are_the_same_from_everywhere(bin_ms, align, **drawn):
    recorded = sessions.draw(**drawn)
    options = {"bin_ms": bin_ms, "align": align, "window_ms": None if align == "start_time" else (-70, 210)}
    with tempfile.TemporaryDirectory() as folder:
        expected = {}
        for known in (True, False):
            (pathlib.Path(folder) / str(known)).mkdir()
            path = written(recorded, pathlib.Path(folder) / str(known), known)
            expected[known] = nlb.load(path, behavior="velocity", **options)
    for way, known in WAYS.items():
        source, beside = way(recorded)
        check_same(nlb.load(source, **({"behavior": behavior(recorded)} | beside), **options), expected[known])


def test_the_tables_of_an_open_file_as_data_frames(paths):
    """The units table carries lists beside its scalar columns, and the trials keep their ids."""
    from pynwb import NWBHDF5IO

    with NWBHDF5IO(paths[True], "r") as opened:
        file = opened.read()
        units, trials = file.units.to_dataframe(), file.trials.to_dataframe()
        found = nlb.load(units, trials=trials, bin_ms=20)
        again = nlb.load(units, trials=file.trials, bin_ms=20)
    expected = nlb.load(paths[True], bin_ms=20)
    for one in (found, again):
        np.testing.assert_array_equal(one.counts, expected.counts)
        np.testing.assert_array_equal(one.seen, expected.seen)
        assert {name: column.tolist() for name, column in one.table.items()} == {
            name: column.tolist() for name, column in expected.table.items()
        }
        assert {name: column.tolist() for name, column in one.neurons.items()} == {
            name: column.tolist() for name, column in expected.neurons.items()
        }
