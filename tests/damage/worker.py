"""A process beside the tests that takes one damaged input after the other, so that a crash or a hang is an outcome."""

import concurrent.futures
import dataclasses
import multiprocessing
import os
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from nlbprob.errors import InputError

#: No damaged input may keep its user waiting longer, in CPU time: a machine may have other work, or be slow.
LIMIT_S = 60.0
#: What has not come back by then hangs.
HANGS_S = 900.0
#: What a user may be told of a damaged input: each has one message and no traceback.
TOLD = (InputError, FileNotFoundError, PermissionError)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came of a call.

    kind: "fine" (`value` is what it returned), "refused" (`text`: the message), "traceback", "crash", "hang" or "slow".
    """

    kind: str
    text: str = ""
    value: Any = None


def attempt(function: Callable[..., Any], *arguments: Any) -> Outcome:
    """What comes of one call in this process."""
    try:
        return Outcome("fine", value=function(*arguments))
    except TOLD as error:
        return Outcome("refused", str(error))
    except BaseException:
        return Outcome("traceback", traceback.format_exc())


def timed(function: Callable[..., Any], *arguments: Any) -> tuple[Outcome, float]:
    """What comes of one call in this process, and its CPU time in seconds."""
    start = time.process_time()
    outcome = attempt(function, *arguments)
    return outcome, time.process_time() - start


class Worker:
    """Runs module-level functions in another process, one call at a time, each for at most `limit_s` of CPU time."""

    def __init__(self, limit_s: float = LIMIT_S) -> None:
        self.limit_s = limit_s
        self.pool: concurrent.futures.ProcessPoolExecutor | None = None

    def call(self, function: Callable[..., Any], *arguments: Any) -> Outcome:
        """The outcome of function(*arguments); what it returns must pickle."""
        if self.pool is None:
            self.pool = concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
        try:
            outcome, seconds = self.pool.submit(timed, function, *arguments).result(HANGS_S)
            return outcome if seconds <= self.limit_s else Outcome("slow", f"{seconds:.0f} s of CPU time")
        except TimeoutError:
            self.close()
            return Outcome("hang")
        except BrokenProcessPool:
            self.close()
            return Outcome("crash")

    def close(self) -> None:
        """End the process, whatever it is doing."""
        if self.pool is not None:
            self.pool.kill_workers() if hasattr(self.pool, "kill_workers") else kill(self.pool)
            self.pool = None


def kill(pool: concurrent.futures.ProcessPoolExecutor) -> None:
    """End the processes of a pool at once (Python 3.14 has this as kill_workers)."""
    for process in list(pool._processes.values()):
        process.kill()
    pool.shutdown(wait=False, cancel_futures=True)


def seeds(full: int, few: int = 20) -> Iterator[int]:
    """The damages to try: `few` in the tests, `full` where NLBPROB_DAMAGE=full, as in `make validate`."""
    yield from range(full if os.environ.get("NLBPROB_DAMAGE") == "full" else few)
