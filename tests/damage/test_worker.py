"""What the process that takes damaged inputs says of calls that go wrong."""

import os
import time

from tests.damage import worker


def work():
    """Keeps a core busy for a moment."""
    start = time.process_time()
    while time.process_time() - start < 0.2:
        pass


def test_a_crash_a_hang_and_what_takes_too_long_are_told_apart(monkeypatch):
    one = worker.Worker(limit_s=0.1)
    assert one.call(os.getpid).kind == "fine"
    assert one.call(work).kind == "slow"
    assert one.call(os._exit, 1).kind == "crash"
    assert one.call(os.getpid).kind == "fine"  # in a new process
    monkeypatch.setattr(worker, "HANGS_S", 0.5)
    assert one.call(time.sleep, 600).kind == "hang"
    one.close()
