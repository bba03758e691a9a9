import h5py
import numpy as np
import pytest

from nlbprob.errors import InputError
from nlbprob.scoring.submission import write_submission


def test_the_groups_are_those_of_the_benchmark(make_trials, tmp_path):
    trials, rates = make_trials(forward_bins=5)
    path = tmp_path / "submission.h5"
    assert write_submission(path, rates, trials, name="mc_maze") == "mc_maze_20"
    trials_5, _ = make_trials(bin_ms=5.0)
    assert write_submission(path, rates, trials_5, name="mc_maze") == "mc_maze"
    train, val = (trials.table["split"] == name for name in ("train", "val"))
    with h5py.File(path) as file:
        assert set(file) == {"mc_maze", "mc_maze_20"}
        assert set(file["mc_maze"]) == {"train_rates_heldin", "train_rates_heldout", "eval_rates_heldin",
                                        "eval_rates_heldout"}  # fmt: skip
        group = file["mc_maze_20"]
        assert set(group) - set(file["mc_maze"]) == {"eval_rates_heldin_forward", "eval_rates_heldout_forward"}
        assert {values.dtype for values in group.values()} == {np.dtype(np.float32)}
        for key, expected in {
            "train_rates_heldin": rates[train, :25][..., trials.heldin],
            "eval_rates_heldout": rates[val, :25][..., trials.heldout],
            "eval_rates_heldout_forward": rates[val, 25:][..., trials.heldout],
        }.items():
            np.testing.assert_array_equal(group[key][()], expected.astype(np.float32))


def test_the_name_is_by_default_that_of_the_file(make_trials, tmp_path):
    trials, rates = make_trials(source={"file": "somewhere/reach.nwb"})
    assert write_submission(tmp_path / "a.h5", rates, trials) == "reach_20"


@pytest.mark.parametrize(("value", "message"), [(0, "exactly zero"), (1e-60, "exactly zero"), (np.nan, "not finite")])
def test_bad_rates_are_refused_and_nothing_is_written(make_trials, tmp_path, value, message):
    trials, rates = make_trials()
    rates[0, 0, 0] = value
    with pytest.raises(InputError, match=message):
        write_submission(tmp_path / "a.h5", rates, trials)
    assert not (tmp_path / "a.h5").exists()


def test_rates_in_hertz_are_refused(make_trials, tmp_path):
    trials, rates = make_trials()
    with pytest.raises(InputError, match="look like Hz"):
        write_submission(tmp_path / "a.h5", 50 * rates, trials)


def test_a_group_is_not_written_twice_nor_into_another_kind_of_file(make_trials, tmp_path):
    trials, rates = make_trials()
    write_submission(tmp_path / "a.h5", rates, trials, name="x")
    with pytest.raises(InputError, match="already holds rates for 'x_20'"):
        write_submission(tmp_path / "a.h5", rates, trials, name="x")
    (tmp_path / "b.h5").write_text("not HDF5")
    with pytest.raises(InputError, match="b.h5: cannot be opened as an HDF5 file"):
        write_submission(tmp_path / "b.h5", rates, trials)


def test_what_the_file_held_stays_and_is_replaced_as_a_whole(make_trials, tmp_path):
    trials, rates = make_trials()
    write_submission(tmp_path / "a.h5", rates, trials, name="x")
    before = (tmp_path / "a.h5").stat().st_ino
    write_submission(tmp_path / "a.h5", rates, trials, name="y")
    assert (tmp_path / "a.h5").stat().st_ino != before
    with h5py.File(tmp_path / "a.h5") as file:
        assert set(file) == {"x_20", "y_20"}
        np.testing.assert_array_equal(file["x_20/eval_rates_heldin"], file["y_20/eval_rates_heldin"])
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.h5"]


def test_any_flipped_byte_of_a_structure_is_noticed(make_trials, tmp_path):
    trials, rates = make_trials()
    write_submission(tmp_path / "a.h5", rates, trials, name="x")
    content = (tmp_path / "a.h5").read_bytes()
    place = content.index(b"OHDR") + 20
    (tmp_path / "a.h5").write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    with pytest.raises(InputError, match="a.h5: cannot be (opened|read) as"):
        write_submission(tmp_path / "a.h5", rates, trials, name="y")


@pytest.mark.parametrize("name", ["a/b", "."])
def test_a_name_is_one_of_a_group(make_trials, tmp_path, name):
    trials, rates = make_trials(bin_ms=5.0)
    with pytest.raises(InputError, match="expected the name of a group, without a slash"):
        write_submission(tmp_path / "a.h5", rates, trials, name=name)


def test_a_place_that_is_none_is_named(make_trials, tmp_path):
    trials, rates = make_trials()
    for path in (tmp_path, tmp_path / "nowhere" / "a.h5"):
        with pytest.raises(InputError, match="is no file in a folder that exists"):
            write_submission(path, rates, trials)
