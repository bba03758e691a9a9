"""The options of a fit, in a module that the command line and configuration files import quickly."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from nlbprob.arguments import checked_keywords
from nlbprob.options import SEEDS, Option, count, fraction, one_of, read_value, seeds, whole

#: Forms of the parameters' posterior.
FAMILIES = ("neuron", "normal", "lowrank", "map")
PRECISIONS = ("float32", "float64")


def family(value: Any) -> Any:
    """One of `FAMILIES`, or an object that is a family: this module does not import that class."""
    return value if hasattr(value, "known_ahead") else one_of(*FAMILIES)(value)


def declared(*option: Any, **more: Any) -> Any:
    """A keyword-only field that is declared as an `Option`, which takes these arguments."""
    option_of_field = Option(*option, **more)
    return dataclasses.field(default=option_of_field.default, metadata={"option": option_of_field}, kw_only=True)


@checked_keywords
@dataclasses.dataclass(frozen=True, kw_only=True)
class FitConfig:
    """How a model is fitted: keywords of `nlbprob.fit`; None takes its default.

    Configuration files and the command line are read by the declarations of these fields.

    Raises:
        InputError: a value is of the wrong kind.
    """

    seed: int | Sequence[int] = declared(
        0,
        seeds,
        f"a whole number from 0 to {SEEDS - 1}, or several that differ, as in 0 1 2",
        "seed of the fit (default 0); of several, the one with the highest bound after EM is used",
        "N",
        int,
        several=True,
    )
    posterior: Any = declared(  # noqa: RUF009 - a name, or an `nlb.Family`
        "neuron",
        family,
        f"a form of posterior: {', '.join(FAMILIES)}",
        "form of the parameters' posterior (default neuron: one normal for each neuron's loadings and baseline)",
        "{" + ",".join(FAMILIES) + "}",
    )
    em_iterations: int | None = declared(
        None,
        whole,
        "a whole number, 0 or more",
        "iterations of the first stage, variational EM, at most (default 100, or 30 with templates)",
        "N",
        int,
    )
    svi_steps: int | None = declared(
        None,
        whole,
        "a whole number, 0 or more",
        "steps of stochastic variational inference (default 0 where EM has updates in closed form for all parameters, "
        "else 40)",
        "N",
        int,
    )
    batch_size: int | None = declared(
        None,
        count,
        "a whole number of trials, 1 or more",
        "trials in a step of stochastic variational inference (default: a quarter of all, at least 32)",
        "N",
        int,
    )
    precision: str = declared(
        "float32",
        one_of(*PRECISIONS),
        f"a precision: {' or '.join(PRECISIONS)}",
        "floating-point numbers to compute with (default float32)",
        "{" + ",".join(PRECISIONS) + "}",
    )
    early_stopping: float = declared(
        0.0,
        fraction,
        "a fraction; give a number from 0 to below 1, for example 0.1",
        "fraction of (trial, neuron) pairs hidden from EM, which ends where it predicted them best (default 0)",
        "FRACTION",
        float,
    )

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            if (option := field.metadata.get("option")) is not None:
                value = getattr(self, field.name)
                value = option.default if value is None else value
                value = value if value is None else read_value(value, option, field.name)
                object.__setattr__(self, field.name, value)

    @property
    def fit_options(self) -> dict[str, Any]:
        """The keyword arguments of `nlbprob.fit`, without those that are None."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(FitConfig)}
        return {option: value for option, value in values.items() if value is not None}

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds to start from, one after the other."""
        return (self.seed,) if isinstance(self.seed, int) else tuple(self.seed)
