"""A progress bar for what takes longer than a moment."""

import contextlib
import sys
from collections.abc import Iterator

from tqdm.auto import tqdm

#: How often a bar is drawn where it cannot be drawn over, as in a log file.
LOG_INTERVAL_S = 10.0


class Progress:
    """One bar over both stages of a fit, or over several fits; silent where `show` is false, or for `delay_s`.

    Where standard error cannot be written to, closed or a pipe that nobody reads, it falls silent: no work is lost to
    its bar.
    """

    def __init__(self, total: int, show: bool, unit: str = "it", first: str = "compiling", delay_s: float = 0.0):
        drawn, wait = writable(sys.stderr), 0.1 if terminal(sys.stderr) else LOG_INTERVAL_S
        self.bar = tqdm(disable=True)
        with self.drawing():
            self.bar = tqdm(
                total=total,
                disable=not (show and drawn),
                unit=unit,
                desc=first,
                dynamic_ncols=True,
                delay=delay_s,
                mininterval=wait,
            )

    @contextlib.contextmanager
    def drawing(self) -> Iterator[None]:
        """End the bar, and nothing else, where it cannot be drawn."""
        try:
            yield
        except (OSError, ValueError):
            self.bar.disable = True

    def advance(self, stage: str, elbo: float, count: int = 1, remaining: int | None = None) -> None:
        """So many iterations of a stage, the bound after them, and how many are to come at most, where it is known."""
        if remaining is not None and not self.bar.disable:
            self.bar.total = self.bar.n + count + remaining
        self.tick(stage.upper(), f"ELBO {elbo:.1f} nats", count)

    def tick(self, what: str, result: str, count: int = 1) -> None:
        """So many more are done: what they were, and what came of them."""
        if self.bar.disable:
            return
        with self.drawing():
            self.bar.set_description(what, refresh=False)
            self.bar.set_postfix_str(result, refresh=False)
            self.bar.update(count)

    def close(self) -> None:
        """End the bar's line."""
        with self.drawing():
            self.bar.close()


def writable(stream: object) -> bool:
    """Whether something can be written to a stream, which a program without a terminal may lack."""
    return stream is not None and not getattr(stream, "closed", False)


def terminal(stream: object) -> bool:
    """Whether what is written to a stream is shown as it comes, and can be drawn over."""
    if type(stream).__module__.startswith("ipykernel."):  # a notebook's page; another program may import it as well
        return True
    return writable(stream) and bool(getattr(stream, "isatty", lambda: False)())
