"""The rounding of times: recognized, and never worth a spike, a bin or a sample."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlbprob.data import Trials
from nlbprob.data.binning import bin_series, covered, interpolate
from nlbprob.data.clock import is_single, step_s
from nlbprob.data.pieces import cut, join
from nlbprob.data.series import Series
from nlbprob.data.units import Units
from nlbprob.data.windows import Windows, whole_trials
from nlbprob.errors import InputError

EPOCH_S = 1_700_000_000


def single(values):
    """The values as 32-bit floats hold them, in 64 bits."""
    return np.asarray(values, dtype=np.float32).astype(np.float64)


def test_the_step_of_a_clock_grows_with_time():
    assert step_s(np.array([1.7e9]))[0] == 2.0**-22
    assert step_s(np.array([-1000.0]), single=True)[0] == 2.0**-14


def test_times_rounded_to_32_bits_are_recognized_and_others_are_not():
    rng = np.random.default_rng(0)
    times = np.sort(rng.uniform(0, 2000, 500))
    assert is_single(single(times))
    assert is_single(single(times[:2]), single(times[2:3]))
    assert not is_single(times)
    assert not is_single(single(times), times)
    for exact in (np.arange(500.0), np.arange(500) / 4, np.arange(500) / 128, np.zeros(3), np.zeros(0)):
        assert not is_single(exact)
    assert not is_single()
    assert not is_single(np.array([np.nan, 1e300, 0.5]))


sessions = st.tuples(
    st.integers(0, 2**32 - 1),
    st.sampled_from([0, 1_000, 100_000, EPOCH_S, -5_000]),
    st.sampled_from([1_000, 5_000, 20_000, 45_000]),
)


def random_session(seed, bin_us, single_range=False):
    """Spikes, and starts of trials, in whole microseconds; a third of the spikes lies on edges of bins."""
    rng = np.random.default_rng(seed)
    bins, n_trials = int(rng.integers(1, 12)), int(rng.integers(1, 8))
    gap = int(rng.integers(0, 3)) * 1000
    start = np.arange(n_trials) * (bins * bin_us + gap) + int(rng.integers(0, 10**6))
    edges = (start[:, None] + bin_us * np.arange(bins)).ravel()
    free = rng.integers(start[0] - 10**5, start[-1] + bins * bin_us + 10**5, size=120)
    spikes = np.sort(np.concatenate([free, rng.choice(edges, 40), edges]))
    return spikes, start, bins


def exact_counts(spikes, start, bins, bin_us):
    """The textbook, on whole microseconds."""
    return np.array([np.histogram(spikes, first + bin_us * np.arange(bins + 1))[0] for first in start]) - np.array(
        [np.eye(bins, dtype=int)[-1] * np.sum(spikes == first + bin_us * bins) for first in start]
    )


@settings(max_examples=60, deadline=None)
@given(sessions)
def test_counts_are_those_of_whole_microseconds_wherever_the_clock_starts(session):
    seed, offset_s, bin_us = session
    spikes, start, bins = random_session(seed, bin_us)
    on_clock = [(offset_s * 10**6 + times) / 1e6 for times in (spikes, start, start + bins * bin_us)]
    trials = Trials.from_spike_times([on_clock[0]], *on_clock[1:], bin_ms=bin_us / 1000, heldout="none", split="none")
    np.testing.assert_array_equal(trials.counts[:, :, 0], exact_counts(spikes, start, bins, bin_us))
    assert trials.seen.all()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0, 100, 1000]), st.sampled_from([5_000, 20_000]), st.booleans())
def test_times_of_32_bits_lose_no_bin_and_move_none_but_spikes_on_edges(seed, offset_s, bin_us, spikes_too):
    spikes, start, bins = random_session(seed, bin_us)
    to_edge = np.min(np.abs(spikes - (start[:, None] + bin_us * np.arange(bins + 1)).ravel()[:, None]), axis=0)
    spikes = spikes[(to_edge == 0) | (to_edge > 200)]
    clock = [(offset_s * 10**6 + times) / 1e6 for times in (spikes, start, start + bins * bin_us)]
    times = [single(values) if position or spikes_too else values for position, values in enumerate(clock)]
    trials = Trials.from_spike_times(
        [times[0]], np.float32(times[1]), np.float32(times[2]), bin_ms=bin_us / 1000, heldout="none", split="none",
        obs_intervals=[np.column_stack(times[1:])],
    )  # fmt: skip
    np.testing.assert_array_equal(trials.counts[:, :, 0], exact_counts(spikes, start, bins, bin_us))
    assert trials.seen.all()


@pytest.mark.parametrize(
    "stored", [lambda times: times + EPOCH_S, lambda times: single(times + 1000)], ids=["1970", "32"]
)
def test_no_bin_is_lost_to_the_clock(stored):
    starts = np.round(np.arange(200) * 0.7 + 0.1, 6)
    start, stop = stored(starts), stored(np.round(starts + 0.5, 6))
    windows = whole_trials(start, stop, 5)
    assert (windows.bins == 100).all()
    assert covered(np.column_stack([start, stop]), windows).all()
    edges = stored(np.arange(0, 201) * 0.7)
    table = {"id": np.arange(200), "split": np.full(200, "train"), "start_time": edges[:-1], "stop_time": edges[1:]}
    joined, windows, own = join(table, 10)
    assert len(joined["id"]) == 1
    assert windows.bins[0] == 14_000
    assert own.all()


def test_pieces_have_no_remainder_of_a_rounding_error():
    spikes = EPOCH_S + np.linspace(0.1, 12.1, 601)
    table = cut(Units.from_lists({"id": np.arange(1)}, [spikes], [None]), 2000, 10)
    assert len(table["id"]) == 6
    assert (whole_trials(table["start_time"], table["stop_time"], 10).bins == 200).all()


@pytest.mark.parametrize("bin_ms", [10.0, 20.0, 2.5])
@pytest.mark.parametrize(
    "stored", [lambda times: times + EPOCH_S, lambda times: single(times + 1000)], ids=["1970", "32"]
)
def test_samples_come_into_the_same_bins_on_any_clock(stored, bin_ms):
    times = np.round(np.arange(0, 8, 0.01), 6)
    starts = np.array([1.0, 3.5])
    plain = Series.from_samples("x", times, np.sin(times))
    moved = Series.from_samples("x", stored(times), np.sin(times))
    bins = np.array([40, 40])
    expected = bin_series(plain, Windows(starts, bins, bin_ms), 0)
    found = bin_series(moved, Windows(stored(starts), bins, bin_ms, single=is_single(stored(starts))), 0)
    np.testing.assert_allclose(found, expected, atol=0 if bin_ms >= 10 else 1e-4)


def test_a_sample_that_is_hit_exactly_needs_no_neighbor_on_any_clock():
    series = Series.from_samples("x", EPOCH_S + np.array([0.1, 0.2, 0.3, 0.7]), [1.0, 2.0, np.nan, 4.0])
    found = interpolate(series, EPOCH_S + np.array([0.1, 0.15, 0.2, 0.25, 0.5, 0.7]))
    np.testing.assert_allclose(found[:, 0], [1, 1.5, 2, np.nan, np.nan, 4], rtol=1e-5)


def test_a_clock_coarser_than_the_bins_is_refused_and_one_that_is_nearly_so_noted():
    rng = np.random.default_rng(0)
    start = np.round(np.arange(20) * 0.6, 6)
    spikes = [np.sort(rng.uniform(0, 12, 200))]

    def load(stored, bin_ms):
        return Trials.from_spike_times(
            [stored(spikes[0])], stored(start), stored(start + 0.5), bin_ms=bin_ms, heldout="none", split="none"
        )

    with pytest.raises(InputError, match=r"times: are stored as 32-bit numbers, .* 64-bit numbers of s"):
        load(lambda times: single(times + 5e6), 5)
    (note,) = [n for n in load(lambda times: single(times + 1000), 1).source["notes"] if "32-bit" in n]
    assert "with steps of 0.061 ms" in note
    assert not any("-bit" in note for note in load(lambda times: times + EPOCH_S, 1).source["notes"])


@pytest.mark.parametrize("first", ["start", "stop"])
def test_a_column_of_32_bits_beside_one_of_64_loses_no_bin(first):
    start = 1000 + np.round(0.6 * np.arange(40), 6)
    columns = {"start": start, "stop": np.round(start + 0.5, 6)}
    columns[first] = single(columns[first])
    assert (whole_trials(columns["start"], columns["stop"], 10).bins == 50).all()
    assert covered(np.column_stack(list(columns.values())), whole_trials(*columns.values(), 10)).all()


@pytest.mark.parametrize("units", [[0], [1, 2, 3]])
@pytest.mark.parametrize("extra", [False, True])
def test_units_of_32_bits_beside_others_move_no_spike(units, extra):
    rng = np.random.default_rng(1)
    edges = [np.sort(rng.choice(1200, 300, replace=False)) / 100 for _ in range(4)]
    start = np.round(0.6 * np.arange(20), 6)
    expected = Trials.from_spike_times(edges, start, start + 0.5, bin_ms=10, heldout="none", split="none").counts
    spikes = [single(1000 + times) if unit in units else 1000 + times for unit, times in enumerate(edges)]
    if extra:  # a spike that was added later, outside the trials
        spikes = [np.r_[times, 1012.1] for times in spikes]
    stop = 1000 + start + 0.5
    found = Trials.from_spike_times(spikes, 1000 + start, stop, bin_ms=10, heldout="none", split="none")
    np.testing.assert_array_equal(found.counts, expected)
