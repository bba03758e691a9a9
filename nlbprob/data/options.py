"""The options of `load`: their defaults, and how a TOML file and arguments set them."""

import math
import os
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nlbprob.arguments import LARGEST_SEED, seed_number
from nlbprob.errors import InputError, suggestion


def number(value: Any) -> float:
    """A finite number; NumPy's numbers are taken, True and False are not."""
    if isinstance(value, bool | str) or not math.isfinite(value):
        raise ValueError
    return float(value)


def width(value: Any) -> float:
    """A positive number."""
    if number(value) <= 0:
        raise ValueError
    return float(value)


def length(value: Any) -> float:
    """A number that is not negative."""
    return 0.0 if value == 0 else width(value)


def window(value: Any) -> list[float]:
    """Two numbers."""
    first, last = value
    return [number(first), number(last)]


def name(value: Any) -> str:
    """A string."""
    if not isinstance(value, str):
        raise TypeError
    return value


def names(value: Any) -> list[str]:
    """Strings; one of them may stand alone."""
    return [value] if isinstance(value, str) else [name(entry) for entry in value]


def flag(value: Any) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise TypeError
    return value


def seed(value: Any) -> int:
    """A seed, of Python's or NumPy's whole numbers."""
    return seed_number(value, "load")


# Option -> its default, how to read it, and what to say of a value that cannot be read.
OPTIONS: dict[str, tuple[Any, Callable[[Any], Any], str]] = {
    "bin_ms": (None, width, "a bin width; give a positive number of ms, for example bin_ms=5"),
    "align": ("start_time", name, "the name of a trials column"),
    "window_ms": (None, window, "a window; give two numbers of ms, start and end around the align event"),
    "forward_ms": (0.0, length, "a length; give a number of ms, 0 or more"),
    "behavior": (None, name, "the name of a time series"),
    "lag_ms": (0.0, number, "a number of ms"),
    "condition": ((), names, "a list of names of trials columns"),
    "heldout": ("heldout", name, "the name of a units column"),
    "split": ("split", name, "the name of a trials column"),
    "units": (None, name, "an expression in quotes, such as 'rate > 0.5'"),
    "intervals": ("trials", name, "the name of an intervals table"),
    "chunk_ms": (None, width, "a length; give a positive number of ms"),
    "join": (False, flag, "true or false"),
    "seed": (0, seed, f"a whole number from 0 to {LARGEST_SEED}"),
    "dataset": (None, name, "the name of a data set"),
    "phase": (None, name, "the name of a phase"),
}
#: What is left to choose where a data set of the benchmark is named.
OF_DATASET = ("dataset", "bin_ms", "phase", "seed")


def resolve(config: str | os.PathLike | Mapping[str, Any] | None = None, **given: Any) -> dict[str, Any]:
    """Every option of `load` with its value, JSON-able: what is given (not None), else the config's, else the default.

    config: a TOML file, or a mapping, whose keys (or those of its table [data]) are options, in kebab or snake case.
    Raises InputError where an option is unknown or has a value of the wrong kind, FileNotFoundError without the file.
    """
    settings, where = read_config(config)
    values = {option: default for option, (default, _, _) in OPTIONS.items()}
    values |= {known(option.replace("-", "_"), where): value for option, value in settings.items()}
    values |= {known(option, "load"): value for option, value in given.items() if value is not None}
    options = {option: cleaned(option, value) for option, value in values.items()}
    if options["phase"] is not None and options["dataset"] is None:
        raise InputError("phase: only the benchmark's data sets have phases; name one (dataset), or leave it out.")
    return options


def of_dataset(options: Mapping[str, Any]) -> dict[str, Any]:
    """What is left to choose of a data set of the benchmark: its name, bin_ms, phase and seed.

    options: as `resolve` returns them. Raises InputError where another is set, since the benchmark fixes it.
    """
    for option, value in options.items():
        if option not in OF_DATASET and value != cleaned(option, OPTIONS[option][0]):
            raise InputError(f"{option}: the benchmark fixes it for {options['dataset']}; leave out one of the two.")
    return {option: options[option] or "val" if option == "phase" else options[option] for option in OF_DATASET}


def read_config(config: str | os.PathLike | Mapping[str, Any] | None) -> tuple[Mapping[str, Any], str]:
    """The options that a config sets, and its name for messages."""
    if config is None or isinstance(config, Mapping):
        settings, where = config or {}, "config"
    else:
        where = os.fspath(config)
        if not Path(where).is_file():
            raise FileNotFoundError(f"config: {where} is no file; name a TOML file with options such as bin-ms = 5.")
        try:
            settings = tomllib.loads(Path(where).read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise InputError(f"{where}: not a TOML file ({error}); write options such as bin-ms = 5.") from None
    inner = settings.get("data", settings)
    if not isinstance(inner, Mapping):
        raise InputError(f"{where}: data is not a table; write [data] and the options below it.")
    return inner, where


def known(option: str, where: str) -> str:
    """The option itself. Raises InputError where there is no such option."""
    if option not in OPTIONS:
        raise InputError(f"{where}: no data option {option!r}. {suggestion(option, OPTIONS)}")
    return option


def cleaned(option: str, value: Any) -> Any:
    """The value in its JSON type. Raises InputError where it is of the wrong kind, or there is no bin width."""
    default, read, expected = OPTIONS[option]
    if value is None and default is None and option != "bin_ms":
        return None
    try:
        return read(value)
    except (TypeError, ValueError):
        raise InputError(f"{option}: {value!r} is not {expected}.") from None
