"""Chunks of trials side by side on the threads of a CPU."""

import collections
import concurrent.futures
import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax


def threads() -> int:
    """How many chunks to work on at once: on CPU one a core, since XLA runs a loop over time on one core."""
    return min(8, os.cpu_count() or 1) if jax.default_backend() == "cpu" else 1


def map_chunks(function: Callable[[Any], Any], chunks: Iterable[Any], *, compiled: bool = False) -> Iterator[Any]:
    """The function's value for every chunk, in order, computed on `threads()` threads.

    Args:
        function: of a chunk; what it returns is ready, not under way, when it is yielded.
        chunks: of trials.
        compiled: whether the programs that the function calls are compiled, or being so; if not, the first chunk is
            worked on alone, so that they are compiled once.
    """
    remaining = iter(chunks)
    wide = bool(jax.config.jax_enable_x64)  # a setting of each thread

    def run(chunk: Any) -> Any:
        with jax.enable_x64(wide):
            return jax.block_until_ready(function(chunk))

    if not compiled:
        for first in remaining:
            yield run(first)
            break
    with concurrent.futures.ThreadPoolExecutor(threads(), thread_name_prefix="chunk") as pool:
        # A few chunks ahead of what is taken, so that no more results than that wait in memory.
        waiting = collections.deque(pool.submit(run, chunk) for chunk in itertools.islice(remaining, 2 * threads()))
        while waiting:
            value = waiting.popleft().result()
            waiting.extend(pool.submit(run, chunk) for chunk in itertools.islice(remaining, 1))
            yield value
