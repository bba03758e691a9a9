"""What is handed over to a figure beside the fit and its trials: of the right kind, and of these trials."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int
from matplotlib.colors import is_color_like

from nlbprob.arguments import described, instance_of
from nlbprob.data.checks import as_index
from nlbprob.data.trials import Trials
from nlbprob.errors import InputError


def positions(chosen: Any, number: int, caller: str, name: str, what: str = "trials") -> Int[np.ndarray, " shown"]:
    """Positions in a list of so many trials or neurons.

    Args:
        chosen: positions, or a mask.
        number: of all trials or neurons.
        caller: the function that took them, for messages.
        name: of the argument, for messages.
        what: "trials" or "neurons".

    Raises:
        InputError: it is neither, none is chosen, or one lies outside.
    """
    try:
        return as_index(chosen, number, what)
    except (InputError, TypeError, ValueError) as error:
        raise InputError(f"{caller}: {name} is {described(chosen)}; {error}") from None


def colors_of(colors: Any, caller: str) -> Mapping[str, Any] | None:
    """Colors by condition. Raises InputError where they are no mapping, or one is no color."""
    instance_of(colors, Mapping | None, caller, "colors", "a color for each condition, {'left': 'tab:blue'}")
    for label, color in (colors or {}).items():
        if not is_color_like(color):
            raise InputError(f"{caller}: colors[{label!r}] is no color of matplotlib; give one such as 'tab:blue'.")
    return colors


def inferred(value: Any, variables: Sequence[str], trials: Trials | None, caller: str, name: str) -> Any:
    """What the posterior's method of this name gives, known already.

    Args:
        value: what was handed over.
        variables: that it must hold; none: any.
        trials: that it must be of; None: it is of no trials.
        caller: the function that took it, for messages.
        name: of the argument, which is that of the method.

    Raises:
        InputError: it is anything else, or of other trials.
    """
    method = f"posterior.{name}({'' if trials is None else 'trials'})"
    if not hasattr(value, "data_vars") or not value.data_vars or not set(variables) <= set(value.data_vars):
        raise InputError(f"{caller}: {name} is {described(value)}; give what {method} returned.")
    if trials is None:
        return value
    shape = {"trial": len(trials), "time": trials.n_bins}
    alike = all(value.sizes.get(axis) == length for axis, length in shape.items())
    if not alike or ("trial" in value.coords and not np.array_equal(value["trial"].values, trials.table["id"])):
        raise InputError(f"{caller}: {name} are of other trials than those handed over; give {method} of these.")
    return value
