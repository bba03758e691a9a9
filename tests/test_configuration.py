"""Configurations: what a TOML file, a run's config.json or a mapping sets, and what is refused by name."""

import json
import pathlib
import re

import numpy as np
import pytest

from nlbprob.configuration import read_configuration
from nlbprob.data.options import resolve
from nlbprob.errors import InputError
from nlbprob.options import read_table
from nlbprob.run_config import OPTIONS

WHOLE = """
[fit]
seed = [0, 1]
em-iterations = 5
[data]
bin-ms = 5
window_ms = [-100, 200]
[model]
loading-scale = 0.5
"""

DOCS = pathlib.Path(__file__).resolve().parent.parent / "docs"


@pytest.fixture
def write(tmp_path):
    """Write a configuration; returns its path."""

    def call(text, name="run.toml"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return call


def test_each_table_is_read(write):
    found = read_configuration(write(WHOLE))
    assert found.fit == {"seed": [0, 1], "em-iterations": 5}
    assert found.data == {"bin_ms": 5.0, "window_ms": [-100.0, 200.0]}
    assert found.model == {"loading_scale": 0.5}


def test_load_takes_the_file_of_a_whole_run(write):
    options = resolve(write(WHOLE), lag_ms=20)
    assert (options["bin_ms"], options["window_ms"], options["lag_ms"], options["seed"]) == (
        5.0,
        [-100.0, 200.0],
        20.0,
        0,
    )


def test_data_options_may_stand_in_no_table(write):
    assert read_configuration(write("bin-ms = 5\n[model]\ndim = 3\n")).data == {"bin_ms": 5.0}
    found = read_configuration(write("bin-ms = 5\n[data]\nlag-ms = 20\n"))
    assert found.data == {"bin_ms": 5.0, "lag_ms": 20.0}
    assert found.loose == ("bin_ms",)
    assert read_configuration({"bin-ms": np.int64(5), "align": None}).data == {"bin_ms": 5.0}
    assert read_configuration(None).data == {}


def test_a_run_s_own_record_is_a_configuration(write, tmp_path):
    settings = {
        "seed": 3,
        "init": None,
        "model": "poisson_lds",
        "data": "/data/a.nwb",
        "model_options": {"dim": 4},
        "data_options": {"lag_ms": 20.0, "config": {"data": {"bin-ms": 5, "lag-ms": 10}}},
    }
    path = write(json.dumps({"settings": settings, "versions": {}}), "config.json")
    for name in (path, tmp_path):
        found = read_configuration(name)
        assert found.fit == {"seed": 3, "init": None, "model": "poisson_lds", "data": "/data/a.nwb"}
        assert (found.model, found.data) == ({"dim": 4}, {"bin_ms": 5.0, "lag_ms": 20.0})
        assert found.run == tmp_path
        assert resolve(name)["bin_ms"] == 5.0


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("dmi = 3", r"run.toml, \[model\]: .*poisson_lds.py: model\(\) has no option 'dmi'. Did you mean 'dim'"),
        ("dim = 'x'", r"run.toml, \[model\]: dim takes a value of type int.*, not 'x'"),
    ],
)
def test_load_looks_at_the_options_of_the_model_that_is_named(write, model, message):
    data, fit = "[data]\nbin-ms = 5\n", "[fit]\nmodel = 'poisson_lds'\n"
    with pytest.raises(InputError, match=message):
        resolve(write(f"{fit}{data}[model]\n{model}\n"))
    assert resolve(write(f"{data}[model]\n{model}\n"))["bin_ms"] == 5.0  # of a model that is not known here
    assert resolve(write(f"{fit.replace('poisson_lds', './none.py')}{data}[model]\n{model}\n"))["bin_ms"] == 5.0
    with pytest.raises(InputError, match=r"config, \[fit\]: no option of the fit 'sede'. Did you mean 'seed'"):
        resolve({"fit": {"sede": 3}, "bin_ms": 5})


def test_relative_paths_start_beside_the_file(write, tmp_path):
    assert read_configuration(write(WHOLE)).path("a.nwb") == str(tmp_path / "a.nwb")
    assert read_configuration(write(WHOLE)).path("/a.nwb") == "/a.nwb"
    assert read_configuration({"bin_ms": 5}).path("a.nwb") == "a.nwb"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[settings]\nmodel = 'm'", "run.toml: no table 'settings'"),
        ("[modle]\ndim = 3", "run.toml: no table 'modle'. Did you mean 'model'"),
        ("[data]\nbin-sm = 5", r"run.toml, \[data\]: no data option 'bin_sm'. Did you mean 'bin_ms'"),
        ("[data]\nbin-ms = 'wide'", r"run.toml, \[data\]: bin-ms: 'wide' is not a bin width"),
        ("[data]\nbin-ms = inf", r"run.toml, \[data\]: bin-ms: inf is not a bin width"),
        ("[data]\nalign = 2020-01-01", r"\[data\]: align: datetime.date.* is not the name of a trials column"),
        ("[data]\nbin-ms = 5\nbin_ms = 10", r"\[data\]: 'bin_ms' stands there twice"),
        ("[model]\na-b = 5\na_b = 10", r"\[model\]: an option stands there twice"),
        ("bin-ms = 5\n[data]\nbin_ms = 10", r"'bin_ms' stands in \[data\] and outside of it"),
        ("em-iterations = 5", r"no data option 'em-iterations' \(options of the fit stand below \[fit\]"),
        ("bin-ms = -5", "run.toml: bin-ms: -5 is not a bin width"),
        ("[fit]\nsede = 3", r"run.toml, \[fit\]: no option of the fit 'sede'. Did you mean 'seed'"),
        ("[fit]\nseed = 'x'", r"run.toml, \[fit\]: seed: 'x' is not a whole number from 0"),
        ("[fit]\nseed = 3\nscore-no = 'val'", r"run.toml, \[fit\]: no option of the fit 'score_no'. Did you mean 'sc"),
        ("[fit]\ndata = 3", r"run.toml, \[fit\]: data: 3 is not the path of a recording"),
        ("[fit]\nbin-ms = 5", r"run.toml, \[fit\]: no option of the fit 'bin_ms'"),
        ("fit = 3", r"run.toml: fit is not a table; write \[fit\]"),
        ("model = 'poisson_lds'", "run.toml: model is not a table"),
        ("[[data]]\nbin-ms = 5", "run.toml: data is not a table"),
        ("bin-ms = \n", "run.toml: not a TOML file"),
        ("bin-ms = 5\nbin-ms = 5", "run.toml: not a TOML file"),
        ("a = " + "[" * 5000, "run.toml: not a TOML file"),
    ],
)
def test_what_is_wrong_is_named(write, text, message):
    with pytest.raises(InputError, match=message):
        read_configuration(write(text))


def test_what_is_no_configuration_is_named(write, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no file none\.toml"):
        read_configuration("none.toml")
    with pytest.raises(FileNotFoundError, match=r"config\.json; name a TOML file .* or a run's folder"):
        read_configuration(tmp_path)
    for thing in (5, ["a.toml"], b"a.toml"):
        with pytest.raises(InputError, match=f"config: {type(thing).__name__} is no configuration"):
            read_configuration(thing)
    nested = json.dumps({"settings": {"data_options": {"config": {"config": {"bin_ms": 5}}}}})
    for text in (nested, "[1]", '{"settings": 3}', "{", "NaN"):
        with pytest.raises(InputError, match=r"config\.json"):
            read_configuration(write(text, "config.json"))
    (tmp_path / "latin.toml").write_bytes(b"align = '\xe9'")
    with pytest.raises(InputError, match="not a TOML file"):
        read_configuration(tmp_path / "latin.toml")


def test_examples_in_the_documentation_are_configurations(write):
    texts = [page.read_text(encoding="utf-8") for page in DOCS.rglob("*.md")]
    blocks = [block for text in texts for block in re.findall(r"^```toml[^\n]*\n(.*?)^```$", text, re.M | re.S)]
    assert blocks
    for block in blocks:
        found = read_configuration(write(block))
        named = read_table(found.fit, OPTIONS, "[fit]", "option of the fit").get("data")
        assert named == (None if "dataset" in found.data else "recording.nwb")  # `nlbprob run` looks in --data
        assert found.data["bin_ms"] == 5.0
