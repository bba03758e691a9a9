"""Compilation ahead of time, on other threads, while the first results are being made."""

import concurrent.futures
from collections.abc import Callable
from typing import Any

import jax


class Ahead:
    """Compiles functions in the background; XLA leaves Python's lock alone while it does."""

    def __init__(self):
        self.pool = concurrent.futures.ThreadPoolExecutor(2, thread_name_prefix="compile")

    def compile(self, function: Callable, *arguments: Any) -> Callable[[], Callable]:
        """Start to compile `function` for arguments of these shapes; returns how to wait for it.

        Tracing happens here and now, since NumPyro's handlers know one thread only. Arguments may be `jax.ShapeDtypeStruct`s.
        """
        return self.pool.submit(jax.jit(function).lower(*arguments).compile).result

    def close(self) -> None:
        """Forget what has not started."""
        self.pool.shutdown(wait=False, cancel_futures=True)
