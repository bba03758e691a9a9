"""Programs: functions of arrays that are compiled once in a process for each model and shape."""

import concurrent.futures
import functools
import inspect
import pathlib
from collections.abc import Callable, Hashable
from typing import Any

import jax

#: Fraction of the mappings of memory that a process may have at which compiled programs are let go.
FULL = 0.4
#: Where Linux tells how many it may have, and which it has.
MOST_MAPPINGS, MAPPINGS = pathlib.Path("/proc/sys/vm/max_map_count"), pathlib.Path("/proc/self/maps")
#: Threads that compile beside the main one; XLA leaves Python's lock alone while it does.
COMPILERS = 2


class Program:
    """A function of arrays, and of hashable descriptions of what it is compiled for.

    Calling it compiles what has not been compiled in this process for equal descriptions and arrays of equal shapes.
    `ahead` does so in the background. Without it the first fit of the demo takes 1.2 times as long on two cores (see
    CHANGELOG): XLA compiles one program on one core.

    Args:
        function: pure; its arguments are positional.
        static: the names of the arguments that are descriptions, such as a model.
    """

    def __init__(self, function: Callable, static: tuple[str, ...] = ()):
        functools.update_wrapper(self, function)
        self.function, self.static = function, static
        names = list(inspect.signature(function).parameters)
        self.static_positions = frozenset(names.index(name) for name in static)
        self.pending: dict[Hashable, concurrent.futures.Future] = {}
        self.made: dict[bool, Any] = {}

    @property
    def jitted(self) -> Any:
        """`jax.jit` of the function, on CPU compiled in a sixth less time: nearly all that these programs do is in
        ready-made kernels. Where JAX_DISABLE_MOST_OPTIMIZATIONS asks for even less, it has its way.
        """
        quick = jax.default_backend() == "cpu" and not jax.config.read("jax_disable_most_optimizations")
        if quick not in self.made:
            options = {"xla_backend_optimization_level": 1} if quick else None
            positions = tuple(sorted(self.static_positions))
            self.made[quick] = jax.jit(self.function, static_argnums=positions, compiler_options=options)
        return self.made[quick]

    def __call__(self, *arguments: Any) -> Any:
        """The function's value; waits for a compilation that is under way."""
        if self.pending and (compilation := self.pending.pop(self.key(arguments), None)) is not None:
            compilation.result()
        return self.jitted(*arguments)

    def ahead(self, *arguments: Any) -> Any:
        """Start to compile for arguments like these, arrays or `jax.ShapeDtypeStruct`s.

        Tracing happens here and now: it holds Python's lock, and NumPyro's one stack of handlers.

        Returns:
            What the function returns, as `jax.ShapeDtypeStruct`s.
        """
        traced = self.jitted.trace(*arguments)
        self.pending[self.key(arguments)] = compilers().submit(traced.lower().compile)
        return traced.out_info

    def shapes(self, *arguments: Any) -> Any:
        """What the function returns for arguments like these, as `jax.ShapeDtypeStruct`s."""
        return self.jitted.trace(*arguments).out_info

    def key(self, arguments: tuple[Any, ...]) -> Hashable:
        """What decides whether a compiled program fits the arguments."""
        described = tuple(a for position, a in enumerate(arguments) if position in self.static_positions)
        leaves, structure = jax.tree.flatten(
            [a for position, a in enumerate(arguments) if position not in self.static_positions]
        )
        shapes = tuple((jax.numpy.shape(leaf), str(jax.numpy.result_type(leaf))) for leaf in leaves)
        return described, structure, shapes, bool(jax.config.jax_enable_x64)


def program(*static: str) -> Callable[[Callable], Program]:
    """Decorator: the function as a `Program` whose arguments of these names are descriptions."""
    return lambda function: Program(function, static)


@functools.cache
def compilers() -> concurrent.futures.ThreadPoolExecutor:
    """The threads that compile in the background."""
    return concurrent.futures.ThreadPoolExecutor(COMPILERS, thread_name_prefix="compile")


def forget() -> None:
    """Drop compilations that have not started, as when a fit is given up."""
    compilers().shutdown(wait=False, cancel_futures=True)
    compilers.cache_clear()


def make_room() -> None:
    """Let go of all compiled programs where they come near the number that a process can hold.

    XLA keeps each program on CPU in some dozens of mappings of memory, those of one fit in 5,000, of which Linux allows
    a process 65,530: the process crashes beyond them. What is let go is compiled again when it is needed.
    """
    try:
        most = int(MOST_MAPPINGS.read_text())
        used = MAPPINGS.read_bytes().count(b"\n")
    except (OSError, ValueError):  # a system that has no such limit
        return
    if used > FULL * most:
        jax.clear_caches()
