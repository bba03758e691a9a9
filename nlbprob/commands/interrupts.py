"""Ctrl-C, and the signals by which batch systems and closing terminals ask a process to end, as one exception."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

from nlbprob.errors import ENDING, caused_by_interrupt, was_interrupted

#: Signals that ask the process to end.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: After so long an exception that did not get through is raised again.
AGAIN_S = 1.0


class Interrupts:
    """Raises KeyboardInterrupt for a signal, and again and again as long as it gets lost.

    A signal's exception is raised wherever the main thread happens to be. In a finalizer, in a callback from C, or in
    code that catches everything (there is such code in JAX, and in what draws figures), it goes no further.
    """

    def __init__(self) -> None:
        self.repeats = self.over = False
        self.timer: threading.Timer | None = None

    def handle(self, number: int, frame: FrameType | None) -> None:
        """What Python calls for a signal, on the main thread."""
        repeats, self.repeats = self.repeats, False
        if repeats and self.over:
            return  # sent in the last moment of the block
        ENDING.set()
        self.arm()
        if not (repeats and caused_by_interrupt(sys.exc_info()[1])):  # else it is being dealt with at this moment
            raise KeyboardInterrupt

    def arm(self) -> None:
        """See later whether the exception came through."""
        self.disarm()
        self.timer = threading.Timer(AGAIN_S, self.repeat)
        self.timer.daemon = True
        self.timer.start()

    def disarm(self) -> None:
        """It did."""
        if self.timer is not None:
            self.timer.cancel()

    def close(self) -> None:
        """The block is at its end: nothing is sent from here on, nor is what was sent just before raised."""
        self.over = True
        self.disarm()
        if self.timer is not None:
            self.timer.join()

    def repeat(self) -> None:
        """Send the signal again, on the timer's thread."""
        if not self.over:
            self.repeats = True
            os.kill(os.getpid(), signal.SIGINT)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """In the block, signals that ask the process to end raise KeyboardInterrupt; after it, they do what they did.

    A signal that is ignored, as SIGHUP is under nohup, stays so.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    interrupts = Interrupts()
    usual = (signal.SIG_DFL, signal.default_int_handler)
    kept = {number: handler for number in SIGNALS if (handler := signal.getsignal(number)) in usual}
    for number in kept:
        signal.signal(number, interrupts.handle)
    report = sys.unraisablehook
    sys.unraisablehook = lambda lost: None if lost.exc_type is KeyboardInterrupt else report(lost)  # raised again soon
    try:
        yield
    except Exception as error:
        if not was_interrupted(error):
            raise
        raise KeyboardInterrupt from error
    finally:
        interrupts.close()
        ENDING.clear()
        sys.unraisablehook = report
        for number, handler in kept.items():
            signal.signal(number, handler)


def ignore() -> None:
    """From here on, signals that ask the process to end are ignored: it is at its end.

    Python takes its own handlers away while it shuts down, which lasts a second once JAX was loaded.
    """
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
