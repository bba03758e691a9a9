import concurrent.futures
import json
import pathlib
import sys

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


@pytest.mark.parametrize("line", ["{", "[1]", '{"dataset": "mc_rtt"}', ""])
def test_a_damaged_line_is_named(folder, line):
    ledger.record(entry())
    with (folder / ledger.NAME).open("a") as file:
        file.write(line + "\n")
    with pytest.raises(InputError, match="test_evaluations.jsonl: line 2 is no record of an evaluation"):
        ledger.record(entry())


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
