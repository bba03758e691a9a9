"""The options of `load`: their defaults, and how a configuration and arguments set them."""

import os
from collections.abc import Mapping
from typing import Any

from nlbprob.configuration import check_model, read_configuration
from nlbprob.errors import InputError
from nlbprob.options import DATA, known, read_value

#: What is left to choose where a data set of the benchmark is named.
OF_DATASET = ("dataset", "bin_ms", "phase", "seed")


def resolve(config: str | os.PathLike | Mapping[str, Any] | None = None, **in_call: Any) -> dict[str, Any]:
    """Every option of `load` with its value, JSON-able: what is given (not None), else the config's, else the default.

    Args:
        config: a TOML file, a run's folder or its config.json, or a mapping, whose keys (or those of its table [data])
            are options, in kebab or snake case. Its tables [fit] and [model] are for `nlbprob fit`,
            and only looked at.
        **given: values by option.

    Raises:
        InputError: an option is unknown or has a value of the wrong kind.
        FileNotFoundError: there is no such file.
    """
    found = read_configuration(config)
    check_model(found)
    values: dict[str, Any] = dict.fromkeys(DATA) | dict(found.data)
    values |= {
        known(option, DATA, "load", "data option"): value for option, value in in_call.items() if value is not None
    }
    options = {option: cleaned(option, value) for option, value in values.items()}
    if options["phase"] is not None and options["dataset"] is None:
        raise InputError("phase: only the benchmark's data sets have phases; name one (dataset), or leave it out.")
    return options


def of_dataset(options: Mapping[str, Any]) -> dict[str, Any]:
    """What is left to choose of a data set of the benchmark: its name, bin_ms, phase and seed.

    Args:
        options: as `resolve` returns them.

    Raises:
        InputError: another option is set, since the benchmark fixes it.
    """
    for option, value in options.items():
        if option not in OF_DATASET and value != cleaned(option, None):
            raise InputError(f"{option}: the benchmark fixes it for {options['dataset']}; leave out one of the two.")
    return {option: options[option] or "val" if option == "phase" else options[option] for option in OF_DATASET}


def cleaned(option: str, value: Any) -> Any:
    """A value in its JSON type, the default for None.

    Raises:
        InputError: it is of the wrong kind, or there is no bin width.
    """
    declared = DATA[option]
    value = declared.default if value is None else value
    return None if value is None and option != "bin_ms" else read_value(value, declared, option)
