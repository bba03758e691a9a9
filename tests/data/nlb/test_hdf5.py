"""The files that `nlbprob tensors` writes."""

import h5py
import numpy as np
import pytest

from nlbprob.cli import main
from nlbprob.data.nlb import write_h5
from nlbprob.data.nlb.hdf5 import contents


def test_types_and_groups(tmp_path):
    ragged = np.empty(2, dtype=object)
    ragged[:] = [np.arange(3), np.arange(3)]  # of one length, which the benchmark's own writer cannot write
    arrays = {"counts": np.ones((2, 3), dtype=np.float16), "index": ragged, "mask": np.ones(2, dtype=bool)}
    write_h5(tmp_path / "a.h5", {"set": arrays | {"bins": np.arange(4)}})
    with h5py.File(tmp_path / "a.h5") as file:
        types = {name: item.dtype for name, item in file["set"].items()}
        assert types == {"counts": np.float32, "index": object, "mask": bool, "bins": np.int32}
        assert [row.tolist() for row in file["set/index"]] == [[0, 1, 2], [0, 1, 2]]
    assert contents(tmp_path / "a.h5")["set/counts"] == (2, 3)


def test_files_are_replaced_whole_or_not_at_all(tmp_path):
    write_h5(tmp_path / "a.h5", {"old": np.arange(3)})
    with pytest.raises(TypeError):
        write_h5(tmp_path / "a.h5", {"new": np.array(["text"])})
    assert list(contents(tmp_path / "a.h5")) == ["old"]
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]
    write_h5(tmp_path / "a.h5", {"new": np.arange(3)})
    assert list(contents(tmp_path / "a.h5")) == ["new"]


def test_the_command_writes_a_phase(write_pair, maze_pair, tmp_path, capsys):
    folder = write_pair("mc_maze_small", *maze_pair)
    command = ["tensors", str(folder), "--dataset", "mc_maze_small", "--bin-ms", "20", "--out", str(tmp_path / "out")]
    assert main([*command, "--phase", "test"]) == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"train_input.h5", "eval_input.h5"}
    assert contents(tmp_path / "out" / "train_input.h5")["train_spikes_heldin"] == (18, 35, 5)
    assert main(command) == 0
    assert contents(tmp_path / "out" / "train_input.h5")["train_spikes_heldin"] == (12, 35, 5)
    text = capsys.readouterr().out
    assert "mc_maze_small, bins of 20 ms, test phase" in text
    assert "mc_maze_small_20/eval_spikes_heldout" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--dataset", "mc_rtt"], "holds mc_maze_small, not mc_rtt; get sub-Indy_desc-train_"),
        (["--dataset", "mc_maze_smal"], "dataset: 'mc_maze_smal' is none of NLB'21. Did you mean 'mc_maze_small'?"),
        (["--dataset", "mc_maze_small", "--bin-ms", "7"], "bin_ms: 7 ms does not divide"),
    ],
)
def test_the_command_says_what_is_wrong(write_pair, maze_pair, tmp_path, capsys, words, message):
    folder = write_pair("mc_maze_small", *maze_pair)
    assert main(["tensors", str(folder), *words, "--out", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("missing", ["train", "test"])
def test_either_file_alone_is_not_enough(write_pair, maze_pair, tmp_path, capsys, missing):
    folder = write_pair("mc_maze_small", *maze_pair)
    (path,) = folder.rglob(f"*desc-{missing}*.nwb")
    path.unlink()
    for phase in ("val", "test"):
        command = ["tensors", str(folder), "--dataset", "mc_maze_small", "--phase", phase]
        assert main([*command, "--out", str(tmp_path / "out")]) == 2
        assert f"the {missing} file of mc_maze_small is missing beside" in capsys.readouterr().err
