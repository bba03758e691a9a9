"""A model file: Python that defines `model(*, dim=12, ...)`, whose keyword arguments are the model's options.

The options are read from the source, so that a command line can show and check them without running the file.
"""

import ast
import contextlib
import dataclasses
import io
import os
import pathlib
import re
import sys
import tokenize
import traceback
from collections.abc import Collection, Iterator
from typing import Any

from nlbprob.arguments import checked_keywords, described, instance_of
from nlbprob.errors import InputError, printable, suggestion
from nlbprob.resources import model_path

_SIMPLE = {"int": int, "float": float, "str": str}
#: What Python raises of text that is no Python, or far too deep for it.
_UNREADABLE = (SyntaxError, ValueError, TypeError, RecursionError, MemoryError, tokenize.TokenError)
#: The most that is repeated of an error's own message, in characters.
_LONGEST_MESSAGE = 200
_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclasses.dataclass(frozen=True)
class Option:
    """One keyword argument of a model: its name, type, default and help as the source gives them.

    Attributes:
        kind: "int", "float", "bool", "str", "choice", or "literal" for anything else that Python can write.
        choices: the strings that an option of kind "choice" takes.
        optional: whether None is a value of its own, as in `int | None`.
        default: the source text of the default, None where a value must be given.
    """

    name: str
    kind: str
    choices: tuple[str, ...]
    optional: bool
    default: str | None
    help: str

    def parse(self, text: str):
        """The value that `text` stands for; InputError names the option and what it takes."""
        if self.optional and text.lower() == "none":
            return None
        try:
            return self._convert(text)
        except (*_UNREADABLE, KeyError):
            raise InputError(f"The model's option {self.name} takes {self.takes}, not {text!r}.") from None

    @property
    def takes(self) -> str:
        """What may be given for this option, in words."""
        words = {"bool": "true or false", "choice": " or ".join(self.choices), "literal": "a value as Python writes it"}
        return words.get(self.kind, f"a value of type {self.kind}") + (" or none" if self.optional else "")

    @property
    def default_value(self):
        """The default where it is written out, else its source text."""
        try:
            return ast.literal_eval(self.default or "None")
        except _UNREADABLE:
            return self.default

    def accepts(self, value: object) -> bool:
        """Whether a value of a configuration file is of this option's type."""
        if value is None or self.kind == "literal":
            return self.optional or self.kind == "literal"
        if self.kind == "choice":
            return value in self.choices
        types = {"int": int, "float": int | float, "bool": bool, "str": str}
        return isinstance(value, types[self.kind]) and isinstance(value, bool) == (self.kind == "bool")

    def _convert(self, text: str):
        if self.kind == "bool":
            return _BOOLEANS[text.lower()]
        if self.kind == "choice":
            return {choice: choice for choice in self.choices}[text]
        if self.kind == "literal":
            return ast.literal_eval(text)
        return _SIMPLE[self.kind](text)


@dataclasses.dataclass(frozen=True)
class ModelFile:
    """A model's file, the first line of its docstring, and its options by name."""

    path: pathlib.Path
    help: str
    options: dict[str, Option]

    @property
    def name(self) -> str:
        """The model's name: its file's without the `.py`."""
        return self.path.stem

    def parse(self, given: dict[str, str], config: dict | None = None) -> dict:
        """The values of the options `given` as text, over those that a configuration file sets.

        Raises:
            InputError: an option is unknown, missing or of another type.
        """
        config = config or {}
        self.check({**config, **given})
        return config | {name: self.options[name].parse(text) for name, text in given.items()}

    def check(self, given: Collection[str]) -> None:
        """InputError where the names `given` hold one that `model` lacks, or lack one that it needs."""
        for name in given:
            if name not in self.options:
                raise InputError(f"{self.path}: model() has no option {name!r}. {suggestion(name, self.options)}")
        for name, option in self.options.items():
            if option.default is None and name not in given:
                raise InputError(f"{self.path}: model() needs a value for {name}: add --model.{name} VALUE.")


def is_path(name: str) -> bool:
    """Whether a model is named by the path of a file, and not by the name of one that comes with nlbprob."""
    return name.endswith(".py") or "/" in name


def typed_options(file: ModelFile, given: dict, where: str) -> dict:
    """The options of a model that a configuration sets.

    Args:
        file: the model's.
        given: values by option.
        where: what messages call the configuration.

    Raises:
        InputError: one is unknown or of another type.
    """
    for name, value in given.items():
        if name not in file.options:
            raise InputError(f"{where}: {file.path}: model() has no option {name!r}. {suggestion(name, file.options)}")
        if not file.options[name].accepts(value):
            raise InputError(f"{where}: {name} takes {file.options[name].takes}, not {value!r}.")
    return dict(given)


def find_model(name: str | os.PathLike) -> ModelFile:
    """The model file that `name` stands for: one that comes with nlbprob, or the path of the user's own `.py` file.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: there is no such model, or the file is no Python or defines no `model`.
    """
    instance_of(name, str | os.PathLike, "load_model", "name", "the name of a model, or the path of a .py file")
    name = os.fspath(name)
    path = pathlib.Path(name) if is_path(name) else model_path(name)
    if not path.is_file():
        raise FileNotFoundError(
            printable(f"There is no model file {path}. `nlbprob new NAME {path.name}` copies one to start from.")
        )
    try:
        with tokenize.open(path) as file:
            source = file.read()
        tree = ast.parse(source, filename=str(path))
        for node in reversed(tree.body):  # where there are several, the last is the one that a run calls
            if isinstance(node, ast.FunctionDef) and node.name == "model":
                text = ast.get_docstring(node) or ast.get_docstring(tree) or ""
                return ModelFile(path, printable(text.partition("\n")[0]), _options(node, source, path))
    except InputError:
        raise
    except SyntaxError as error:
        where = f"{path}, line {error.lineno}" if error.lineno else f"{path}"
        raise InputError(f"{where}: not valid Python: {error.msg}.") from None
    except _UNREADABLE as error:
        raise InputError(f"{path}: not valid Python: {_one_line(error)}.") from None
    raise InputError(f"{path} defines no function `model`: write `def model(*, dim=12): ...` that returns a Model.")


@checked_keywords
def load_model(name: str | os.PathLike, **options: Any) -> Any:
    """Run a model file and build its model.

    Args:
        name: a model that comes with nlbprob, or the path of a `.py` file.
        **options: keyword arguments of its function `model`.

    Returns:
        What `model(**options)` returns, a `Model` or a NumPyro function.

    Raises:
        InputError: an option is unknown, the file has no `model`, or the file's own code raises an error; its line is
            named.
    """
    import importlib.util

    file = find_model(name)
    file.check(options)
    spec = importlib.util.spec_from_file_location(f"nlbprob_model_{file.name}", file.path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where a dataclass in the file finds its module
    with _errors_of(file.path):
        spec.loader.exec_module(module)
        if not callable(getattr(module, "model", None)):
            raise InputError("its name `model` no longer stands for a function when the file has run")
        made = module.model(**options)
    if isinstance(made, type) or not callable(made):
        raise InputError(
            f"{file.path}: model() returns {'None' if made is None else f'something {described(made)}'}; "
            "return an nlb.Model, or a NumPyro function of trials."
        )
    return made


@contextlib.contextmanager
def _errors_of(path: pathlib.Path) -> Iterator[None]:
    """Turn an error of a model file's own code into one line, with the line of the file that raised it."""
    try:
        yield
    except (Exception, SystemExit) as error:
        lines = [
            line for frame, line in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename == str(path)
        ]
        if isinstance(error, SyntaxError) and error.filename == str(path):
            lines = [error.lineno]
        kind = "" if isinstance(error, InputError) else f"{type(error).__name__}: "
        where = f"{path}, line {lines[-1]}" if lines else f"{path}"
        raise InputError(f"{where}: {kind}{_one_line(error)}") from error


def _one_line(error: BaseException) -> str:
    """An error's message without line breaks, and no longer than a few lines."""
    text = " ".join(str(error).split())
    return text if len(text) <= _LONGEST_MESSAGE else f"{text[:_LONGEST_MESSAGE]}..."


def _options(function: ast.FunctionDef, source: str, path: pathlib.Path) -> dict[str, Option]:
    """The options of `model`, in order, with the comment beside each (or its line in the docstring) as help."""
    signature = function.args
    named = [*signature.args, *signature.kwonlyargs]
    defaults = [*signature.defaults, *signature.kw_defaults]
    if len(named) != len(defaults) or signature.posonlyargs or signature.vararg or signature.kwarg:
        raise InputError(f"{path}: model() may take keyword arguments only, as in `def model(*, dim=12)`.")
    notes = _notes(function, source, named)
    return {
        argument.arg: Option(
            argument.arg,
            *_type(argument.annotation, default),
            default=None if default is None else ast.unparse(default),
            help=notes.get(argument.arg, ""),
        )
        for argument, default in zip(named, defaults, strict=True)
    }


def _type(annotation: ast.expr | None, default: ast.expr | None) -> tuple[str, tuple[str, ...], bool]:
    """Kind, choices and whether None will do, from the annotation, else from the default."""
    if annotation is None:
        value = default.value if isinstance(default, ast.Constant) else ()
        members = [type(value).__name__ if value is not None else "None"]
    else:
        members = _alternatives(annotation)
    kinds = [member for member in members if member != "None"]
    optional = len(kinds) < len(members)
    if len(kinds) == 1 and (literal := re.match(r"(?:typing\.)?Literal\[(.*)\]$", kinds[0])):
        choices = ast.literal_eval(f"({literal[1]},)")
        if all(isinstance(choice, str) for choice in choices):
            return "choice", choices, optional
    return kinds[0] if len(kinds) == 1 and kinds[0] in (*_SIMPLE, "bool") else "literal", (), optional


def _alternatives(annotation: ast.expr) -> list[str]:
    """The members of a union such as `int | None`, as source text; a quoted annotation is read as what it quotes."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return _alternatives(ast.parse(annotation.value, mode="eval").body)
    if isinstance(annotation, ast.BinOp) and isinstance(annotation.op, ast.BitOr):
        return [*_alternatives(annotation.left), *_alternatives(annotation.right)]
    return [ast.unparse(annotation)]


def _notes(function: ast.FunctionDef, source: str, arguments: list[ast.arg]) -> dict[str, str]:
    """The help of each argument: the comment on its line, else its `name: ...` line of the docstring."""
    comments = {
        token.start[0]: printable(token.string.lstrip("# "))
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    lines = [argument.lineno for argument in arguments]
    lines_of = re.findall(r"^\s*(\w+): (.+)$", ast.get_docstring(function) or "", re.MULTILINE)
    notes = {name: printable(text) for name, text in lines_of}
    for argument in arguments:
        if argument.lineno in comments and lines.count(argument.lineno) == 1:
            notes[argument.arg] = comments[argument.lineno]
    return notes
