"""A bar is drawn where it can be, and is never what a fit fails of."""

import errno
import io
import sys

import pytest

from nlbprob.infer.runtime.progress import LOG_INTERVAL_S, Progress, terminal


class Stream(io.StringIO):
    """Standard error that is, or is not, a terminal."""

    def __init__(self, terminal: bool):
        super().__init__()
        self.terminal = terminal

    def isatty(self):
        return self.terminal


class Broken(Stream):
    """Standard error whose reader goes away after a few lines."""

    def __init__(self, writes: int, error: Exception):
        super().__init__(terminal=True)
        self.left, self.error = writes, error

    def write(self, text):
        self.left -= 1
        if self.left < 0:
            raise self.error
        return super().write(text)


def closed():
    stream = io.StringIO()
    stream.close()
    return stream


def run(iterations=5):
    bar = Progress(iterations, show=True)
    for number in range(iterations - 1):
        bar.advance("em", float(number), remaining=iterations - 2 - number)
    bar.close()
    return bar


@pytest.mark.parametrize("stream", [None, closed(), Broken(0, BrokenPipeError(errno.EPIPE, "broken pipe"))])
def test_work_goes_on_where_standard_error_is_gone(monkeypatch, stream):
    monkeypatch.setattr(sys, "stderr", stream)
    assert run().bar.disable


@pytest.mark.parametrize("error", [BrokenPipeError(errno.EPIPE, "broken pipe"), OSError(errno.ENOSPC, "full")])
@pytest.mark.parametrize("writes", [1, 2, 3])
def test_work_goes_on_where_standard_error_ends_on_the_way(monkeypatch, writes, error):
    stream = Broken(writes, error)
    monkeypatch.setattr(sys, "stderr", stream)
    bar = Progress(3, show=True)
    bar.bar.mininterval = 0.0
    for _ in range(3):
        bar.tick("EM", "ELBO")
    bar.close()
    assert stream.left == -1  # nothing more is written to it after its first error
    assert stream.getvalue()
    assert bar.bar.disable


@pytest.mark.parametrize("shown", [True, False])
def test_a_terminal_is_drawn_often_and_a_log_seldom(monkeypatch, shown):
    monkeypatch.setattr(sys, "stderr", Stream(shown))
    bar = run()
    assert (bar.bar.mininterval < 1) == shown
    assert bar.bar.mininterval == LOG_INTERVAL_S or shown
    assert "EM: 100%" in sys.stderr.getvalue()
    assert "ELBO 3.0 nats" in sys.stderr.getvalue()
    assert shown or sys.stderr.getvalue().count("\r") < 5


def test_a_notebook_is_drawn_often_and_a_program_that_imported_its_kernel_is_not(monkeypatch):
    page = type("OutStream", (Stream,), {"__module__": "ipykernel.iostream"})(terminal=False)
    monkeypatch.setitem(sys.modules, "ipykernel", sys)
    assert terminal(page)
    assert not terminal(Stream(terminal=False))


def test_a_silent_bar_writes_nothing(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Stream(True))
    bar = Progress(3, show=False)
    bar.tick("EM", "ELBO")
    bar.close()
    assert sys.stderr.getvalue() == ""
