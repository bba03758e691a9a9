"""Words of the command line to values: argparse with clean errors and with the options of a model."""

import argparse
import functools
import itertools
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

from nlbprob.errors import InputError, suggestion
from nlbprob.model_file import find_model
from nlbprob.resources import model_names

_PREFIX = "--model."


class Parser(argparse.ArgumentParser):
    """An argument parser that raises InputError, suggests the nearest option, and knows `--model.NAME VALUE`.

    A verb that takes a MODEL calls `add_model()`; what is given of the model's options is then in `model_options`, as
    text by name, and `--help` after a MODEL shows its options with types and defaults.
    """

    def __init__(self, **settings) -> None:
        super().__init__(
            **settings, add_help=False, allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        self.takes_model, self.grids, self.words = False, False, []
        self.add_argument("-h", "--help", action=_Help, nargs=0, help="show this help and exit")

    def add_model(self, with_data: bool = False, grids: bool = False) -> None:
        """Add the positional MODEL and the options of the model that it names.

        Args:
            with_data: add DATA, too, of which there may be several; both may be left to a configuration.
            grids: whether an option takes several values; they are then a list.
        """
        self.takes_model, self.grids = True, grids
        self.epilog = "--model.NAME VALUE sets a keyword argument of the model; `--help` after MODEL shows them."
        if grids:
            self.epilog = "--model.NAME VALUE ... takes the values to try; `--help` after MODEL shows the names."
        self.add_argument(
            "model",
            metavar="MODEL",
            nargs="?" if with_data else None,
            help="a model that comes with nlbprob, or the path of your own model's .py file",
        )
        if with_data:
            text = "the recording: an NWB file with units and trials, or several of them to stitch"
            self.add_argument("data", metavar="DATA", nargs="*", help=text)

    def parse_args(self, args: Sequence[str] | None = None, namespace=None):
        """As argparse's, but with `model_options` set where the verb takes a MODEL.

        MODEL and DATA may stand before, between and after options.
        """
        self.words, options = split_model_options(list(sys.argv[1:] if args is None else args), self.grids)
        if options and not self.takes_model:
            raise InputError(f"{self.prog} takes no --model options.")
        for word in itertools.takewhile(lambda word: word != "--", self.words):
            name = word.partition("=")[0]
            if name.startswith("--") and name not in self._option_string_actions:
                raise InputError(f"{self.prog} has no option {name!r}. {suggestion(name, self._long_options())}")
        arguments = super().parse_intermixed_args(
            repeated(self.words, self._lists()), namespace or argparse.Namespace()
        )
        if self.takes_model:
            arguments.model_options = options
        return arguments

    def error(self, message: str) -> NoReturn:
        """Raise InputError with argparse's message."""
        raise InputError(f"{self.prog}: {message}. See `{self.prog} --help`.")

    def model_named(self) -> str | None:
        """The first word that names a model, for `--help`, which is met before MODEL is read."""
        return next((word for word in self.words if word.endswith(".py") or word in model_names()), None)

    def _long_options(self) -> list[str]:
        return [name for name in self._option_string_actions if name.startswith("--")]

    def _lists(self) -> dict[str, Callable[[str], object]]:
        """The options of several numbers, with how each is read."""
        return {
            name: action.type
            for name, action in self._option_string_actions.items()
            if isinstance(action, argparse._AppendAction) and action.type in (int, float)
        }


def repeated(words: Sequence[str], lists: Mapping[str, Callable[[str], object]]) -> list[str]:
    """`--seed 0 1 2` as `--seed 0 --seed 1 --seed 2`, so that a word which is no number ends the list.

    >>> repeated(["--seed", "0", "1", "poisson_lds"], {"--seed": int})
    ['--seed=0', '--seed=1', 'poisson_lds']
    """
    collected, remaining_words = [], list(words)
    while remaining_words:
        word = remaining_words.pop(0)
        option, equals, _ = word.partition("=")
        values = (
            list(itertools.takewhile(functools.partial(is_read, lists[option]), remaining_words))
            if option in lists
            else []
        )
        del remaining_words[: len(values)]
        collected += [word] if equals or not values else []
        collected += [f"{option}={value}" for value in values]
    return collected


def is_read(read: Callable[[str], object], word: str) -> bool:
    """Whether a word is of a type."""
    try:
        read(word)
    except ValueError:
        return False
    return True


def split_model_options(words: list[str], grids: bool = False) -> tuple[list[str], dict]:
    """Take `--model.NAME VALUE` and `--model.NAME=VALUE` out of `words`.

    Args:
        words: of the command line.
        grids: an option takes all words up to the next option, and its values are a list.

    Returns:
        The other words, and the values by name.
    """
    others: list[str] = []
    options: dict = {}
    remaining = list(words)
    while remaining:
        word = remaining.pop(0)
        if not word.startswith(_PREFIX):
            others.append(word)
            continue
        name, equals, value = word.removeprefix(_PREFIX).partition("=")
        values = [value] if equals else []
        while remaining and not remaining[0].startswith("--") and (grids or not values):
            values.append(remaining.pop(0))
        if not values:
            raise InputError(f"{_PREFIX}{name} needs a value after it.")
        options[name] = [*options.get(name, []), *values] if grids else values[0]
    return others, options


def describe_model(name: str) -> str:
    """The help of a model: its first line, and each option with its type, default and comment."""
    file = find_model(name)
    rows = []
    for option in file.options.values():
        kind = "{" + ",".join(option.choices) + "}" if option.choices else option.kind.upper()
        default = "required" if option.default is None else f"default {option.default}"
        rows.append((f"  {_PREFIX}{option.name} {kind}", f"{option.help} ({default})".lstrip()))
    width = max((len(left) for left, _ in rows), default=0)
    lines = [f"options of the model {file.name}: {file.help}", *(f"{left:<{width}}  {right}" for left, right in rows)]
    return "\n".join(lines) + "\n" + "  It takes none.\n" * (not rows)


class _Help(argparse.Action):
    """Print the help, with the options of the MODEL where one came before."""

    def __call__(self, parser, namespace, values, option_string=None):
        del values, option_string
        parser.print_help()
        assert isinstance(parser, Parser)
        if parser.takes_model and (model := parser.model_named()) is not None:
            print("\n" + describe_model(model), end="")
        parser.exit()
