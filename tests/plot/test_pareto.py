"""The figure of the Pareto front shows its numbers."""

import numpy as np
import pytest
from matplotlib.figure import Figure

import nlbprob as nlb
from nlbprob import plot
from nlbprob.parsimony.front import FrontEntry, front_of
from nlbprob.plot import style


def entry(name, bits, dimension, dynamics, interval=None):
    measures = {"effective_dimension": dimension, "few_shot": bits / 2}
    return FrontEntry(name, bits, interval, "test", 5.0, dynamics, measures=measures)


@pytest.fixture
def front():
    fits = [
        entry("lds", 0.2, 3.0, "linear", (0.18, 0.22)),
        entry("own", 0.3, 6.0, "templates"),
        entry("x", 0.1, 5.0, "linear"),
    ]
    return front_of(fits, "mc_maze")


def dots(axes, color):
    return [
        tuple(line.get_xydata()[0]) for line in axes.lines if line.get_marker() == "o" and line.get_color() == color
    ]


def test_fits_stand_at_their_measures_and_published_entries_at_their_class(front):
    given = [Figure().add_subplot() for _ in range(2)]
    above, below = plot.pareto(front, given)
    assert [above, below] == given
    assert dots(above, style.MODEL) == [(0.2, 3.0), (0.3, 6.0), (0.1, 5.0)]
    filled = [line.get_markerfacecolor() != "none" for line in above.lines if line.get_marker() == "o"]
    assert filled == [True, True, False]
    (bar,) = (line for line in above.lines if list(line.get_xdata()) == [0.18, 0.22])
    assert list(bar.get_ydata()) == [3.0, 3.0]
    assert above.yaxis_inverted()
    rows = dict(zip((label.get_text() for label in below.get_yticklabels()), below.get_yticks(), strict=True))
    assert list(rows) == [
        "smoothing",
        "linear",
        "templates",
        "switching linear",
        "recurrent network",
        "transformer",
        "not stated",
    ]
    gray = {tuple(line.get_ydata()): line.get_xdata() for line in below.lines if line.get_color() == style.MUTED}
    linear = [each.co_bps for each in front.published if each.dynamics == "linear"]
    np.testing.assert_array_equal(gray[rows["linear"],], linear)
    texts = {text.get_text(): text.xy[1] for text in below.texts}
    assert texts["MINT"] == rows["templates"]
    assert "AutoLFADS" not in texts  # another of its class is better
    assert abs(texts["2"] - rows["templates"]) < 0.5


def test_more_is_up_where_more_is_better(front):
    above, _ = plot.pareto(front, measure="few_shot")
    assert not above.yaxis_inverted()
    assert dots(above, style.MODEL)[:3] == [(0.2, 0.1), (0.3, 0.15), (0.1, 0.05)]
    legend = above.figure.legends[0]
    assert [text.get_text() for text in legend.get_texts()] == ["1  lds", "2  own", "3  x"]


def test_without_published_entries_fits_are_drawn_alone(front):
    above, below = plot.pareto(nlb.Front(front.fits), measure="stability")
    assert not dots(above, style.MODEL)[3:]
    assert {label.get_text() for label in below.get_yticklabels()} == {"linear", "templates"}
    with pytest.raises(nlb.InputError, match="Did you mean 'stability'"):
        plot.pareto(front, measure="stabilty")
    with pytest.raises(nlb.InputError, match="plot.pareto: front is of type list: give what nlb.pareto returned"):
        plot.pareto([1])


def test_a_value_outside_its_interval_is_in_sight():
    """Intervals of bits per spike are free of a bias that their values have."""
    alone = nlb.Front([entry("a", 0.1, 3.0, "linear", (0.2, 0.3))])
    for axes in plot.pareto(alone):
        low, high = axes.get_xlim()
        assert low < 0.1
        assert high > 0.3
