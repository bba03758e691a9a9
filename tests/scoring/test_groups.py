import numpy as np
import pytest

from nlbprob.errors import InputError
from nlbprob.scoring.evaluate import evaluate
from nlbprob.scoring.groups import GROUPS, parse_group, unknown
from tests.scoring.files import draw


@pytest.mark.parametrize(
    ("name", "right", "width"),
    [
        ("mc_maze_5", "mc_maze", 5),
        ("mc_maze_5ms", "mc_maze", 5),
        ("mc_maze_small_5.0", "mc_maze_small", 5),
        ("MC_Maze", "mc_maze", 5),
        ("mc-rtt-20", "mc_rtt_20", 20),
        ("area2_bump_20_ms", "area2_bump_20", 20),
        ("dmfc_rsg_20.0", "dmfc_rsg_20", 20),
        ("mc_maze_20_split", "mc_maze_20", 20),
        (" mc_maze_large ", "mc_maze_large", 5),
    ],
)
def test_a_group_that_is_meant_is_named(name, right, width):
    assert unknown(name) == f"{name!r}: call the group of {width} ms bins {right!r}."
    with pytest.raises(InputError, match=f"call the group of {width} ms bins '{right}'"):
        parse_group(name)


@pytest.mark.parametrize(("name", "width"), [("mc_maze_10", "10"), ("mc_rtt_2.5", "2.5"), ("mc_rtt_0", "0")])
def test_another_bin_width_is_named(name, width):
    assert unknown(name) == f"{name!r}: the benchmark evaluates bins of 5 and 20 ms, not of {width} ms."


def test_any_other_name_gets_the_closest_one():
    assert "'mc_mase' is no data set of the benchmark. Did you mean 'mc_maze'?" in unknown("mc_mase")
    for name in ("", "5", "reach_20", "mc_maze_" + "9" * 500, "\x1b[2J\u202e"):
        said = unknown(name)
        assert "is no data set of the benchmark" in said
        assert said.isprintable()
        assert len(said) < 500
    assert all(parse_group(group) == GROUPS[group] for group in GROUPS)


def test_messages_about_groups_and_text():
    rates, _, targets = draw("mc_maze_20")
    with pytest.raises(InputError, match="'mc_maze_5': call the group of 5 ms bins 'mc_maze'"):
        evaluate({"mc_maze_5": rates}, {"mc_maze_20": targets})
    with pytest.raises(InputError, match="the submission: mc_maze_20: eval_rates_heldout holds text, not numbers"):
        evaluate({"mc_maze_20": rates | {"eval_rates_heldout": np.array([b"a", b"b"])}}, {"mc_maze_20": targets})
