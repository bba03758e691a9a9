"""The language of `units`: what it means, and what it refuses."""

import numpy as np
import pytest

from nlbprob.data.expressions import evaluate, names
from nlbprob.errors import InputError

COLUMNS = {
    "area": np.array(["MOs", "MOs", "VISp", "CA1"]),
    "rate": np.array([0.1, 5.0, 9.0, np.nan]),
    "id": np.array([1, 2, 3, 4]),
    "good": np.array([True, False, True, True]),
}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('area == "MOs"', [1, 1, 0, 0]),
        ("area != 'MOs' and rate > 0.5", [0, 0, 1, 0]),
        ('area == "MOs" and rate > 0.5', [0, 1, 0, 0]),
        ("rate > 8 or id == 1", [1, 0, 1, 0]),
        ("not good", [0, 1, 0, 0]),
        ("good", [1, 0, 1, 1]),
        ("good == True", [1, 0, 1, 1]),
        ("1 < id <= 3", [0, 1, 1, 0]),
        ("area in ['MOs', 'CA1']", [1, 1, 0, 1]),
        ("id not in (1, 4)", [0, 1, 1, 0]),
        ("rate > -1", [1, 1, 1, 0]),
        ("not (area == 'MOs' or id == 4)", [0, 0, 1, 0]),
    ],
)
def test_expressions_mean_what_they_say(expression, expected):
    np.testing.assert_array_equal(evaluate(expression, COLUMNS), np.array(expected, dtype=bool))


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("aera == 'MOs'", "no column 'aera' .* Did you mean 'area'"),
        ("area ==", "is not an expression"),
        ("id", "is not true or false of a unit"),
        ("1 < 2", "is not true or false of a unit"),
        ("__import__('os').getcwd()", "is not allowed"),
        ("id.__class__", "is not allowed"),
        ("id + 1 == 2", "is not allowed"),
        ("area == 3", "is not allowed"),
        ("id in area", "is not allowed"),
        ("id in ['a']", "is not allowed"),
        ("id in [1, 'a']", "is not allowed"),
        ("[1, 2] == id", "is not allowed"),
        ("id == [1, 2, 3, 4]", "is not allowed"),
        ("id and good", "is not allowed"),
        ("not id", "is not allowed"),
        ("-area == 'a'", "is not allowed"),
        ("id == None", "is not allowed"),
        ("id is 3", "is not allowed|is not an expression"),
        ("(lambda: good)()", "is not allowed"),
    ],
)
@pytest.mark.filterwarnings("ignore:\"is\" with 'int' literal:SyntaxWarning")
def test_anything_else_is_refused(expression, message):
    with pytest.raises(InputError, match=f"units: .*{message}|units: .*({message})"):
        evaluate(expression, COLUMNS)


ODD = COLUMNS | {
    "brain area": COLUMNS["area"],
    "firing-rate": COLUMNS["rate"],
    "2nd": COLUMNS["id"],
    "class": COLUMNS["area"],
    "a`b": COLUMNS["good"],
    "_quoted0": COLUMNS["good"],
}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("`brain area` == 'MOs'", [1, 1, 0, 0]),
        ("`firing-rate` > 0.5 and `brain area` == 'MOs'", [0, 1, 0, 0]),
        ("`2nd` in [1, 4] or `class` == 'VISp'", [1, 0, 1, 1]),
        ("not `a``b`", [0, 1, 0, 0]),
        ("`area` == 'MOs'", [1, 1, 0, 0]),
        ("_quoted0 and `brain area` == 'MOs'", [1, 0, 0, 0]),
        ("area != '`brain area`'", [1, 1, 1, 1]),
    ],
)
def test_any_column_can_be_named_in_backquotes(expression, expected):
    np.testing.assert_array_equal(evaluate(expression, ODD), np.array(expected, dtype=bool))


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("brain area == 'MOs'", "is not an expression .* in backquotes: '`brain area` == "),
        ("firing-rate > 3", "'firing - rate' .* is not allowed; .* and backquotes: `firing-rate`"),
        ("brain_area == 'MOs'", "no column 'brain_area' .* Did you mean 'brain area'.* stand in backquotes"),
        ("`brain  area` == 'MOs'", "no column 'brain  area'"),
        ("`brain area == 'MOs'", "is not an expression"),
        ("`brain area` + 1 == 3", "'`brain area` \\+ 1' .* is not allowed"),
        ("(" * 1000 + "id" + ")" * 1000, "is not an expression"),
        ("not " * 20000 + "good", "is not an expression|nested too deep"),
        ("id == 1\0", "is not an expression"),
    ],
)
def test_what_is_wrong_with_a_name_is_told(expression, message):
    with pytest.raises(InputError, match=message):
        evaluate(expression, ODD)


def test_the_columns_of_an_expression():
    assert sorted(names("`brain area` == 'rate' and id in [1]")) == ["brain area", "id"]
