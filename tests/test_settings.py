"""A run's settings: what may stand in them, and what they read."""

import dataclasses
import json
import pathlib

import numpy as np
import pytest

from nlbprob.errors import InputError
from nlbprob.settings import Settings, session_names


def test_numbers_of_numpy_are_taken_and_the_record_is_json():
    given = {
        "model": np.str_("poisson_lds"),
        "data": pathlib.Path("a.nwb"),
        "model_options": {"dim": 4},
        "data_options": {"bin_ms": np.float32(5), "condition": "side"},
        "seed": np.arange(2),
        "em_iterations": np.int64(3),
        "svi_steps": np.array(0),
        "early_stopping": np.float64(0.1),
        "draws": np.uint8(5),
        "shared": np.bool_(True),
    }
    settings = Settings.of_run(given, "config.json")
    plain = Settings(
        "poisson_lds",
        "a.nwb",
        {"dim": 4},
        {"bin_ms": 5.0, "condition": ["side"]},
        seed=[0, 1],
        em_iterations=3,
        svi_steps=0,
        early_stopping=0.1,
        draws=5,
        shared=True,
    )
    assert settings == plain
    record = json.loads(json.dumps(dataclasses.asdict(settings)))
    assert Settings.of_run(record, "config.json") == plain
    assert settings.fit_options == {
        "seed": [0, 1],
        "posterior": "neuron",
        "em_iterations": 3,
        "svi_steps": 0,
        "precision": "float32",
        "early_stopping": 0.1,
    }


def test_options_that_are_not_set_have_their_defaults():
    assert Settings("m", ["a.nwb"], seed=[7], init=None) == Settings("m", "a.nwb", seed=7)
    assert Settings("m", "a.nwb", fit_on="train+val").splits == (("train", "val"), ("val",))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"seed": -1}, "seed: -1 is not a whole number from 0 to 4294967295"),
        ({"seed": [0, 0]}, r"seed: \[0, 0\] is not"),
        ({"draws": 0}, "draws: 0 is not a whole number, 1 or more"),
        ({"init": ""}, "init: '' is not the folder of a run"),
        ({"model_options": {"scale": float("inf")}}, "option scale is inf, which config.json cannot hold"),
        ({"model_options": {"scale": object()}}, "option scale is <object"),
        ({"data_options": {"bin-sm": 5}}, "no data option 'bin_sm'. Did you mean 'bin_ms'"),
    ],
)
def test_what_is_wrong_is_named(given, message):
    with pytest.raises(InputError, match=message):
        Settings("m", "a.nwb", **given)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (None, "'settings' is no table"),
        ([], "'settings' is no table"),
        ({}, "the settings do not name the model"),
        ({"model": "m"}, "the settings do not name the data"),
        ({"model": "m", "data": "a.nwb", "sead": 3}, "no setting 'sead'. Did you mean 'seed'"),
        ({"model": "m", "data": "a.nwb", "data_options": 3}, "data is not a table"),
        ({"model": 3, "data": "a.nwb"}, "model: 3 is not the name of a model"),
    ],
)
def test_a_damaged_record_is_named(record, message):
    with pytest.raises(InputError, match=f"run/config.json.*{message}"):
        Settings.of_run(record, "run/config.json")


def test_sessions_have_the_names_of_their_files():
    assert session_names(["a/one.nwb", "b/two.nwb"]) == ["one", "two"]
    assert session_names(["x/a/one.nwb", "x/b/one.nwb"]) == ["a-one", "b-one"]
    assert session_names(["a+b.nwb", "c\x1b.nwb", "folder.v1"]) == ["a-b", "c-", "folder.v1"]
    with pytest.raises(InputError, match=r"one.nwb is named twice"):
        session_names(["a/one.nwb", "b/two.nwb", "a/../a/one.nwb"])
