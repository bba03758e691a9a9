"""`nlbprob run` on the benchmark's path of mc_maze, from files as they are downloaded to an entry, with real spikes."""

import pathlib

import h5py
import numpy as np
import pytest

from nlbprob.cli import main
from nlbprob.entry.check import check_entry
from nlbprob.resources import folder
from nlbprob.storage.contents import read_metrics
from tests.data.nlb.conftest import Content, write_both

HELDIN, HELDOUT, TRIALS, EVERY_S = 20, 5, 40, 2.0
SHORT = 'em-iterations = 1\nsvi-steps = 0\nposterior = "map"\ndraws = 2\n'
OPTIONS = {
    "modal_lds": "dim = 2",
    "switching_lds": "dim = 2",
    "templates_lds": "components = 2",
    "poisson_lds": "dim = 2",
}
SLOW = ("modal_lds", "switching_lds", "templates_lds")


def content(file, rows, split):
    """Trials of the recording, further apart than there, for a file of the benchmark."""
    trials, units = file["intervals/trials"], file["units"]
    begins, starts = trials["start_time"][:][rows], np.round(EVERY_S * np.arange(len(rows)), 3)
    observed = np.column_stack([starts, np.round(starts + 0.7, 3)])
    spikes, pairs = [], list(zip(begins, starts, strict=True))
    ends = units["spike_times_index"][:]
    for first, last in zip([0, *ends[:-1]], ends, strict=True):
        times = units["spike_times"][first:last]
        inside = [times[(times >= begin) & (times < begin + 0.7)] - begin + start for begin, start in pairs]
        spikes.append(np.concatenate(inside))
    columns = {"start_time": starts, "stop_time": observed[:, 1], "split": split}
    columns["move_onset_time"] = np.round(starts + 0.25, 3)
    heldout = units["heldout"][:].astype(bool)
    return Content(units["id"][:], heldout, spikes, [observed] * len(spikes), columns)


@pytest.fixture(scope="module")
def maze(tmp_path_factory, shared):
    """A folder with real spikes of mc_maze in the place of the data set; conditions and the hand are made up."""
    with h5py.File(shared / "data" / "mc_maze_segments.nwb") as file:
        split = ["train", "train", "train", "val"] * (TRIALS // 4)
        train = content(file, np.arange(TRIALS), split)
        test = content(file, np.arange(TRIALS, TRIALS + 5), ["test"] * 5)
    train.trials |= {"trial_type": np.arange(TRIALS) // 4 % 2, "trial_version": np.zeros(TRIALS, dtype=int)}
    grid = np.round(train.trials["start_time"][:, None] + np.arange(700) / 1000, 3).ravel()
    hand = np.column_stack([np.sin(3 * grid), np.cos(3 * grid)])
    train.series["hand_vel"] = {"data": hand, "timestamps": grid, "comments": "columns=[x,y]"}
    kept = np.zeros_like(train.heldout)
    for mask, number in ((train.heldout, HELDOUT), (~train.heldout, HELDIN)):
        kept[np.flatnonzero(mask)[:number]] = True
    train, test = train.keep_units(kept), test.keep_units(kept & ~test.heldout)
    return write_both("mc_maze", train, test, tmp_path_factory.mktemp("maze"))


@pytest.mark.parametrize("model", ["poisson_lds", *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_an_experiment_leads_from_the_files_to_an_entry(maze, model, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text = (folder("experiments") / "mc_maze" / f"{model}.toml").read_text(encoding="utf-8")
    text = text.replace("[fit]\n", f"[fit]\n{SHORT}").replace("bin-ms = 5", "bin-ms = 20")
    text += f"\n[model]\n{OPTIONS[model]}\n"
    path = pathlib.Path("mc_maze") / f"{model}.toml"
    path.parent.mkdir()
    path.write_text(text)
    status = main(["run", str(path), "--data", str(maze)])
    assert status == 0, capsys.readouterr().out[-600:]
    assert read_metrics(tmp_path / "runs" / "mc_maze" / model)["val"]["co-bps"] is not None
    found = check_entry(tmp_path / "runs" / "mc_maze" / f"{model}-entry")
    assert found.passes, found.problems
    assert (tmp_path / "runs" / "mc_maze" / f"{model}-entry" / "data" / "20ms" / "targets.h5").is_file()
