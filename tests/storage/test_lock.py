"""One writer to a folder at a time."""

import errno
import fcntl
import json
import multiprocessing
import os
import time

import pytest

from nlbprob.errors import InputError
from nlbprob.storage import lock
from nlbprob.storage.command import WORDS


def hold(folder, started):
    WORDS.set(("fit", "m", "a b.nwb"))
    with lock.locked(folder):
        started.set()
        time.sleep(60)


@pytest.fixture
def other(tmp_path):
    """Another process that holds the lock of tmp_path."""
    context = multiprocessing.get_context("spawn")
    started = context.Event()
    process = context.Process(target=hold, args=(tmp_path, started))
    process.start()
    assert started.wait(60)
    yield process
    process.kill()
    process.join(60)


def test_the_holder_is_named_and_one_that_was_killed_holds_nothing(tmp_path, other):
    found = lock.holder(tmp_path)
    assert (found.pid, found.command) == (other.pid, "nlbprob fit m 'a b.nwb'")
    with pytest.raises(InputError, match=f"another process writes to this folder .process {other.pid} on .*fit m"):
        lock.acquire(tmp_path / lock.NAME)
    other.kill()
    other.join(60)
    assert lock.holder(tmp_path) is None
    with lock.locked(tmp_path):
        assert lock.holder(tmp_path).pid == os.getpid()
    assert not list(tmp_path.iterdir())


def test_a_lock_file_without_words_is_a_lock_all_the_same(tmp_path):
    with lock.locked(tmp_path):
        for text in ("", "[]", '{"pid": "x"}'):
            (tmp_path / lock.NAME).write_text(text)
            assert lock.holder(tmp_path).host == "an unknown host"
        with pytest.raises(InputError, match="another process writes to this folder .which one is not known"):
            lock.acquire(tmp_path / lock.NAME)


def test_where_files_cannot_be_locked_the_process_is_looked_for(tmp_path, monkeypatch):
    def unsupported(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with lock.locked(tmp_path):
        assert lock.holder(tmp_path).pid == os.getpid()
        content = json.loads((tmp_path / lock.NAME).read_text())
        (tmp_path / lock.NAME).write_text(json.dumps(content | {"pid": 2**22 + 1}))
        assert lock.holder(tmp_path) is None


def test_what_a_holder_says_of_itself_steers_no_terminal(tmp_path):
    with lock.locked(tmp_path):
        content = {"pid": 1, "host": "\x1b[2J", "since": "now", "command": "x\ny"}
        (tmp_path / lock.NAME).write_text(json.dumps(content))
        assert str(lock.holder(tmp_path)) == "process 1 on \\x1b[2J, since now: x\\ny"
