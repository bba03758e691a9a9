"""Finding the two files of a data set, and what is said where they are not there."""

import shutil

import pytest

from nlbprob.data.nlb import DATASETS, facts, splits, suffix
from nlbprob.data.nlb.files import find_pair
from nlbprob.errors import InputError

MAZE = DATASETS["mc_maze_small"]
NAMES = "sub-Jenkins_ses-small_desc-train_behavior+ecephys.nwb", "sub-Jenkins_ses-small_desc-test_ecephys.nwb"


def touch(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()


@pytest.mark.parametrize("inside", [".", "sub-Jenkins", "000140/sub-Jenkins"])
def test_flat_or_nested(tmp_path, inside):
    touch(tmp_path / inside, *NAMES)
    assert find_pair(tmp_path, MAZE) == (tmp_path / inside / NAMES[0], tmp_path / inside / NAMES[1])


def test_other_data_sets_may_lie_beside_it(tmp_path):
    touch(tmp_path, *NAMES, *(name.replace("small", "large") for name in NAMES), "sub-Indy_desc-test_ecephys.nwb")
    assert [path.name for path in find_pair(tmp_path, MAZE)] == list(NAMES)


@pytest.mark.parametrize(
    ("present", "message"),
    [
        (
            NAMES[:1],
            "the test file of mc_maze_small is missing beside sub-Jenkins_ses-small_desc-train.*of DANDI set 000140",
        ),
        (NAMES[1:], "the train file of mc_maze_small is missing beside sub-Jenkins_ses-small_desc-test"),
        (["sub-Indy_desc-train_behavior+ecephys.nwb"], "holds mc_rtt, not mc_maze_small; get sub-Jenkins_ses-small"),
        (["session.nwb"], "holds session.nwb, not mc_maze_small"),
    ],
)
def test_wrong_files_are_named(tmp_path, present, message):
    touch(tmp_path, *present)
    with pytest.raises(InputError, match=message):
        find_pair(tmp_path, MAZE)


def test_no_files_one_file_and_two_copies(tmp_path):
    with pytest.raises(
        FileNotFoundError, match="there is no such folder; name the one with the files of mc_maze_small"
    ):
        find_pair(tmp_path / "data", MAZE)
    with pytest.raises(FileNotFoundError, match="holds no NWB file; get sub-Jenkins_ses-small_desc-train_"):
        find_pair(tmp_path, MAZE)
    touch(tmp_path, *NAMES)
    with pytest.raises(InputError, match="is a file; name the folder with the train and the test file"):
        find_pair(tmp_path / NAMES[0], MAZE)
    shutil.copytree(tmp_path, tmp_path / "copy")
    with pytest.raises(InputError, match="two train files of mc_maze_small"):
        find_pair(tmp_path, MAZE)


def test_names_of_data_sets_and_phases():
    assert facts("mc_maze_large").lag_ms == 120
    with pytest.raises(InputError, match="dataset: 'mc_maze_smal' is none of NLB'21. Did you mean 'mc_maze_small'"):
        facts("mc_maze_smal")
    assert splits("test") == (("train", "val"), "test")
    with pytest.raises(InputError, match="phase: 'validation' is neither"):
        splits("validation")
    assert (suffix(5), suffix(20.0), suffix(10)) == ("", "_20", "_10")


def test_every_data_set_has_windows_of_whole_bins():
    for dataset in DATASETS.values():
        first, last = dataset.window_ms
        assert (last - first) % 20 == 0
        assert (dataset.behavior is None) == bool(dataset.trial_behavior)
        assert dataset.test_columns <= dataset.train_columns
