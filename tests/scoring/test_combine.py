import h5py
import numpy as np
import pytest

from nlbprob.cli import main
from nlbprob.errors import InputError
from nlbprob.scoring.combine import combine
from tests.scoring.files import draw, write


@pytest.fixture
def files(tmp_path):
    first = write(tmp_path / "a.h5", {"mc_rtt_20": draw("mc_rtt_20")[0]})
    second = write(tmp_path / "b.h5", {"mc_maze_20": draw()[0], "mc_rtt": draw("mc_rtt")[0]})
    return first, second


def test_all_groups_are_copied(files, tmp_path):
    out = tmp_path / "all.h5"
    assert combine(out, *files) == ["mc_rtt_20", "mc_maze_20", "mc_rtt"]
    with h5py.File(out) as merged, h5py.File(files[1]) as second:
        assert set(merged) == {"mc_rtt_20", "mc_maze_20", "mc_rtt"}
        for key, values in second["mc_rtt"].items():
            np.testing.assert_array_equal(merged["mc_rtt"][key], values)


def test_the_same_group_twice_is_refused_and_nothing_is_left(files, tmp_path):
    third = write(tmp_path / "c.h5", {"mc_rtt": draw("mc_rtt", seed=1)[0]})
    with pytest.raises(InputError, match="'mc_rtt' is in .*b.h5 and in .*c.h5; leave one of them out"):
        combine(tmp_path / "all.h5", *files, third)
    assert {path.name for path in tmp_path.iterdir()} == {"a.h5", "b.h5", "c.h5"}


def test_other_bad_input(files, tmp_path, capsys):
    with pytest.raises(InputError, match="b.h5 exists already"):
        combine(files[1], files[0])
    with pytest.raises(FileNotFoundError, match="none.h5: there is no such file"):
        combine(tmp_path / "all.h5", tmp_path / "none.h5")
    write(tmp_path / "c.h5", draw()[1])
    with pytest.raises(InputError, match="c.h5: holds no group of rates"):
        combine(tmp_path / "all.h5", tmp_path / "c.h5")
    files[0].write_bytes(files[0].read_bytes()[:-500])
    assert main(["combine", str(tmp_path / "all.h5"), *map(str, files)]) == 2
    assert "a.h5: cannot be read as HDF5" in capsys.readouterr().err
    assert not (tmp_path / "all.h5").exists()
    assert main(["combine", str(tmp_path / "all.h5"), str(files[1])]) == 0
    assert "all.h5 with mc_maze_20, mc_rtt." in capsys.readouterr().out
