"""Work on several threads: compilation ahead of time, and chunks of trials side by side."""

import collections
import concurrent.futures
import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax


def jit(function: Callable) -> Any:
    """`jax.jit`, on CPU compiled in a sixth less time: nearly all that these programs do is in ready-made kernels.

    Where JAX_DISABLE_MOST_OPTIMIZATIONS asks for even less, it has its way.
    """
    quick = jax.default_backend() == "cpu" and not jax.config.read("jax_disable_most_optimizations")
    return jax.jit(function, compiler_options={"xla_backend_optimization_level": 1} if quick else None)


class Ahead:
    """Compiles functions in the background; XLA leaves Python's lock alone while it does."""

    def __init__(self):
        self.pool = concurrent.futures.ThreadPoolExecutor(2, thread_name_prefix="compile")

    def compile(self, function: Callable, *arguments: Any) -> "Pending":
        """Start to compile `function` for arguments of these shapes (arrays or `jax.ShapeDtypeStruct`s).

        Tracing happens here and now: it holds Python's lock, and NumPyro's one stack of handlers.
        """
        traced = jit(function).trace(*arguments)
        return Pending(self.pool.submit(traced.lower().compile), traced.out_info)

    def warm(self, program: Any, *arguments: Any) -> None:
        """Start to compile what `jit` returned, so that its first call with such arguments need not wait."""
        self.pool.submit(program.trace(*arguments).lower().compile)

    def close(self) -> None:
        """Forget what has not started."""
        self.pool.shutdown(wait=False, cancel_futures=True)


class Pending:
    """A function under compilation; calling it waits for that. `shapes` is what it returns, as ShapeDtypeStructs."""

    def __init__(self, future: concurrent.futures.Future, shapes: Any):
        self.future, self.shapes = future, shapes

    def __call__(self, *arguments: Any) -> Any:
        return self.future.result()(*arguments)


def threads() -> int:
    """How many chunks of trials to work on at once: on CPU one a core, since XLA runs a loop over time on one core."""
    return min(8, os.cpu_count() or 1) if jax.default_backend() == "cpu" else 1


def concurrently(
    function: Callable, items: Iterable, compiled: bool = False, meanwhile: Callable | None = None
) -> Iterator:
    """`function` of every item, in order, on `threads()` threads; the first on this one unless it is compiled.

    meanwhile: called on this thread once the others are at work.
    """
    items = iter(items)
    wide = jax.config.jax_enable_x64

    def run(item):
        with jax.enable_x64(wide):
            return jax.block_until_ready(function(item))

    if not compiled:
        for first in items:
            yield run(first)
            break
    with concurrent.futures.ThreadPoolExecutor(threads(), thread_name_prefix="chunk") as pool:
        # A few items ahead of what is taken, so that no more results than that wait in memory.
        waiting = collections.deque(pool.submit(run, item) for item in itertools.islice(items, 2 * threads()))
        if meanwhile is not None:
            meanwhile()
        while waiting:
            found = waiting.popleft().result()
            waiting.extend(pool.submit(run, item) for item in itertools.islice(items, 1))
            yield found
