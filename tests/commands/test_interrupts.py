"""Signals that ask a process to end, in all places where their exception may get lost."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import warnings

import pytest

from nlbprob import cli, errors
from nlbprob.cli import main
from nlbprob.commands import interrupts
from nlbprob.commands.interrupts import interruptible
from nlbprob.errors import InputError
from nlbprob.storage import reading, staging


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """What got lost is raised again soon; no signal is ignored, as it is in a process that a shell put behind."""
    monkeypatch.setattr(interrupts, "AGAIN_S", 0.1)
    before = {number: signal.getsignal(number) for number in interrupts.SIGNALS}
    for number in interrupts.SIGNALS:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", interrupts.SIGNALS)
def test_each_ends_a_command_as_ctrl_c_does(monkeypatch, capsys, number):
    def dispatch(words):
        os.kill(os.getpid(), number)
        time.sleep(60)

    monkeypatch.setattr(cli, "dispatch", dispatch)
    before = signal.getsignal(number)
    assert main(["fit"]) == 130
    assert capsys.readouterr().err == "\nnlbprob: interrupted.\n"
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("number", interrupts.SIGNALS)
def test_while_python_shuts_down_the_exit_code_stays_that_of_the_command(number):
    words = f"""
import os, signal, sys
from nlbprob import cli


class Last:
    kill, me, number = os.kill, os.getpid(), {int(number)}

    def __del__(self):  # after Python's own handlers are gone
        self.kill(self.me, self.number)


signal.signal({int(number)}, signal.SIG_DFL)
last = Last()
sys.last = last
sys.argv = ["nlbprob", "--version"]
sys.exit(cli.program())
"""
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, timeout=280, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("nlbprob ")


class Finalized:
    """Its end takes a while, in which a signal comes."""

    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)


def in_a_finalizer():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        Finalized()


def in_code_that_catches_everything():
    try:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)
    except:  # noqa: E722
        pass


def in_code_that_makes_another_error_of_it():
    try:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)
    except BaseException as error:
        raise RuntimeError("the figure cannot be drawn") from error


def test_one_that_got_lost_is_not_told_as_another_error(monkeypatch):
    told = []
    monkeypatch.setattr(sys, "unraisablehook", told.append)

    def block():
        in_a_finalizer()
        time.sleep(20)

    with pytest.raises(KeyboardInterrupt), interruptible():
        block()
    assert told == []
    assert sys.unraisablehook == told.append  # as it was


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    "lost", [in_a_finalizer, in_code_that_catches_everything, in_code_that_makes_another_error_of_it]
)
def test_an_exception_that_does_not_get_through_is_raised_again(lost):
    def block():
        lost()
        for _ in range(1200):
            time.sleep(0.05)

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt), interruptible():
        block()
    assert time.monotonic() - start < 30


def test_what_is_done_about_it_is_not_interrupted_by_its_repetition():
    done = []

    def block():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
        finally:
            try:
                raise OSError
            except OSError:
                time.sleep(0.3)
            done.append("saved")

    with pytest.raises(KeyboardInterrupt), interruptible():
        block()
    assert done == ["saved"]
    time.sleep(0.3)  # nothing comes later


def test_what_is_sent_again_in_the_last_moment_of_a_block_comes_to_nothing():
    block = interrupts.Interrupts()
    block.arm()
    signal.signal(signal.SIGINT, block.handle)
    block.close()
    assert not block.timer.is_alive()
    block.repeat()  # the timer had run out when the block ended
    block.repeats = True
    os.kill(os.getpid(), signal.SIGINT)  # and here a moment before
    time.sleep(0.05)
    assert not errors.ENDING.is_set()


def test_errors_that_are_none_of_its_business_go_through():
    with pytest.raises(InputError, match="mine"), interruptible():
        raise InputError("mine")


def test_a_signal_that_is_ignored_stays_so():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interruptible():
            handlers = [signal.getsignal(signal.SIGHUP)]
            os.kill(os.getpid(), signal.SIGHUP)
            time.sleep(0.05)
        handlers.append(signal.getsignal(signal.SIGHUP))
    finally:
        signal.signal(signal.SIGHUP, before)
    assert handlers == [signal.SIG_IGN, signal.SIG_IGN]


def lost_in_c(folder, error):
    """A run in which a signal becomes an error that does not name its cause, as Matplotlib makes one."""
    with staging.new_run(folder, ["metrics.json"], keep=False):
        with contextlib.suppress(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(1)
        raise error


@pytest.mark.parametrize(
    ("error", "kind", "state"),
    [
        (ValueError("Invalid affine transformation matrix"), KeyboardInterrupt, "interrupted"),
        (InputError("no luck"), InputError, "failed: no luck"),
    ],
)
def test_a_run_was_interrupted_also_where_code_in_c_has_made_another_error_of_it(
    tmp_path, monkeypatch, error, kind, state
):
    monkeypatch.setattr(interrupts, "AGAIN_S", 300.0)  # the run has ended by then, on a slow machine too
    with interruptible(), pytest.raises(kind):
        lost_in_c(tmp_path / "run", error)
    assert reading.examine(tmp_path / "run").state == state
    assert not errors.ENDING.is_set()
