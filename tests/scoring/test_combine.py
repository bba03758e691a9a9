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


def test_what_is_kept_in_the_file_is_copied_and_links_become_arrays(tmp_path, capsys):
    rates = draw()[0]
    path = write(tmp_path / "a.h5", {"mc_maze_20": rates})
    with h5py.File(path, "r+") as file:
        file.move("mc_maze_20/eval_rates_heldin", "moved")
        file["mc_maze_20/eval_rates_heldin"] = h5py.SoftLink("/moved")
        file["mc_maze_20/remark"] = "ours"
        file["mc_maze_20"].attrs["model"] = "lds"
        file["\x1b[2J"] = file["mc_maze_20"]
    assert main(["combine", str(tmp_path / "all.h5"), str(path)]) == 0
    assert "with \\x1b[2J, mc_maze_20." in capsys.readouterr().out
    path.unlink()
    with h5py.File(tmp_path / "all.h5") as merged:
        for key, values in rates.items():
            np.testing.assert_array_equal(merged["mc_maze_20"][key], values)
        assert merged["mc_maze_20/remark"].asstr()[()] == "ours"
        assert merged["mc_maze_20"].attrs["model"] == "lds"


@pytest.mark.parametrize(
    ("forge", "message"),
    [
        (
            lambda g: g.__setitem__("more", h5py.ExternalLink("b.h5", "/x")),
            "mc_maze_20: more is a link to another file",
        ),
        (lambda g: g.create_group("more"), "mc_maze_20: more is a group, not an array"),
        (lambda g: g.create_dataset("more", data=[g.ref], dtype=h5py.ref_dtype), "more holds references"),
        (lambda g: g.parent.__setitem__("more", h5py.SoftLink("more")), "more: is a link that leads round in a circle"),
    ],
)
def test_what_leads_out_of_the_file_is_refused(tmp_path, forge, message):
    path = write(tmp_path / "a.h5", {"mc_maze_20": draw()[0]})
    with h5py.File(path, "r+") as file:
        forge(file["mc_maze_20"])
    with pytest.raises(InputError, match=message):
        combine(tmp_path / "all.h5", path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.h5"]


def test_damaged_values_are_not_copied(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("mc_rtt/eval_rates_heldout", data=np.random.default_rng(0).random(500), compression="gzip")
        place = file["mc_rtt/eval_rates_heldout"].id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[place + 100] ^= 255
    path.write_bytes(content)
    with pytest.raises(InputError, match="a.h5: mc_rtt: eval_rates_heldout cannot be read"):
        combine(tmp_path / "all.h5", path)


def test_a_folder_that_is_not_there_is_named(files, tmp_path):
    with pytest.raises(InputError, match="all.h5: there is no folder .*nowhere; make it first"):
        combine(tmp_path / "nowhere" / "all.h5", *files)
