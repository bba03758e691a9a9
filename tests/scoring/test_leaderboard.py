import csv
import zipfile

import pytest

from nlbprob.cli import main
from nlbprob.data.nlb.facts import DATASETS
from nlbprob.errors import InputError
from nlbprob.files import write_json
from nlbprob.scoring.leaderboard import SOURCES, Row, cited, published, ranked, warnings
from tests import runs


def test_rows_are_the_published_ones_and_ranked(shared):
    with (shared / "docs" / "leaderboard.csv").open() as file:
        lines = list(csv.DictReader(file))
    for line in lines:
        (row,) = (
            row
            for row in published(line["dataset"])
            if (row.model, row.split, row.bin_ms) == (line["model"], line["split"], float(line["bin_ms"]))
        )
        assert row.values["co-bps"] == float(line["co_bps"])
        assert row.values["psth R2"] == (float(line["psth_r2"]) if line["psth_r2"] else None)
        assert row.source == line["source"]


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_row_has_a_known_source(dataset):
    rows = published(dataset)
    assert all(set(row.source.split("/")) <= set(SOURCES) for row in rows)
    values = [row.values["co-bps"] for row in rows]
    assert values == sorted(values, reverse=True)
    assert len(cited(rows)) == len({letter for row in rows for letter in row.source.split("/")})


def test_an_unknown_data_set_is_refused():
    with pytest.raises(InputError, match="'mc_mazes' is none of NLB'21. Did you mean 'mc_maze'"):
        published("mc_mazes")


def own(value, split="test", bin_ms=5.0):
    return Row("mine", "mc_rtt", bin_ms, split, {"co-bps": value}, "this run", own=True)


def test_runs_take_their_place_and_differences_are_said():
    rows = published("mc_rtt")
    place = ranked([*rows, own(0.2)]).index(own(0.2))
    assert [row.values["co-bps"] > 0.2 for row in ranked([*rows, own(0.2)])][place - 1 : place + 2] == [
        True,
        False,
        False,
    ]
    assert ranked([own(None), *rows])[-1] == own(None)
    assert warnings([own(0.2)], rows) == []
    (text,) = warnings([own(0.2, "val", 20.0)], rows)
    assert "scored on val after learning from fewer trials" in text
    assert "in bins of 20 ms, and these in bins of 5 ms" in text


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    config = {"settings": {"model": "m", "data": "d"}, "data": {"options": {"dataset": "mc_rtt"}}}
    scores = {"split": "val", "bin_ms": 5.0, "val": {"co-bps": 0.2, "fp-bps": None}}
    others = {"fit_on": "train", "intervals": {}, "reasons": {}, "baselines": {}}
    return runs.make(folder, config=config, metrics=scores | others)


def test_the_command_shows_runs_with_their_test(run, capsys):
    assert main(["leaderboard", "mc_rtt", str(run)]) == 0
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    (place,) = (number for number, line in enumerate(lines) if line.startswith(">"))
    assert "AESMTE3" in lines[place - 1]
    assert "AESMTE1" in lines[place + 1]
    assert "Warning: " in shown.out
    assert "[S] Le & Shlizerman (2022)" in shown.out
    record = {"bin_ms": 5.0, "scores": {"co-bps": 0.21, "vel R2": 0.6}, "later": True, "earlier": 2, "notes": []}
    texts = {"date": "2026-01-02", "dataset": "mc_rtt", "statement": "", "fit_on": "train+val"}
    write_json(run / "test.json", record | texts)
    runs.seal(run)
    assert main(["leaderboard", "mc_rtt", str(run)]) == 0
    shown = capsys.readouterr().out
    assert "this run, evaluation 3 on test" in shown
    assert main(["leaderboard", "mc_maze", str(run)]) == 2
    assert "the run is of mc_rtt, not of mc_maze" in capsys.readouterr().err
    assert main(["leaderboard", "mc_maze_small"]) == 0
    assert "No published number on mc_maze_small is known" in capsys.readouterr().out


def test_a_wheel_carries_the_numbers(root, tmp_path):
    from hatchling.builders.wheel import WheelBuilder

    (wheel,) = WheelBuilder(str(root)).build(directory=str(tmp_path))
    with zipfile.ZipFile(wheel) as archive:
        assert "nlbprob/scoring/leaderboard.csv" in archive.namelist()
