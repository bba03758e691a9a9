"""The options of `nlbprob.load`, configuration files and the command line, each declared once."""

import dataclasses
import math
import numbers
import operator
import os
from collections.abc import Callable, Mapping
from typing import Any

from nlbprob.errors import InputError, suggestion

#: Seeds from here on would be cut to their last 32 bits, so that two seeds draw the same.
SEEDS = 2**32


@dataclasses.dataclass(frozen=True)
class Option:
    """An option.

    Args:
        default: its value where nothing is set; None where there is none, or where it is left to what is called.
        read: from a value of Python, TOML or JSON to the value in its JSON type; raises TypeError or ValueError.
        expected: what a value has to be, in the words of the message about one that is not.
        help: a line for `--help`.
        metavar: how `--help` shows the value; two names for an option that takes two words.
        text: how a word of the command line becomes a value for `read`.
        several: whether it takes several values.
        flag: the option's name on the command line, where that is not its own.
    """

    default: Any
    read: Callable[[Any], Any]
    expected: str
    help: str
    metavar: str | tuple[str, str] = "VALUE"
    text: Callable[[str], Any] = str
    several: bool = False
    flag: str = ""


def python_value(value: Any) -> Any:
    """The same number or boolean as Python's own, where it is one of NumPy's or of its like."""
    return value.item() if getattr(value, "ndim", None) == 0 and hasattr(value, "item") else value


def number(value: Any) -> float:
    """A finite number; NumPy's numbers are taken, True and False are not."""
    value = python_value(value)
    if isinstance(value, bool) or not isinstance(value, numbers.Number):
        raise TypeError
    if not math.isfinite(value):  # pyright: ignore[reportArgumentType]
        raise ValueError
    return float(value)  # pyright: ignore[reportArgumentType]


def width(value: Any) -> float:
    """A positive number."""
    if number(value) <= 0:
        raise ValueError
    return number(value)


def length(value: Any) -> float:
    """A number that is not negative."""
    if number(value) < 0:
        raise ValueError
    return number(value)


def fraction(value: Any) -> float:
    """A number from 0 to below 1."""
    if not 0 <= number(value) < 1:
        raise ValueError
    return number(value)


def window(value: Any) -> list[float]:
    """Two numbers."""
    first, last = entries(value)
    return [number(first), number(last)]


def whole(value: Any) -> int:
    """A whole number, 0 or more."""
    value = python_value(value)
    if isinstance(value, bool) or operator.index(value) < 0:
        raise ValueError
    return operator.index(value)


def count(value: Any) -> int:
    """A whole number, 1 or more."""
    if whole(value) < 1:
        raise ValueError
    return whole(value)


def seed(value: Any) -> int:
    """A whole number from 0 to 2^32 - 1."""
    if whole(value) >= SEEDS:
        raise ValueError
    return whole(value)


def seeds(value: Any) -> int | list[int]:
    """A seed, or several that differ."""
    if isinstance(value, str) or not hasattr(value, "__iter__") or getattr(value, "ndim", None) == 0:
        return seed(value)
    several = [seed(entry) for entry in entries(value)]
    if not several or len(set(several)) < len(several):
        raise ValueError
    return several if len(several) > 1 else several[0]


def name(value: Any) -> str:
    """A string that is not empty."""
    if not isinstance(value, str) or not value:
        raise TypeError
    return str(value)


def names(value: Any) -> list[str]:
    """Strings; one of them may stand alone."""
    return [name(value)] if isinstance(value, str) else [name(entry) for entry in entries(value)]


def path(value: Any) -> str:
    """A path, as text."""
    return name(os.fspath(value))


def joined(value: Any) -> str:
    """Names joined by "+", which may come as a list."""
    parts = [part for entry in names(value) for part in entry.split("+")]
    if not parts or "" in parts:
        raise ValueError
    return "+".join(parts)


def flag(value: Any) -> bool:
    """True or False."""
    value = python_value(value)
    if not isinstance(value, bool):
        raise TypeError
    return value


def one_of(*choices: str) -> Callable[[Any], str]:
    """How to read one of these strings."""

    def read(value: Any) -> str:
        return {choice: choice for choice in choices}[name(value)]

    return read


def entries(value: Any) -> list[Any]:
    """The entries of what has an order: a list, a tuple, a range or an array."""
    if isinstance(value, str | bytes | Mapping | set | frozenset):
        raise TypeError
    return list(value)


def read_value(value: Any, option: Option, what: str) -> Any:
    """The value of an option in its JSON type. Raises InputError with `what` where it is of the wrong kind."""
    try:
        return option.read(value)
    except (TypeError, ValueError, KeyError, OverflowError):
        shown = repr(value)
        shown = shown if len(shown) <= 80 else shown[:77] + "..."
        raise InputError(f"{what}: {shown} is not {option.expected}.") from None


def read_table(table: Mapping[str, Any], options: Mapping[str, Option], where: str, kind: str) -> dict[str, Any]:
    """The values that a table sets, by option; None is not set.

    Args:
        table: values by name, in kebab or snake case.
        options: those that there are.
        where: what messages call the table: a file and the table in it, or a function.
        kind: what messages call its keys, such as "data option".

    Raises:
        InputError: an option is unknown, stands twice or has a value of the wrong kind.
    """
    values: dict[str, Any] = {}
    for key, value in table.items():
        option = known(key, options, where, kind)
        if option in values:
            raise InputError(f"{where}: {option!r} stands there twice, as {key!r} and otherwise; leave one out.")
        values[option] = None if value is None else read_value(value, options[option], f"{where}: {key}")
    return {option: value for option, value in values.items() if value is not None}


def known(key: Any, options: Mapping[str, Option], where: str, kind: str) -> str:
    """The name of an option in snake case. Raises InputError where there is no such option."""
    option = str(key).replace("-", "_")
    if option not in options:
        raise InputError(f"{where}: no {kind} {option!r}. {suggestion(option, options)}")
    return option


#: The seed of a draw.
SEED = Option(0, seed, f"a whole number from 0 to {SEEDS - 1}", "seed (default 0)", "N", int)
#: Keyword arguments of `nlbprob.load`.
DATA: dict[str, Option] = {
    "bin_ms": Option(
        None, width, "a bin width; give a positive number of ms, for example bin_ms=5", "bin width", "MS", float
    ),
    "align": Option(
        "start_time",
        name,
        "the name of a trials column",
        "trials column of the event at 0 ms (default: the start of the trial)",
        "COLUMN",
    ),
    "window_ms": Option(
        None,
        window,
        "a window; give two numbers of ms, start and end around the align event",
        "window about that event (default: the whole trial)",
        ("FROM", "TO"),
        float,
    ),
    "forward_ms": Option(
        0.0,
        length,
        "a length; give a number of ms, 0 or more",
        "time after the window, to be forecast (default 0)",
        "MS",
        float,
    ),
    "behavior": Option(
        None, name, "the name of a time series", "behavior series to decode, such as hand_vel", "SERIES"
    ),
    "lag_ms": Option(0.0, number, "a number of ms", "how far the behavior lags the spikes (default 0)", "MS", float),
    "condition": Option(
        (),
        names,
        "a list of names of trials columns",
        "trials column that sets a trial's condition; repeat it for several",
        "COLUMN",
        several=True,
    ),
    "heldout": Option(
        "heldout",
        name,
        "the name of a units column",
        "units column of held-out neurons (default: heldout, or drawn)",
        "COLUMN",
    ),
    "split": Option(
        "split", name, "the name of a trials column", "trials column of the splits (default: split, or drawn)", "COLUMN"
    ),
    "units": Option(
        None,
        name,
        "an expression in quotes, such as 'rate > 0.5'",
        "units to keep, such as 'area == \"MOs\" and rate > 0.5'",
        "WHERE",
    ),
    "intervals": Option(
        "trials",
        name,
        "the name of an intervals table",
        "intervals table to use as trials (default: trials)",
        "TABLE",
    ),
    "chunk_ms": Option(
        None,
        width,
        "a length; give a positive number of ms",
        "cut a recording without trials into pieces this long",
        "MS",
        float,
    ),
    "join": Option(False, flag, "true or false", "make pieces that follow without a gap one trial"),
    "seed": dataclasses.replace(
        SEED,
        help="seed of held-out units and splits that are drawn (default 0)",
        flag="data-seed",  # --seed is the fit's
    ),
    "dataset": Option(
        None, name, "the name of a data set", "a data set of NLB'21; DATA is then the folder with its files", "NAME"
    ),
    "phase": Option(None, name, "the name of a phase", "of that data set: val (default) or test", "PHASE"),
}
