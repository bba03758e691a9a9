"""Signals in every form that they are held in."""

import neo
import numpy as np
import pandas as pd
import pynapple as nap
import pytest
import quantities as pq
import temporaldata as td

from nlbprob.data.neighbours.signals import name_of, series_of
from nlbprob.errors import InputError

TIMES = np.round(0.5 + 0.01 * np.arange(50), 9)
VALUES = np.random.default_rng(0).normal(size=(50, 2))
IRREGULAR = neo.IrregularlySampledSignal(TIMES * pq.s, VALUES * pq.mV, name="hand")
REGULAR = neo.AnalogSignal(VALUES, units="mV", sampling_period=10 * pq.ms, t_start=500 * pq.ms, name="hand")
FORMS = {
    "pair": (TIMES, VALUES),
    "pair with a unit": (1000 * TIMES * pq.ms, VALUES),
    "TsdFrame": nap.TsdFrame(t=TIMES, d=VALUES),
    "named columns": nap.TsdFrame(t=TIMES, d=VALUES, columns=["x", "y"]),
    "frame": pd.DataFrame(VALUES, index=TIMES, columns=["x", "y"]),
    "time differences": pd.DataFrame(VALUES, index=pd.to_timedelta(TIMES, "s"), columns=["x", "y"]),
    "AnalogSignal": REGULAR,
    "IrregularlySampledSignal": IRREGULAR,
    "RegularTimeSeries": td.RegularTimeSeries(vel=VALUES, sampling_rate=100.0, domain_start=0.5),
    "IrregularTimeSeries": td.IrregularTimeSeries(timestamps=TIMES, vel=VALUES, domain="auto"),
    "by name": {"hand": nap.TsdFrame(t=TIMES, d=VALUES)},
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_series(form):
    series = series_of(FORMS[form], "velocity")
    assert (series.name, series.channels) == ("velocity", ("x", "y"))
    np.testing.assert_allclose(series.times, TIMES, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(series.values, VALUES)


@pytest.mark.parametrize("one", [nap.Tsd(t=TIMES, d=VALUES[:, 0]), pd.Series(VALUES[:, 0], index=TIMES)])
def test_one_channel(one):
    series = series_of(one, "pupil")
    assert series.channels == ("ch0",)
    np.testing.assert_array_equal(series.values[:, 0], VALUES[:, 0])


def test_names_of_channels_are_kept():
    assert series_of(nap.TsdFrame(t=TIMES, d=VALUES, columns=["left", "right"]), "paws").channels == ("left", "right")


def test_a_masked_sample_is_missing():
    masked = np.ma.array(VALUES, mask=VALUES > 1)
    np.testing.assert_array_equal(np.isnan(series_of((TIMES, masked), "hand").values), VALUES > 1)


@pytest.mark.parametrize(
    ("signal", "name"),
    [
        (None, None),
        ("hand_vel", "hand_vel"),
        (FORMS["pair"], "behavior"),
        (FORMS["TsdFrame"], "behavior"),
        (pd.Series(VALUES[:, 0], index=TIMES, name="pupil"), "behavior"),
        (FORMS["AnalogSignal"], "hand"),
        (FORMS["by name"], "hand"),
    ],
)
def test_what_a_signal_is_called(signal, name):
    assert name_of(signal) == name


@pytest.mark.parametrize(
    ("signal", "message"),
    [
        (VALUES, r"behavior: takes \(times in s, values .*; got ndarray"),
        ("velocity", "got str"),
        ((TIMES, VALUES.T), "behavior 'hand': expected numbers .* times"),
        ((TIMES * pq.mV, VALUES), "behavior: is in mV, not in a unit of time"),
        (nap.TsdTensor(t=TIMES, d=np.ones((50, 2, 2))), "behavior 'hand': expected numbers"),
        (pd.DataFrame(VALUES), "the frame's index counts its rows; make it the time in s"),
        (pd.DataFrame(VALUES, index=pd.date_range("2020", periods=50)), "behavior: holds dates"),
        (
            td.IrregularTimeSeries(timestamps=TIMES, pos=VALUES, vel=VALUES, domain="auto"),
            r"'hand' has 2 fields \(pos, vel\); give one of them",
        ),
    ],
)
def test_what_is_no_signal_is_told(signal, message):
    with pytest.raises(InputError, match=message):
        series_of(signal, "hand")
