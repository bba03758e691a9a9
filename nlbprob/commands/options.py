"""Options as flags, and the settings of a run from flags, over a configuration, over the defaults."""

import argparse
from collections.abc import Mapping
from typing import Any

from nlbprob.configuration import Configuration, read_configuration
from nlbprob.errors import InputError
from nlbprob.model_file import is_path
from nlbprob.options import DATA, Option, flag, read_table, read_value
from nlbprob.resources import model_names
from nlbprob.run_config import OPTIONS

#: Options of a run that are given by place.
BY_PLACE = ("model", "data")
#: What `dest` begins with for the options of `load`, of which one has a name that the fit has, too.
OF_DATA = "data_"


def add_options(group: Any, options: Mapping[str, Option], prefix: str = "") -> None:
    """Add a flag for each option; None where it is not given.

    Args:
        group: a parser, or a group of arguments.
        options: by name.
        prefix: of the attributes that hold the values.
    """
    for name, option in options.items():
        settings: dict[str, Any] = {"dest": prefix + name, "help": option.help}
        if option.read is flag:
            settings |= {"action": "store_const", "const": True}
        else:
            settings |= {"type": option.text, "metavar": option.metavar}
        if option.several:
            settings["action"] = "append"
            settings["metavar"] = f"{option.metavar} ..." if option.text is int else option.metavar
        if isinstance(option.metavar, tuple):
            settings["nargs"] = len(option.metavar)
        group.add_argument(flag_of(name, option), **settings)


def flag_of(name: str, option: Option) -> str:
    """The flag of an option."""
    return "--" + (option.flag or name.replace("_", "-"))


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add the configuration."""
    parser.add_argument(
        "--config", metavar="FILE", help="TOML file with [fit], [data] and [model], or an earlier RUN; flags come first"
    )


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """Add how to read the recording."""
    add_options(parser.add_argument_group("how to read the recording"), DATA, OF_DATA)


def given(arguments: argparse.Namespace, options: Mapping[str, Option], prefix: str = "") -> dict[str, Any]:
    """The values that flags give, by option. Raises InputError where one is of the wrong kind."""
    words = {name: getattr(arguments, prefix + name, None) for name in options}
    return {
        name: read_value(value, options[name], flag_of(name, options[name]))
        for name, value in words.items()
        if value is not None
    }


def values_of(arguments: argparse.Namespace, options: Mapping[str, Option]) -> dict[str, Any]:
    """The values of all options: those that flags give, else the defaults."""
    return {name: option.default for name, option in options.items()} | given(arguments, options)


def data_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """The keyword arguments of `nlbprob.load` that flags give."""
    return given(arguments, DATA, OF_DATA)


def configured(arguments: argparse.Namespace) -> tuple[dict[str, Any], Configuration]:
    """Keywords of `Settings` from flags and from the configuration, without those of the model, and the configuration.

    Raises:
        InputError: a table, an option or a value is wrong, or no model or recording is named.
    """
    config = read_configuration(arguments.config)
    if "seed" in config.loose:
        raise InputError(f"{config.where}: seed stands in no table; write it below [fit], or below [data].")
    values = read_table(config.fit, OPTIONS, f"{config.where}, [fit]", "option of the fit")
    if "init" in values:
        values["init"] = config.path(values["init"])
    words = [word for word in (arguments.model, *arguments.data) if word is not None]
    values |= sources(words, values, config)
    values |= given(arguments, {name: option for name, option in OPTIONS.items() if name not in BY_PLACE})
    return values | {"data_options": {**config.data, **data_options(arguments)}}, config


def sources(words: list[str], values: Mapping[str, Any], config: Configuration) -> dict[str, Any]:
    """The model and the recordings, from the words of the command line, else from the configuration.

    Where the configuration names a model, words of which the first names none are recordings.
    """
    named = bool(words) and ("model" not in values or names_model(words[0]))
    model = words[0] if named else values.get("model")
    data: Any = words[1:] if named else words
    if not named and model is not None and is_path(model):
        model = config.path(model)
    if not data and "data" in values:
        named_data = values["data"]
        data = config.path(named_data) if isinstance(named_data, str) else [config.path(path) for path in named_data]
    if not model:
        raise InputError("MODEL is missing: name it, or model below [fit] in the file of --config.")
    if not data:
        raise InputError(
            f"DATA is missing after the MODEL {model}: name it, or data below [fit] in the file of --config."
        )
    return {"model": model, "data": data}


def names_model(word: str) -> bool:
    """Whether a word is the name of a model that comes with nlbprob, or of a model file."""
    return word.endswith(".py") or word in model_names()
