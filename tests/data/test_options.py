"""Options: defaults, a TOML file over them, arguments over both."""

import json

import numpy as np
import pytest

from nlbprob.data.options import of_dataset, resolve
from nlbprob.errors import InputError
from nlbprob.options import DATA


def test_defaults_are_json():
    options = resolve(bin_ms=5)
    assert set(options) == set(DATA)
    assert json.loads(json.dumps(options)) == options
    assert (options["bin_ms"], options["align"], options["condition"]) == (5.0, "start_time", [])


def test_numpy_numbers_become_plain_ones():
    options = resolve(bin_ms=np.float32(5), seed=np.int64(3), window_ms=np.array([-100, 200]))
    assert json.loads(json.dumps(options)) == options
    assert (options["seed"], options["window_ms"]) == (3, [-100.0, 200.0])


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ({"bin_ms": np.float32(5)}, 5.0),
        ({"bin_ms": np.int8(5)}, 5.0),
        ({"bin_ms": np.array(5)}, 5.0),
        ({"lag_ms": np.float16(-20)}, -20.0),
        ({"seed": np.uint64(3)}, 3),
        ({"seed": np.array(3)}, 3),
        ({"join": np.True_}, True),
        ({"align": np.str_("go")}, "go"),
        ({"condition": np.array(["a", "b"])}, ["a", "b"]),
        ({"window_ms": range(0, 200, 100)}, [0.0, 100.0]),
    ],
)
def test_numbers_of_numpy_are_taken_as_python_s_own(given, read):
    ((option, _),) = given.items()
    found = resolve(**({"bin_ms": 5} | given))[option]
    assert found == read
    assert json.loads(json.dumps(found)) == read
    assert type(found) is type(read)


def test_a_file_sets_options_and_arguments_win(tmp_path):
    file = tmp_path / "data.toml"
    file.write_text('bin-ms = 5\nwindow_ms = [-250, 450]\ncondition = ["side"]\nlag-ms = 100\njoin = true\n')
    options = resolve(file, bin_ms=20, condition=None)
    assert (options["bin_ms"], options["window_ms"], options["lag_ms"]) == (20.0, [-250.0, 450.0], 100.0)
    assert (options["condition"], options["join"]) == (["side"], True)


def test_options_may_stand_in_a_data_table(tmp_path):
    file = tmp_path / "run.toml"
    file.write_text("[data]\nbin-ms = 5\n[model]\ndim = 12\n")
    assert resolve(file)["bin_ms"] == 5.0
    assert resolve({"bin-ms": 10})["bin_ms"] == 10.0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "bin_ms: None is not a bin width; give a positive number"),
        ({"bin_ms": 0}, "bin_ms: 0 is not a bin width"),
        ({"bin_ms": -5}, "bin_ms: -5 is not"),
        ({"bin_ms": "5"}, "bin_ms: '5' is not"),
        ({"bin_ms": True}, "bin_ms: True is not"),
        ({"bin_ms": np.nan}, "bin_ms: nan is not"),
        ({"bin_ms": 5, "forward_ms": -1}, "forward_ms: -1 is not"),
        ({"bin_ms": 5, "chunk_ms": 0}, "chunk_ms: 0 is not"),
        ({"bin_ms": 5, "window_ms": [1, 2, 3]}, "window_ms: .* two numbers"),
        ({"bin_ms": 5, "window_ms": 100}, "window_ms: 100 is not"),
        ({"bin_ms": 5, "condition": [3]}, "condition: .* names of trials columns"),
        ({"bin_ms": 5, "heldout": 3}, "heldout: 3 is not the name"),
        ({"bin_ms": 5, "join": "yes"}, "join: 'yes' is not true or false"),
        ({"bin_ms": 5, "seed": 0.5}, "seed: 0.5 is not a whole number"),
        ({"bin_ms": 10**400}, "bin_ms: 10+... is not a bin width"),
        ({"bin_ms": 5j}, "bin_ms: 5j is not"),
        ({"bin_ms": np.array([5.0])}, "bin_ms: array.* is not"),
        ({"bin_ms": np.True_}, "bin_ms: np.True_ is not"),
        ({"bin_ms": 5, "join": 1}, "join: 1 is not true or false"),
        ({"bin_ms": 5, "seed": -1}, "seed: -1 is not a whole number from 0 to 4294967295"),
        ({"bin_ms": 5, "seed": 2**32}, "seed: 4294967296 is not a whole number"),
        ({"bin_ms": 5, "seed": True}, "seed: True is not a whole number"),
        ({"bin_ms": 5, "condition": {"side": 1}}, "condition: .* names of trials columns"),
        ({"bin_ms": 5, "align": ""}, "align: '' is not the name of a trials column"),
        ({"bin_ms": 5, "behaviour": "hand"}, "no data option 'behaviour'. Did you mean 'behavior'"),
    ],
)
def test_wrong_options_are_named(given, message):
    with pytest.raises(InputError, match=message):
        resolve(**given)


def test_wrong_files_are_named(tmp_path):
    file = tmp_path / "data.toml"
    with pytest.raises(FileNotFoundError, match="there is no file .*data.toml"):
        resolve(file)
    file.write_text("bin-ms = \n")
    with pytest.raises(InputError, match="data.toml: not a TOML file"):
        resolve(file)
    file.write_text("bin-sm = 5\n")
    with pytest.raises(InputError, match="data.toml: no data option 'bin-sm'.* Did you mean 'bin_ms'"):
        resolve(file)
    file.write_text("data = 5\n")
    with pytest.raises(InputError, match="data.toml: data is not a table"):
        resolve(file)


def test_what_the_benchmark_fixes_is_refused():
    options = resolve(bin_ms=5, dataset="mc_maze_small")
    assert of_dataset(options) == {"dataset": "mc_maze_small", "bin_ms": 5.0, "phase": "val", "seed": 0}
    with pytest.raises(InputError, match="lag_ms: the benchmark fixes it for mc_maze_small"):
        of_dataset(resolve(bin_ms=5, dataset="mc_maze_small", lag_ms=3))
