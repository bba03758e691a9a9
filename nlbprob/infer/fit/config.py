"""What a fit is asked to do; light, so that the command line and configuration files can read it."""

import dataclasses
import operator
from collections.abc import Sequence
from typing import Any

from nlbprob.errors import InputError, suggestion

#: Forms of the parameters' posterior.
FAMILIES = ("neuron", "normal", "lowrank", "map")
PRECISIONS = ("float32", "float64")


@dataclasses.dataclass(frozen=True)
class FitConfig:
    """How a model is fitted; see `nlbprob.fit` for each field.

    Raises:
        InputError: a field has a value that it cannot have.
    """

    seed: int | Sequence[int] = 0
    posterior: str = "neuron"
    em_iterations: int | None = None
    svi_steps: int = 40
    batch_size: int | None = None
    early_stopping: float = 0.0
    precision: str = "float32"

    def __post_init__(self):
        object.__setattr__(self, "seed", seeds_of(self.seed))
        for name, least in (("em_iterations", 0), ("svi_steps", 0), ("batch_size", 1)):
            value = getattr(self, name)
            if value is not None or name == "svi_steps":
                object.__setattr__(self, name, whole(name, value, least))
        for name, choices in (("posterior", FAMILIES), ("precision", PRECISIONS)):
            value = getattr(self, name)
            if value not in choices:
                what = "family" if name == "posterior" else name
                raise InputError(f"fit({name}={value!r}): no such {what}. {suggestion(str(value), choices)}")
        object.__setattr__(self, "early_stopping", fraction(self.early_stopping))

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds to start from, one after the other."""
        return (self.seed,) if isinstance(self.seed, int) else tuple(self.seed)


def whole(name: str, value: Any, least: int) -> int:
    """A whole number, also one of NumPy's. Raises InputError for any other value, or one below `least`."""
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None or number < least:
        raise InputError(f"fit({name}={value!r}): give a whole number, at least {least}.")
    return number


def seeds_of(seed: Any) -> int | tuple[int, ...]:
    """One seed, or several that differ. Raises InputError for anything else."""
    plain = seed.tolist() if hasattr(seed, "tolist") else seed  # NumPy's numbers and arrays
    if not isinstance(plain, list | tuple | range):
        return whole("seed", plain, 0)
    seeds = tuple(whole("seed", one, 0) for one in plain)
    if not seeds or len(set(seeds)) < len(seeds):
        raise InputError(f"fit(seed={seed!r}): give a whole number, or several that differ, as in seed=[0, 1, 2].")
    return seeds


def fraction(value: Any) -> float:
    """A share of the (trial, neuron) pairs, 0 for none. Raises InputError where it is none."""
    try:
        number = float("nan") if isinstance(value, bool | str) else float(value)
    except TypeError:
        number = float("nan")
    if not 0.0 <= number < 1.0:
        raise InputError(f"fit(early_stopping={value!r}): give the share of (trial, neuron) pairs to hide, as 0.1.")
    return number
