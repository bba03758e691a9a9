"""A model's options are read from its source."""

import dataclasses

import pytest

from nlbprob.errors import InputError
from nlbprob.model_file import find_model, load_model

SOURCE = '''"""A module."""
import dataclasses
from typing import Literal

raise_when_run = 1 / __import__("os").environ.get("NLBPROB_NEVER_SET", 1)

@dataclasses.dataclass
class Made:
    values: "dict"

def model(
    *,
    dim: int = 12,  # number of latents
    rate=0.5,
    link: Literal["exp", "softplus"] = "exp",
    sparse: bool = False,
    decay_ms: float | None = None,  # None: learned
    dims: tuple[int, ...] = (8, 2),
    scale=1 / 3,
    label="a",
):
    """Two readable lines.

    rate: what it says here.
    """
    return Made(locals())
'''


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(SOURCE)
    return file


def test_options_are_read_from_the_source(path):
    file = find_model(str(path))
    assert file.name == "mine"
    assert file.help == "Two readable lines."
    kinds = {name: option.kind for name, option in file.options.items()}
    assert kinds == {
        "dim": "int", "rate": "float", "link": "choice", "sparse": "bool", "decay_ms": "float", "dims": "literal",
        "scale": "literal", "label": "str",
    }  # fmt: skip
    assert file.options["dim"].help == "number of latents"
    assert file.options["rate"].help == "what it says here."
    assert file.options["scale"].default == "1 / 3"
    assert file.options["scale"].default_value == "1 / 3"
    assert file.options["dims"].default_value == (8, 2)


def test_text_becomes_values_and_the_model_is_built_with_them(path):
    given = {"dim": "16", "rate": "2", "sparse": "true", "decay_ms": "none", "dims": "(3,)", "link": "softplus"}
    values = find_model(str(path)).parse(given, {"dim": 3, "scale": 2.0, "label": "b"})
    expected = {"dim": 16, "rate": 2.0, "sparse": True, "decay_ms": None, "dims": (3,), "link": "softplus"}
    expected |= {"scale": 2.0, "label": "b"}
    assert values == expected
    made = load_model(str(path), **values)
    assert dataclasses.asdict(made) == {"values": expected}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"dmi": "3"}, "no option 'dmi'. Did you mean 'dim'"),
        ({"dim": "3.5"}, "dim takes a value of type int, not '3.5'"),
        ({"sparse": "maybe"}, "sparse takes true or false"),
        ({"link": "log"}, "link takes exp or softplus"),
        ({"decay_ms": "x"}, "decay_ms takes a value of type float or none"),
        ({"dims": "(3"}, "dims takes a value as Python writes it"),
    ],
)
def test_options_that_do_not_fit(path, given, message):
    with pytest.raises(InputError, match="^.*" + message.replace("(", r"\(")):
        find_model(str(path)).parse(given)
    with pytest.raises(InputError, match="no option 'dmi'"):
        load_model(str(path), dmi=3)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def model(:", "mine.py, line 1: not valid Python"),
        ("x = 1", "defines no function `model`"),
        ("def model(trials, dim=3): ...", "keyword arguments only"),
        ("def model(**options): ...", "keyword arguments only"),
    ],
)
def test_files_that_are_no_model(path, source, message):
    path.write_text(source)
    with pytest.raises(InputError, match=message):
        find_model(str(path))


def test_an_option_without_default_must_be_given(path):
    path.write_text("def model(*, dim: int): return dim")
    with pytest.raises(InputError, match="needs a value for dim"):
        find_model(str(path)).parse({})
    assert find_model(str(path)).parse({"dim": "3"}) == {"dim": 3}


def test_names_that_are_no_model(tmp_path):
    with pytest.raises(InputError, match="No model is called 'poison_lds'. Did you mean 'poisson_lds'"):
        find_model("poison_lds")
    with pytest.raises(FileNotFoundError, match="There is no model file"):
        find_model(str(tmp_path / "none.py"))
