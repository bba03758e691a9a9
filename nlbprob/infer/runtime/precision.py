"""The width of floating-point numbers in which JAX computes."""

from contextlib import AbstractContextManager

import jax

from nlbprob.errors import InputError, suggestion
from nlbprob.fit_config import PRECISIONS


def precision(name: str) -> AbstractContextManager:
    """A context in which JAX computes in "float32" or "float64"; nothing global changes.

    Raises:
        InputError: it is neither.
    """
    if name not in PRECISIONS:
        raise InputError(f"precision={name!r}: no such precision. {suggestion(str(name), PRECISIONS)}")
    return jax.enable_x64(name == "float64")
