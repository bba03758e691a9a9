"""Files that are whole or not there."""

import errno
import os
import signal
import threading

import h5py
import pytest

from nlbprob import files


def test_a_file_that_fails_leaves_the_old_one_and_no_other(tmp_path):
    path = tmp_path / "a.json"
    files.write_text(path, "old")
    with pytest.raises(UnicodeEncodeError), files.replacing(path, "w") as file:
        file.write("new \ud800")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


def test_a_file_has_the_permissions_that_others_of_the_user_have(tmp_path):
    files.write_text(tmp_path / "a", "x")
    (tmp_path / "b").write_text("x")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_a_place_that_takes_no_file_is_told(tmp_path):
    with pytest.raises(files.WriteError, match="cannot be written: it is a folder; name a file"):
        files.write_bytes(tmp_path, b"")
    with pytest.raises(files.WriteError, match="cannot be written: there is no folder .*none; make it first"):
        files.write_bytes(tmp_path / "none" / "a.txt", b"")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("number", "remedy"), [(errno.ENOSPC, "free some space"), (errno.EACCES, "permission")])
def test_an_error_of_the_system_names_file_and_remedy(tmp_path, monkeypatch, number, remedy):
    def refuse(handle):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(files.WriteError, match=f"a.json cannot be written: .*{remedy}"):
        files.write_text(tmp_path / "a.json", "new")
    assert not list(tmp_path.iterdir())


def test_hdf5_is_written_as_a_whole(tmp_path):
    files.write_hdf5(tmp_path / "a.h5", lambda file: file.create_dataset("x", data=[1, 2]))
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["x"][:].tolist() == [1, 2]


@pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_for_the_end_of_the_block(name):
    seen = []
    kept = signal.signal(name, lambda number, frame: seen.append(("handled", number)))
    try:
        with files.signals_deferred():
            os.kill(os.getpid(), name)
            seen.append("block")
        assert seen == ["block", ("handled", name)]
    finally:
        signal.signal(name, kept)


def test_off_the_main_thread_nothing_is_deferred_and_nothing_fails(tmp_path):
    thread = threading.Thread(target=files.write_text, args=(tmp_path / "a", "x"))
    thread.start()
    thread.join()
    assert (tmp_path / "a").read_text() == "x"
