"""Tables of trials in every form that they are held in."""

import datetime

import neo
import numpy as np
import pandas as pd
import pynapple as nap
import pytest
import quantities as pq
import temporaldata as td

from nlbprob.data.neighbours.tables import trial_table

START, STOP = np.array([0.0, 1.0, 2.5]), np.array([0.5, 2.0, 3.0])
SIDE, GO = ["l", "r", "l"], np.array([0.1, 1.1, 2.6])


def intervals_of_pynwb():
    from pynwb import NWBFile

    file = NWBFile("a session", "identifier", datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC))
    for name in ("side", "go"):
        file.add_trial_column(name, name)
    for row in range(3):
        file.add_trial(start_time=START[row], stop_time=STOP[row], side=SIDE[row], go=GO[row])
    return file.trials


FORMS = {
    "dict": {"start_time": START, "stop_time": STOP, "side": SIDE, "go": GO},
    "other names": {"start": START.tolist(), "end": STOP.tolist(), "side": SIDE, "go": GO},
    "durations": {"onset": START, "duration": STOP - START, "side": SIDE, "go": GO},
    "quantities": {"start_time": 1000 * START * pq.ms, "stop_time": STOP * pq.s, "side": SIDE, "go": 1000 * GO * pq.ms},
    "frame": pd.DataFrame({"start_time": START, "stop_time": STOP, "side": SIDE, "go": GO}),
    "time differences": pd.DataFrame(
        {"start": pd.to_timedelta(START, "s"), "stop": pd.to_timedelta(STOP, "s"), "side": SIDE, "go": GO}
    ),
    "structured array": np.array(
        list(zip(START, STOP, SIDE, GO, strict=True)),
        dtype=[("start_time", "f8"), ("stop_time", ">f8"), ("side", "U1"), ("go", "f8")],
    ),
    "IntervalSet": nap.IntervalSet(START, STOP, metadata={"side": SIDE, "go": GO}),
    "Interval": td.Interval(start=START, end=STOP, side=np.array(SIDE), go=GO),
    "Epoch": neo.Epoch(START * pq.s, (STOP - START) * pq.s, array_annotations={"side": SIDE, "go": 1000 * GO * pq.ms}),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_table(form):
    table = trial_table(FORMS[form])
    assert table.keys() == {"id", "start_time", "stop_time", "side", "go"}
    assert table["id"].tolist() == [0, 1, 2]
    for name, values in (("start_time", START), ("stop_time", STOP), ("go", GO)):
        np.testing.assert_allclose(table[name], values, rtol=0, atol=1e-12)
    assert table["side"].tolist() == SIDE


def test_the_intervals_table_of_an_open_file():
    table = trial_table(intervals_of_pynwb())
    np.testing.assert_array_equal(table["go"], GO)
    assert table["side"].tolist() == SIDE


@pytest.mark.parametrize("rows", [(START, STOP), [[0.0, 0.5], [1.0, 2.0], [2.5, 3.0]], np.column_stack([START, STOP])])
def test_starts_and_stops(rows):
    table = trial_table(rows)
    np.testing.assert_array_equal(table["start_time"], START)
    np.testing.assert_array_equal(table["stop_time"], STOP)


def test_a_frames_index_gives_the_ids_that_rows_keep_when_selected():
    frame = pd.DataFrame({"start_time": START, "stop_time": STOP})
    assert trial_table(frame[1:])["id"].tolist() == [1, 2]
    assert trial_table(frame.set_index(pd.Index([0.5, 1.5, 2.5])))["id"].tolist() == [0, 1, 2]
    assert trial_table(frame.set_index(pd.Index([1, 1, 2])))["id"].tolist() == [0, 1, 2]


def test_columns_that_are_no_number_or_string_a_trial_are_left_out():
    columns = {"start_time": START, "stop_time": STOP, "licks": [[0.1], [], [2.6, 2.7]], "image": np.ones((3, 4))}
    assert trial_table(columns).keys() == {"id", "start_time", "stop_time"}


@pytest.mark.filterwarnings("ignore:Some starts and ends are equal")
def test_trials_that_touch_keep_their_last_bin():
    intervals = nap.IntervalSet([0.0, 1.0, 2.0], [1.0, 2.0, 2.9])
    assert intervals.end[0] < 1.0
    np.testing.assert_array_equal(trial_table(intervals)["stop_time"], [1.0, 2.0, 2.9])


def test_a_label_of_an_epoch_is_a_column():
    epoch = neo.Epoch(START * pq.s, (STOP - START) * pq.s, labels=["a", "b", "c"])
    assert trial_table(epoch)["label"].tolist() == ["a", "b", "c"]
