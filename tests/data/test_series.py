"""Signals: their channels' names and their order in time."""

import numpy as np
import pytest

from nlbprob.data.series import Series, channels_of
from nlbprob.errors import InputError


@pytest.mark.parametrize(
    ("comments", "number", "expected"),
    [
        ("columns=[x,y]", 2, ("x", "y")),
        ("units mm, columns=[left, 'right']", 2, ("left", "right")),
        ("columns=[x,y]", 3, ("x", "y", "z")),
        ("columns=[x,x]", 2, ("x", "y")),
        ("no comments", 2, ("x", "y")),
        (None, 1, ("ch0",)),
        (None, 4, ("ch0", "ch1", "ch2", "ch3")),
    ],
)
def test_channels_are_named_by_the_comments_or_by_custom(comments, number, expected):
    assert channels_of(comments, number) == expected


def test_samples_are_put_in_order():
    series = Series.from_samples("hand", [2.0, 1.0, 5.0], [20, 10, 50])
    np.testing.assert_array_equal(series.times, [1, 2, 5])
    np.testing.assert_array_equal(series.values, [[10.0], [20.0], [50.0]])
    assert series.interval_s == 2.0
    assert Series.from_samples("hand", [2.0], [20]).interval_s == np.inf


@pytest.mark.parametrize(
    ("times", "values", "message"),
    [
        ([1.0, 2.0], [1.0], "one time a sample"),
        ([1.0], [["a"]], "expected numbers"),
        ([1.0], np.zeros((1, 2, 3)), "expected numbers"),
        ([np.nan, np.inf], [1.0, 2.0], "none of its 2 samples has a finite time"),
    ],
)
def test_wrong_samples_are_named(times, values, message):
    with pytest.raises(InputError, match=f"behavior 'hand': .*{message}"):
        Series.from_samples("hand", times, values)
