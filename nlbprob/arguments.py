"""Checks of the arguments of public functions and classes, whose messages name the remedy."""

import difflib
import functools
import inspect
import math
import numbers
import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

from nlbprob.errors import InputError, suggestion
from nlbprob.options import SEEDS

LARGEST_SEED = SEEDS - 1
#: No array is longer along any axis.
LARGEST_SIZE = 2**31 - 1
#: Longest value that a message repeats, in characters.
LONGEST_VALUE = 60
#: What other packages call an argument -> what it may be called here.
SYNONYMS = {
    "n_iter": ("em_iterations",),
    "max_iter": ("em_iterations",),
    "num_iters": ("em_iterations",),
    "iterations": ("em_iterations",),
    "epochs": ("svi_steps",),
    "n_epochs": ("svi_steps",),
    "steps": ("svi_steps",),
    "num_steps": ("svi_steps",),
    "learning_rate": ("optimizer",),
    "lr": ("optimizer",),
    "dtype": ("precision",),
    "verbose": ("progress",),
    "progress_bar": ("progress",),
    "random_state": ("seed",),
    "random_seed": ("seed",),
    "rng": ("seed",),
    "rng_key": ("seed",),
    "key": ("seed",),
    "k": ("folds", "states", "components", "dim"),
    "cv": ("folds",),
    "n_splits": ("folds",),
    "n_boot": ("bootstrap",),
    "num_samples": ("draws",),
    "n_samples": ("draws",),
    "samples": ("draws",),
    "likelihood": ("observation",),
    "emission": ("observation", "readout"),
    "prior": ("priors",),
    "n_latents": ("dim",),
    "latent_dim": ("dim",),
    "n_dims": ("dim",),
    "n_components": ("components", "dim"),
    "n_states": ("states", "dim"),
    "num_states": ("states", "dim"),
    "bin_size": ("bin_ms",),
    "bin_width": ("bin_ms",),
    "binsize": ("bin_ms",),
    "dt": ("bin_ms",),
    "n_trials": ("trials",),
    "n_neurons": ("neurons",),
    "n_bins": ("bins",),
}


def checked_keywords[F: Callable[..., Any]](function: F) -> F:
    """A function, or a class with its constructor and public methods, that raises InputError on unknown arguments.

    What does not fit the signature raises InputError, with the nearest name, where Python raises TypeError. The
    signature, which editors and type checkers show, stays what it is.
    """
    checked: Any = decorated_class(function) if isinstance(function, type) else decorated(function, function.__name__)
    return checked


def decorated[F: Callable[..., Any]](function: F, name: str) -> F:
    """The function `checked_keywords` makes.

    Args:
        function: to call with checked keywords.
        name: what messages call it.
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*arguments: Any, **keywords: Any) -> Any:
        try:
            signature.bind(*arguments, **keywords)
        except TypeError as error:
            raise InputError(misfit(name, signature, keywords, error)) from None
        return function(*arguments, **keywords)

    return cast("F", call)


def decorated_class(cls: Any) -> Any:
    """The class `checked_keywords` makes: the same one, its own constructor and public methods decorated."""
    for name, member in list(vars(cls).items()):
        if name == "__init__":
            cls.__init__ = decorated(member, cls.__name__)
        elif name.startswith("_"):
            continue
        elif isinstance(member, staticmethod):
            setattr(cls, name, staticmethod(decorated(member.__func__, f"{cls.__name__}.{name}")))
        elif inspect.isfunction(member):
            setattr(cls, name, decorated(member, f"{cls.__name__}.{name}"))
    return cls


def misfit(name: str, signature: inspect.Signature, keywords: dict[str, Any], error: TypeError) -> str:
    """The message about arguments that do not fit a signature."""
    known = [parameter.name for parameter in signature.parameters.values() if parameter.kind in NAMED]
    unknown = [keyword for keyword in keywords if keyword not in known]
    if not unknown:
        return f"{name}: {error}; it is called as {name}({', '.join(one for one in known if one != 'self')})."
    return unknown_keyword(name, unknown[0], [one for one in known if one != "self"])


NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def unknown_keyword(caller: str, keyword: str, known: Sequence[str]) -> str:
    """The message about an unknown keyword: the nearest one, and all."""
    return f"{caller}: there is no argument {keyword!r}. {suggestion(nearest(keyword, known), known)}"


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name nearest to another, if one is near; else that other name."""
    known = list(known)
    plain = {one.lower().replace("_", ""): one for one in known}
    also = [one for one in SYNONYMS.get(name.lower(), ()) if one in known]
    close = difflib.get_close_matches(name.lower().replace("_", ""), plain, n=1)
    return also[0] if also else plain[close[0]] if close else name


def named(caller: str, name: str, value: Any) -> str:
    """The first words of a message about an argument: "fit(seed=-1)", or "fit: seed is an array of shape (3,)"."""
    if value is None or isinstance(value, str | numbers.Number) or is_truth(value):
        shown = repr(value)
        short = shown if len(shown) <= LONGEST_VALUE else f"{shown[:LONGEST_VALUE]}..."
        return f"{caller}({name}={short})"
    return f"{caller}: {name} is {described(value)}"


def described(value: Any) -> str:
    """The kind of a value, in words."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if isinstance(getattr(value, "shape", None), tuple):
        return f"an array of shape {value.shape}"
    if inspect.isroutine(value):
        return f"the function {getattr(value, '__name__', '')}"
    return f"of type {type(value).__name__}"


def whole_number(value: Any, caller: str, name: str, least: int = 0, most: int | None = None) -> int:
    """A whole number of Python's, from one of Python's, NumPy's or JAX's.

    Args:
        value: the argument.
        caller: the function that took it, for messages.
        name: of the argument, for messages.
        least: smallest value that is allowed.
        most: largest value that is allowed; None: any that an array can be long.

    Raises:
        InputError: it is no whole number (True and False are none), or not from `least` to `most`.
    """
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None or not least <= number <= (LARGEST_SIZE if most is None else most):
        too_large = number is not None and number > LARGEST_SIZE
        limits = f"at least {least}" if most is None and not too_large else f"from {least} to {most or LARGEST_SIZE}"
        written = f"; write {int(value)}" if isinstance(value, float) and value.is_integer() and value >= least else ""
        raise InputError(f"{named(caller, name, value)}: it must be a whole number, {limits}{written}.")
    return number


def seed_number(value: Any, caller: str, name: str = "seed") -> int:
    """A seed: a whole number from 0 to 2^32 - 1, which JAX and NumPy take alike. Raises InputError on others."""
    return whole_number(value, caller, name, 0, LARGEST_SEED)


def real_number(
    value: Any,
    caller: str,
    name: str,
    *,
    above: float | int = -math.inf,
    least: float | int = -math.inf,
    below: float | int = math.inf,
) -> float:
    """A finite number of Python's, from one of Python's or NumPy's.

    Args:
        value: the argument.
        caller: the function that took it, for messages.
        name: of the argument, for messages.
        above: the number must be larger than this.
        least: smallest value that is allowed.
        below: the number must be smaller than this.

    Raises:
        InputError: it is no such number.
    """
    try:
        number = math.nan if isinstance(value, str | bytes) or is_truth(value) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not (math.isfinite(number) and number > above and least <= number < below):
        limits = {"above": above, "at least": least, "below": below}
        wanted = [f"{words} {limit or 'zero'}" for words, limit in limits.items() if math.isfinite(limit)]
        raise InputError(f"{named(caller, name, value)}: it must be {', '.join(['a finite number', *wanted])}.")
    return number


def flag(value: Any, caller: str, name: str) -> bool:
    """True or False, of Python's or NumPy's. Raises InputError on anything else."""
    if is_truth(value):
        return bool(value)
    raise InputError(f"{named(caller, name, value)}: it must be True or False.")


def is_truth(value: Any) -> bool:
    """Whether it is True or False, of Python's or of NumPy's (which is imported by those alone who need it)."""
    return isinstance(value, bool) or (getattr(value, "ndim", None) == 0 and str(getattr(value, "dtype", "")) == "bool")


def one_of(value: Any, known: Iterable[str], caller: str, name: str) -> str:
    """One of some names. Raises InputError on anything else, with the nearest."""
    known = list(known)
    if isinstance(value, str) and value in known:
        return value
    close = suggestion(nearest(value, known) if isinstance(value, str) else "", known)
    raise InputError(f"{named(caller, name, value)}: no such {name}. {close}")


def instance_of(value: Any, kind: Any, caller: str, name: str, remedy: str = "", examples: Sequence[str] = ()) -> Any:
    """An object of a kind, a class or a union of some.

    Args:
        value: the argument.
        kind: the class or the union.
        caller: the function that took it, for messages.
        name: of the argument, for messages.
        remedy: what to give instead; by default one of the public classes named in `examples`, the nearest one where
            the name of a class, or the class itself, was given.
        examples: names of public classes.

    Raises:
        InputError: it is anything else.
    """
    if isinstance(value, kind):
        return value
    begin = named(caller, name, value)
    if isinstance(value, type) and issubclass(value, kind):
        raise InputError(f"{begin}: give an object of it, {value.__name__}(...), with parentheses.")
    likely = nearest(value, examples) if isinstance(value, str) else ""
    if likely in examples:
        raise InputError(f"{begin}: give an object, not a name: {name}=nlb.{likely}().")
    raise InputError(f"{begin}: give {remedy or either(examples)}.")


def either(classes: Sequence[str]) -> str:
    """Objects of public classes, one of which is to be given, in words."""
    *others, last = [f"nlb.{one}()" for one in classes]
    return f"{', '.join(others)} or {last}" if others else last


def sequence_of(
    values: Any, kind: Any, caller: str, name: str, remedy: str = "", examples: Sequence[str] = ()
) -> tuple[Any, ...]:
    """Objects of a kind, of a list or the like.

    Args:
        values: the argument.
        kind: as for `instance_of`.
        caller: as for `instance_of`.
        name: as for `instance_of`.
        remedy: as for `instance_of`.
        examples: as for `instance_of`.

    Raises:
        InputError: it is anything else, a single object among them.
    """
    single = isinstance(values, str | kind | type)
    if single or not isinstance(values, Iterable):
        entries = f"[nlb.{type(values).__name__}(...)]" if isinstance(values, kind) else "[...]"
        of = "" if isinstance(values, kind) else f", of {remedy or either(examples)}"
        raise InputError(f"{named(caller, name, values)}: give a list, {name}={entries}{of}.")
    return tuple(
        instance_of(value, kind, caller, f"{name}[{place}]", remedy, examples) for place, value in enumerate(values)
    )
