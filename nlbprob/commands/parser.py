"""Words of the command line to values: argparse with clean errors and with the options of a model."""

import argparse
import itertools
import sys
from collections.abc import Sequence
from typing import NoReturn

from nlbprob.errors import InputError, suggestion
from nlbprob.model_file import find_model

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
        self.takes_model = False
        self.add_argument("-h", "--help", action=_Help, nargs=0, help="show this help and exit")

    def add_model(self) -> None:
        """Add the positional MODEL and the options of the model that it names."""
        self.takes_model = True
        self.epilog = "--model.NAME VALUE sets a keyword argument of the model; `--help` after MODEL shows them."
        self.add_argument(
            "model", metavar="MODEL", help="a model that comes with nlbprob, or the path of your own model's .py file"
        )

    def parse_args(self, args: Sequence[str] | None = None, namespace=None):
        """As argparse's, but with `model_options` set where the verb takes a MODEL."""
        words, options = split_model_options(list(sys.argv[1:] if args is None else args))
        if options and not self.takes_model:
            raise InputError(f"{self.prog} takes no --model options.")
        for word in itertools.takewhile(lambda word: word != "--", words):
            name = word.partition("=")[0]
            if name.startswith("--") and name not in self._option_string_actions:
                raise InputError(f"{self.prog} has no option {name!r}. {suggestion(name, self._long_options())}")
        arguments = super().parse_args(words, namespace or argparse.Namespace())
        if self.takes_model:
            arguments.model_options = options
        return arguments

    def error(self, message: str) -> NoReturn:
        """Raise InputError with argparse's message."""
        raise InputError(f"{self.prog}: {message}. See `{self.prog} --help`.")

    def _long_options(self) -> list[str]:
        return [name for name in self._option_string_actions if name.startswith("--")]


def split_model_options(words: list[str]) -> tuple[list[str], dict[str, str]]:
    """Take `--model.NAME VALUE` and `--model.NAME=VALUE` out of `words`: the others, and the values by name."""
    others: list[str] = []
    options: dict[str, str] = {}
    remaining = iter(words)
    for word in remaining:
        if not word.startswith(_PREFIX):
            others.append(word)
            continue
        name, equals, value = word.removeprefix(_PREFIX).partition("=")
        if not equals:
            value = next(remaining, None)
        if value is None or (not equals and value.startswith("--")):
            raise InputError(f"{_PREFIX}{name} needs a value after it.")
        options[name] = value
    return others, options


def describe_model(name: str) -> str:
    """What `--help` says of a model: its first line, and each option with its type, default and comment."""
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
        if getattr(namespace, "model", None) is not None:
            print("\n" + describe_model(namespace.model), end="")
        parser.exit()
