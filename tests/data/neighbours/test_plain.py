"""Spike times in mappings, lists and tables."""

import datetime

import neo
import numpy as np
import pandas as pd
import pynapple as nap
import pytest
import quantities as pq

import nlbprob as nlb

TRIALS = ([0.0, 1.0], [0.5, 1.5])
EXPECTED = [[[1, 0], [0, 1]], [[0, 0], [0, 2]]]


def counts(source, **options):
    return nlb.load(source, **({"trials": TRIALS, "bin_ms": 250, "heldout": "none", "split": "none"} | options)).counts


@pytest.mark.parametrize(
    "source",
    [
        {"p": [0.1, 9.0], "q": [0.25, 1.3, 1.4]},
        [[0.1, 9.0], [0.25, 1.3, 1.4]],
        (np.array([9.0, 0.1]), np.array([1.4, 0.25, 1.3])),
        np.array([np.array([0.1, 9.0]), np.array([0.25, 1.3, 1.4])], dtype=object),
        [np.array([[0.1], [9.0]]), np.array([[0.25], [1.3], [1.4]], dtype=np.float32)],
        {0: [100.0, 9000.0] * pq.ms, 1: [0.25, 1.3, 1.4] * pq.s},
        {0: [100.0 * pq.ms, 9 * pq.s], 1: [0.25 * pq.s, 1300 * pq.ms, 1.4 * pq.s]},
        {0: np.array([100, 9000], dtype="m8[ms]"), 1: pd.to_timedelta([250, 1300, 1400], unit="ms")},
        {0: nap.Ts([0.1, 9.0]), 1: nap.Ts([0.25, 1.3, 1.4])},
        {0: neo.SpikeTrain([0.1, 9.0], units="s", t_stop=10), 1: np.array([0.25, 1.3, 1.4])},
        {0: np.ma.array([0.1, 0.2, 9.0], mask=[0, 1, 0]), 1: [0.25, 1.3, 1.4]},
        {0: pd.Series([0.1, 9.0]), 1: pd.Series([0.25, 1.3, 1.4], dtype="Float64")},
        {0: np.array([0.1, 9], dtype=object), 1: pd.Series([0.25, 1.3, 1.4], dtype=object)},
        {0: np.array([[0.1, 9.0]]), 1: np.array([0.25, 1.3, 1.4], dtype=">f8")},
        {0: list(pd.to_timedelta([0.1, 9.0], unit="s")), 1: [datetime.timedelta(seconds=s) for s in (0.25, 1.3, 1.4)]},
        {"spike_times": [[0.1, 9.0], [0.25, 1.3, 1.4]]},
        pd.DataFrame({"spike_times": [[0.1, 9.0], [0.25, 1.3, 1.4]]}),
    ],
)
def test_spike_times_in_any_container_and_unit(source):
    np.testing.assert_array_equal(counts(source), EXPECTED)


def test_ids_are_the_keys_or_count_from_0():
    options = {"trials": TRIALS, "bin_ms": 250}
    assert nlb.load({"p": [0.1], "q": [1.3]}, **options).neurons["id"].tolist() == ["p", "q"]
    assert nlb.load({7: [0.1], 3: [1.3]}, **options).neurons["id"].tolist() == [7, 3]
    assert nlb.load([[0.1], [1.3]], **options).neurons["id"].tolist() == [0, 1]
    table = pd.DataFrame({"spike_times": [[0.1], [1.3]], "area": ["x", "y"]}, index=[5, 4])
    found = nlb.load(table, **options).neurons
    assert (found["id"].tolist(), found["area"].tolist()) == ([5, 4], ["x", "y"])


def test_a_unit_of_another_dimension_is_refused():
    with pytest.raises(nlb.InputError, match="unit 0: is in mV, not in a unit of time"):
        counts({0: [1.0, 2.0] * pq.mV})


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (pd.to_datetime([1.0, 2.0], unit="s"), "holds dates; hand over seconds since the start of the recording"),
        (pd.to_datetime([1.0, 2.0], unit="s", utc=True), "holds dates; hand over seconds"),
        ([datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)], "holds dates; hand over seconds"),
        (["1.0", "2.0"], "expected one list of times in s, got <U3"),
        (np.array([1.0, "2.0"], dtype=object), "expected one list of times in s, got something of type str"),
        ({"x": 1.0}, "expected one list of times in s, got something of type dict"),
        ([1.0, None], "unit 0 has a spike at a time that is not finite"),
    ],
)
def test_what_is_no_list_of_seconds_is_told(times, message):
    with pytest.raises(nlb.InputError, match=message):
        counts({0: times})


def test_columns_of_neurons_follow_the_ids_not_the_order():
    spikes, options = {"p": [0.1], "q": [1.3]}, {"trials": TRIALS, "bin_ms": 250}
    for neurons in (
        {"depth": [1.0, 2.0]},
        {"id": ["q", "p", "r"], "depth": [2.0, 1.0, 3.0]},
        pd.DataFrame({"depth": [1.0, 2.0]}),
        pd.DataFrame({"depth": [2.0, 1.0]}, index=["q", "p"]),
        pd.DataFrame({"depth": [2.0, 1.0], "id": ["q", "p"]}),
        np.array([("q", 2.0), ("p", 1.0)], dtype=[("id", "U1"), ("depth", "f8")]),
    ):
        assert nlb.load(spikes, neurons=neurons, **options).neurons["depth"].tolist() == [1.0, 2.0]
    numbered = {"id": [4.0, np.nan, 3.0], "depth": [2.0, 0.0, 1.0]}  # pandas makes floats of ids where one is missing
    assert nlb.load({3: [0.1], 4: [1.3]}, neurons=numbered, **options).neurons["depth"].tolist() == [1.0, 2.0]
    with pytest.raises(nlb.InputError, match=r"neurons\['id'\]: q comes more than once; give one row a unit"):
        nlb.load(spikes, neurons={"id": ["q", "p", "q"], "depth": [2.0, 1.0, 3.0]}, **options)


def test_columns_of_objects_keep_their_kind():
    neurons = pd.DataFrame({"good": [True, False], "rank": [1, 2]}, dtype=object)
    found = nlb.load({"p": [0.1], "q": [1.3]}, neurons=neurons, trials=TRIALS, bin_ms=250).neurons
    assert (found["good"].dtype.kind, found["rank"].dtype.kind) == ("b", "i")


def test_intervals_of_a_table_say_where_bins_were_seen():
    observed = [[[0.0, 1.25]], [[0.0, 0.5], [1.0, 2.0]]]
    table = {"spike_times": [[0.1], [1.3]], "obs_intervals": observed}
    found = nlb.load(table, trials=TRIALS, bin_ms=250, heldout="none")
    np.testing.assert_array_equal(found.seen[:, :, 0], [[True, True], [True, False]])
    assert found.seen[:, :, 1].all()
