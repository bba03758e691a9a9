import concurrent.futures
import errno
import fcntl
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading

import pytest

from nlbprob.errors import InputError
from nlbprob.scoring import ledger


def entry(dataset="mc_rtt", **others):
    return {"date": "2026-10-01T12:00:00+00:00", "dataset": dataset, **others}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("NLBPROB_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def test_the_folder_is_the_platforms_or_the_users(monkeypatch):
    assert ledger.data_folder().name == "data"
    monkeypatch.delenv("NLBPROB_DATA")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_DATA_HOME", "/somewhere")
    assert ledger.data_folder() == pathlib.Path("/somewhere/nlbprob")
    monkeypatch.delenv("XDG_DATA_HOME")
    assert ledger.data_folder() == pathlib.Path.home() / ".local/share/nlbprob"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert ledger.data_folder() == pathlib.Path.home() / "Library/Application Support/nlbprob"


def test_records_are_kept_and_the_earlier_ones_of_the_data_set_returned(folder):
    assert ledger.entries("mc_rtt") == []
    assert ledger.record(entry(bin_ms=5)) == []
    assert ledger.record(entry("mc_maze")) == []
    assert ledger.record(entry(bin_ms=20)) == [entry(bin_ms=5)]
    assert ledger.entries("mc_rtt") == [entry(bin_ms=5), entry(bin_ms=20)]
    lines = (folder / ledger.NAME).read_text().splitlines()
    assert [json.loads(line)["dataset"] for line in lines] == ["mc_rtt", "mc_maze", "mc_rtt"]


def test_no_two_writers_get_in_each_others_way():
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        earlier = list(pool.map(lambda number: len(ledger.record(entry(number=number))), range(40)))
    assert sorted(earlier) == list(range(40))
    assert sorted(line["number"] for line in ledger.entries("mc_rtt")) == list(range(40))


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"[1]",
        b'{"dataset": "mc_rtt"}',
        b"",
        b'{"dataset": "mc_rtt", "date": 5}',
        b'{"dataset": ["mc_rtt"], "date": "2026-10-01"}',
        b"\xff\xfe" + bytes(40),
        b"[" * 100_000,
    ],
)
def test_a_damaged_line_is_named_and_counts_for_every_data_set(folder, line):
    ledger.record(entry())
    with (folder / ledger.NAME).open("ab") as file:
        file.write(line + b"\n")
    damaged = {"dataset": "mc_rtt", ledger.DAMAGED: 2}
    assert ledger.record(entry(number=3)) == [entry(), damaged]
    assert ledger.entries("mc_rtt") == [entry(), damaged, entry(number=3)]
    (alone,) = ledger.entries("mc_maze")
    assert (alone["dataset"], alone[ledger.DAMAGED]) == ("mc_maze", 2)
    said = ledger.statement("mc_rtt", [entry(), damaged])
    assert "test evaluation 3 of mc_rtt: 2 came before it, the first on 2026-10-01." in said
    assert f"In {folder / ledger.NAME}, line 2 is no record of an evaluation and counts as one" in said
    assert "test evaluation 2 of mc_maze: one came before it. A model" in ledger.statement("mc_maze", [alone])
    several = [{"dataset": "mc_maze", ledger.DAMAGED: number} for number in (2, 5)]
    assert "lines 2, 5 are no records of evaluations and count as 2: repair" in ledger.statement("mc_maze", several)


def test_a_line_without_an_end_is_kept_and_the_next_one_is_a_line_of_its_own(folder):
    ledger.record(entry(number=1))
    path = folder / ledger.NAME
    path.write_bytes(path.read_bytes().removesuffix(b"\n"))
    assert ledger.record(entry(number=2)) == [entry(number=1)]
    path.write_bytes(path.read_bytes()[:-20])
    assert ledger.record(entry(number=3)) == [entry(number=1), {"dataset": "mc_rtt", ledger.DAMAGED: 2}]
    assert [json.loads(line)["number"] for line in path.read_bytes().splitlines()[::2]] == [1, 3]


def test_a_line_that_cannot_be_written_whole_is_taken_back_and_said_in_one_line(folder, monkeypatch):
    ledger.record(entry(number=1))
    before = (folder / ledger.NAME).read_bytes()
    write = os.write

    def half(handle, line):
        if len(line) < 20:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(handle, line[: len(line) // 2])

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(InputError) as caught:
        ledger.record(entry(number=2))
    assert "No space left on device" in str(caught.value)
    assert "free some space" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert (folder / ledger.NAME).read_bytes() == before
    monkeypatch.undo()
    monkeypatch.setenv("NLBPROB_DATA", str(folder))
    assert ledger.record(entry(number=2)) == [entry(number=1)]


def test_a_ledger_that_is_held_is_told_with_its_holder(folder, monkeypatch, capsys):
    ledger.record(entry())
    monkeypatch.setattr(ledger, "TELL_S", 0.05)
    code = (
        "import fcntl, sys, time; f = open(sys.argv[1]); fcntl.flock(f, 2); print('held', flush=True); time.sleep(60)"
    )
    path = folder / ledger.NAME
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        threading.Timer(0.5, process.kill).start()
        assert ledger.record(entry()) == [entry()]
    said = capsys.readouterr().err
    assert f"Waiting for the ledger {path}: " in said
    assert said.count("\n") == 1
    if pathlib.Path("/proc/locks").exists():
        assert f"process {process.pid} holds it" in said


def test_a_ledger_that_stays_held_ends_the_wait(folder, monkeypatch):
    ledger.record(entry())
    monkeypatch.setattr(ledger, "GIVE_UP_S", 0.1)
    with (folder / ledger.NAME).open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="has held the ledger of test evaluations for 0 s.*try again"):
            ledger.record(entry())
    assert ledger.record(entry()) == [entry()]


@pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_does_not_tear_a_line(folder, monkeypatch, name):
    kept = signal.signal(name, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    write = os.write
    monkeypatch.setattr(os, "write", lambda handle, line: (os.kill(os.getpid(), name), write(handle, line))[1])
    try:
        with pytest.raises(KeyboardInterrupt):
            ledger.record(entry())
    finally:
        signal.signal(name, kept)
    monkeypatch.undo()
    monkeypatch.setenv("NLBPROB_DATA", str(folder))
    assert ledger.entries("mc_rtt") == [entry()]


def test_a_ledger_that_cannot_be_written_is_an_error(folder):
    folder.write_text("a file where the folder should be")
    with pytest.raises(InputError, match="the ledger of test evaluations cannot be written .* NLBPROB_DATA"):
        ledger.record(entry())


def test_the_statement_says_what_came_before():
    assert ledger.statement("mc_rtt", []) == "This is the first test evaluation of mc_rtt in this ledger."
    assert "test evaluation 2 of mc_rtt: one came before it, the first on 2026-10-01" in ledger.statement(
        "mc_rtt", [entry()]
    )
    assert "test evaluation 4 of mc_rtt: 3 came before it" in ledger.statement("mc_rtt", [entry()] * 3)
