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

    def __call__(self, trials):
        return None

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


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = 1\n1 / 0\ndef model(): ...", "mine.py, line 2: ZeroDivisionError: division by zero"),
        ("def model():\n    return {}['dim']", "mine.py, line 2: KeyError: 'dim'"),
        ("import sys\ndef model():\n    sys.exit('gone')", "mine.py, line 3: SystemExit: gone"),
        ("import none_such\ndef model(): ...", "mine.py, line 1: ModuleNotFoundError: No module named 'none_such'"),
        ("return 1\ndef model(): ...", "mine.py, line 1: SyntaxError: 'return' outside function"),
        ("def model():\n    raise ValueError('a\\nb\\x1b[2Jc')", r"line 2: ValueError: a b\\x1b\[2Jc"),
        ("def model():\n    raise ValueError('long' * 999)", r"line 2: ValueError: (long)+\.\.\.$"),
        (
            "import nlbprob as nlb\ndef model():\n    return nlb.Model([nlb.LDS(0)])",
            r"line 3: LDS\(dim=0\).*at least 1",
        ),
        ("def model(): ...", "mine.py: model\\(\\) returns None; return an nlb.Model"),
        ("def model():\n    return {}", "returns something of type dict; return an nlb.Model"),
        ("def model():\n    return dict", "returns something the class dict"),
        ("def model(): ...\nmodel = 3", "no longer stands for a function"),
    ],
)
def test_errors_of_a_model_file_are_told_in_one_line_with_its_line(path, source, message):
    path.write_text(source)
    with pytest.raises(InputError, match=message) as told:
        load_model(str(path))
    assert "\n" not in str(told.value)
    assert str(told.value).isprintable()


def test_an_interrupted_model_file_is_interrupted(path):
    path.write_text("def model():\n    raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        load_model(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"x = 1\0\ndef model(): ...", "not valid Python"),
        (b"# caf\xe9\ndef model(): ...", "mine.py.*not valid Python"),
        (b"x = " + b"(" * 5000 + b")" * 5000 + b"\ndef model(): ...", "mine.py.*not valid Python"),
        (b"def model(*, dim: 'int |' = 3): ...", "not valid Python"),
        (b"def model(*, dim: 'Literal[x]' = 3): ...", "not valid Python"),
    ],
    ids=["a null byte", "another encoding", "deep", "an annotation", "a choice"],
)
def test_files_that_are_no_python(path, content, message):
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as told:
        find_model(str(path))
    assert "\n" not in str(told.value)


def test_a_file_in_the_encoding_that_it_declares(path):
    path.write_bytes(b"# coding: latin-1\ndef model(*, dim=3):  # caf\xe9\n    return lambda trials: dim")
    assert find_model(path).options["dim"].help == "caf\u00e9"
    assert load_model(path)(None) == 3


def test_of_two_definitions_the_options_are_those_of_the_one_that_runs(path):
    path.write_text("def model(*, dim=3): ...\ndef model(*, size=4):\n    return lambda trials: size")
    assert list(find_model(path).options) == ["size"]
    assert load_model(path, size=5)(None) == 5


def test_help_of_a_file_writes_nothing_to_a_terminal(path):
    path.write_text('def model(*, dim=3):  # a\x1b[2Jb\n    """Help\x1b[31m.\n\n    dim: c\x07d\n    """')
    file = find_model(path)
    assert (file.help, file.options["dim"].help) == (r"Help\x1b[31m.", r"a\x1b[2Jb")
