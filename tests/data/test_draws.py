"""What is drawn: how many, from which strata, and the same again for the same seed."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nlbprob.data.draws import draw_heldout, draw_split, stratified


@settings(max_examples=50, deadline=None)
@given(
    strata=st.lists(st.integers(-1, 4), min_size=1, max_size=60),
    share=st.sampled_from([0.2, 0.25, 0.5]),
    seed=st.integers(0, 99),
)
def test_every_stratum_gives_its_share(strata, share, seed):
    strata = np.array(strata)
    taken = stratified(strata, share, np.random.default_rng(seed))
    assert len(strata) == 1 or taken.any()
    assert not taken.all()
    for members in [strata == stratum for stratum in np.unique(strata)] + [np.ones(len(strata), dtype=bool)]:
        assert abs(taken[members].sum() - share * members.sum()) < 1 + 1e-6


def test_a_quarter_of_each_area_is_held_out():
    area = np.repeat(["MOs", "VISp", "CA1"], [40, 20, 4])
    heldout = draw_heldout(area, 64, 0)
    assert [heldout[area == name].sum() for name in ("MOs", "VISp", "CA1")] == [10, 5, 1]
    np.testing.assert_array_equal(heldout, draw_heldout(area, 64, 0))
    assert (heldout != draw_heldout(area, 64, 1)).any()
    assert draw_heldout(None, 64, 0).sum() == 16


def test_a_fifth_of_each_condition_validates():
    condition = np.repeat([-1, 0, 1], [5, 50, 25])
    split = draw_split(condition, 7)
    assert [(split[condition == value] == "val").sum() for value in (-1, 0, 1)] == [1, 10, 5]
    assert set(split) == {"train", "val"}
