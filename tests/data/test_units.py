"""Units: order of spikes, shared intervals, rates in observed time."""

import numpy as np
import pytest

from nlbprob.data.units import Units
from nlbprob.errors import InputError

INTERVALS = [[2.0, 3.0], [0.0, 1.0]]


def units(spikes, observed):
    return Units.from_lists({"id": np.arange(len(spikes))}, spikes, observed)


def test_spikes_are_put_in_order_and_equal_intervals_shared():
    made = units([[3.0, 1.0], [], [2.0]], [INTERVALS, INTERVALS, []])
    np.testing.assert_array_equal(made.spike_times[0], [1.0, 3.0])
    assert made.observed[0] is made.observed[1]
    np.testing.assert_array_equal(made.observed[0], [[0, 1], [2, 3]])
    assert made.observed[2] is None
    assert made.spike_count == 3
    assert made.extent == (0.0, 3.0)


def test_rates_count_spikes_in_observed_time():
    made = units([[0.5, 0.6, 1.5, 2.5], [0.5, 4.0], []], [INTERVALS, None, [[5.0, 5.0]]])
    np.testing.assert_allclose(made.rates_hz(), [1.5, 2 / 5, np.nan])


def test_selection_keeps_everything_together():
    made = units([[1.0], [2.0], [3.0]], [INTERVALS, None, INTERVALS]).select(np.array([True, False, True]))
    assert [times[0] for times in made.spike_times] == [1.0, 3.0]
    np.testing.assert_array_equal(made.columns["id"], [0, 2])
    assert len(made) == len(made.observed) == 2


def test_wrong_times_are_named():
    with pytest.raises(InputError, match="spike_times: unit 1 has a spike at a time that is not finite"):
        units([[1.0], [np.nan]], [None, None])
    with pytest.raises(InputError, match="obs_intervals: unit 0 .* end after it starts"):
        units([[1.0]], [[[2.0, 1.0]]])
    with pytest.raises(InputError, match="obs_intervals: unit 0"):
        units([[1.0]], [[2.0, 1.0]])


@pytest.mark.parametrize("seed", range(5))
def test_the_extent_is_that_of_all_spikes_but_stray_ones(seed):
    rng = np.random.default_rng(seed)
    spikes = [np.sort(rng.uniform(3, 15, size)) for size in (400, 1, 0, 90, 300)]
    ids = {"id": np.arange(5)}
    ends = min(times[0] for times in spikes if len(times)), max(times[-1] for times in spikes if len(times))
    assert Units.from_lists(ids, spikes, [None] * 5).extent == ends
    stray = [
        np.append(times, after) for times, after in zip(spikes, [[], [900.0], [], [40_000.0], [-70.0]], strict=True)
    ]
    units = Units.from_lists(ids, stray, [None] * 5)
    assert units.extent == ends
    assert {unit: times.tolist() for unit, times in units.stray().items()} == {1: [900.0], 3: [40_000.0], 4: [-70.0]}
    np.testing.assert_allclose(units.rates_hz()[0], 400 / (ends[1] - ends[0]))
    few = Units.from_lists({"id": np.arange(1)}, [[0.0, 0.1, 50.0]], [None])
    assert few.extent == (0, 50)
    late = Units.from_lists(ids, spikes, [np.array([[0.0, 60.0]])] * 5)
    assert late.extent == (0, 60)
