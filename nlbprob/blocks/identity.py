"""Equality and hashes of blocks, models and contexts by content: the keys of compiled programs."""

import dataclasses
import functools
from collections.abc import Hashable, Mapping
from typing import Any

import jax
import numpy as np
import numpyro.distributions as dist


def identity(value: Any) -> Hashable:
    """A hashable value that is equal for two values of the same type and content.

    Dataclasses are taken field by field, mappings and sequences entry by entry, arrays by dtype, shape and content,
    NumPyro's distributions by their class and parameters. Functions and objects of
    other kinds are compared by their own `==`.
    """
    if isinstance(value, Identified):
        return value._identity[0]
    if isinstance(value, dist.Distribution):
        leaves, structure = jax.tree.flatten(value)
        return type(value), structure, tuple(map(identity, leaves))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return type(value), tuple(identity(getattr(value, field.name)) for field in dataclasses.fields(value))
    if isinstance(value, Mapping):
        entries = {str(key): identity(entry) for key, entry in value.items()}
        return Mapping, tuple((key, entries[key]) for key in sorted(entries))
    if isinstance(value, list | tuple):
        return tuple, tuple(map(identity, value))
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        array = np.asarray(value)
        return array.dtype.str, array.shape, array.tobytes()
    return type(value), value


class Described:
    """Any value as an argument of a cached function: two are equal where their values are (see `identity`)."""

    def __init__(self, value: Any):
        self.value, self.identity = value, identity(value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Described) and self.identity == other.identity

    def __hash__(self) -> int:
        return hash(self.identity)


class Identified:
    """Base of objects that are equal, and hash alike, where their fields are (see `identity`).

    Dataclasses that derive from it are declared with `eq=False`.
    """

    @functools.cached_property
    def _identity(self) -> tuple[Hashable, int]:
        names = [field.name for field in dataclasses.fields(self)] if dataclasses.is_dataclass(self) else vars(self)
        content = type(self), tuple(identity(getattr(self, name)) for name in names if name != "_identity")
        return content, hash(content)

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Identified) and self._identity[0] == other._identity[0])

    def __hash__(self) -> int:
        return self._identity[1]

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_identity"}
