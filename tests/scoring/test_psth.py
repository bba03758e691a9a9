import numpy as np
import pytest

from nlbprob.errors import InputError
from nlbprob.scoring.psth import psth_target
from nlbprob.scoring.smoothing import smooth


def smooth_by_loop(counts, seen, sd):
    out = np.full(counts.shape, np.nan)
    reach = int(4 * sd + 0.5)
    for i, t, n in np.ndindex(counts.shape):
        near = [u for u in range(counts.shape[1]) if abs(u - t) <= reach and seen[i, u, n]]
        weights = np.array([np.exp(-0.5 * ((u - t) / sd) ** 2) for u in near])
        if near:
            out[i, t, n] = weights @ counts[i, near, n] / weights.sum()
    return out


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("sd", [0.6, 1.0, 2.5])
def test_smoothing_leaves_out_what_is_not_seen(sd, together):
    generator = np.random.default_rng(0)
    counts = generator.poisson(2.0, size=(3, 15, 4))
    seen = np.broadcast_to(generator.random((3, 15, 1 if together else 4)) > 0.4, counts.shape).copy()
    seen[1] = False
    expected = smooth_by_loop(counts, seen, sd)
    np.testing.assert_allclose(smooth(counts, seen, sd), expected, atol=1e-12)
    np.testing.assert_array_equal(smooth(np.where(seen, counts, 99), seen, sd), smooth(counts, seen, sd))


def test_a_constant_stays_constant_at_the_edges():
    np.testing.assert_allclose(smooth(np.full((1, 9, 1), 3), np.ones((1, 9, 1), dtype=bool), 4.0), 3.0)


def test_the_target_averages_smoothed_trials_of_each_condition(make_trials):
    trials, _ = make_trials(forward_bins=6)
    target, members = psth_target(trials, sd_ms=30.0)
    assert target.shape == (2, 24, 10)
    for condition in (0, 1):
        own = np.flatnonzero(trials.table["condition"] == condition)
        np.testing.assert_array_equal(members[condition], own)
        smoothed = smooth_by_loop(trials.counts[own, :24], trials.seen[own, :24], 1.5)
        np.testing.assert_allclose(target[condition], smoothed.mean(axis=0))


def test_short_trials_are_dropped_and_bins_beyond_the_shortest_are_nan(make_trials):
    trials, _ = make_trials()
    ends = np.full(20, 30)
    ends[[0, 2]] = 27, 10
    seen = np.broadcast_to((np.arange(30) < ends[:, None])[..., None], trials.seen.shape)
    target, members = psth_target(trials.replace(seen=seen.copy()))
    assert 2 not in members[0]
    assert 0 in members[0]
    assert np.isnan(target[0, 27:]).all()
    assert np.isfinite(target[0, :27]).all()
    assert np.isfinite(target[1]).all()


def test_unseen_entries_change_nothing_and_a_neuron_never_seen_leaves_no_target(make_trials):
    trials, _ = make_trials()
    seen = trials.seen.copy()
    seen[3, 5:9, 2] = False
    other = np.where(seen, trials.counts, 200).astype(np.uint8)
    np.testing.assert_array_equal(psth_target(trials.replace(seen=seen))[0],
                                  psth_target(trials.replace(seen=seen, counts=other))[0])  # fmt: skip
    seen[trials.table["condition"] == 1, :, 0] = False
    target, members = psth_target(trials.replace(seen=seen))
    assert np.isnan(target[1]).all()
    assert len(members[1]) == 0
    seen[trials.table["condition"] == 0] = False
    assert [len(own) for own in psth_target(trials.replace(seen=seen))[1]] == [0, 0]


def test_no_condition_is_refused(make_trials):
    with pytest.raises(InputError, match="no trial has one"):
        psth_target(make_trials(condition=())[0])
