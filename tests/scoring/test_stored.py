"""What stands in a file is looked at before it is read, and nothing is read from any other file."""

import os

import h5py
import numpy as np
import pytest

from nlbprob.errors import InputError
from nlbprob.scoring.hdf5 import array, entry, opened
from nlbprob.scoring.stored import MOST_BYTES, MOST_ENTRIES, StoredArray, StoredGroup, Unusable
from tests.damage import submissions

SHAPE = (10, 35, 6)


@pytest.fixture
def look(tmp_path):
    """What a forged entry of a group is found to be, and the words of the refusal to read it."""

    def call(forge, key="eval_rates_heldout"):
        path = tmp_path / "a.h5"
        with h5py.File(path, "w") as file:
            file[f"{submissions.GROUP}/{key}"] = np.ones(SHAPE)
            forge(file[submissions.GROUP], key, tmp_path)
        with opened(path, "submission") as groups:
            found = groups[submissions.GROUP][key]
            with pytest.raises(InputError) as caught:
                array(groups[submissions.GROUP], key)
        return found, str(caught.value)

    return call


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (submissions.elsewhere, "is a link to another file, which is not followed"),
        (submissions.circle, "is a link that leads round in a circle"),
        (submissions.virtual, "keeps its values in other files"),
        (submissions.outside, "keeps its values in other files"),
        (submissions.records, "holds records, not numbers"),
        (submissions.terabytes, "has the shape (10, 35, 10000000000)"),
        (submissions.terabyte_of_zeros, "3.73e+03 GiB, and no array of the benchmark has over 2"),
        (submissions.opaque, "holds raw bytes, not numbers"),
        (submissions.coded, "holds codes for names, not numbers"),
        (submissions.referring, "holds references, not numbers"),
        (submissions.texts, "holds text, not numbers"),
        (submissions.rows_of_arrays, "holds raw bytes, not numbers"),
        (submissions.never_written, "has the shape (10, 35, 6) and no values"),
    ],
)
def test_what_holds_no_rates_is_refused_unread(look, make, words):
    found, said = look(submissions.forged(make))
    assert isinstance(found, Unusable)
    assert said.startswith("eval_rates_heldout ")
    assert words in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (np.ones(SHAPE) * 1j, "holds complex values, not numbers"),
        (np.array([b"a", b"b"]), "holds text, not numbers"),
        (h5py.Empty("f4"), "is empty"),
        (np.dtype("f4"), "is the name of a type"),
        (h5py.SoftLink("/nowhere"), "cannot be read"),
        (h5py.SoftLink("relative/nowhere"), "cannot be read"),
    ],
)
def test_what_is_no_array_of_numbers_is_refused(look, value, words):
    found, said = look(submissions.put(value))
    assert isinstance(found, Unusable)
    assert words in said


def test_an_external_link_in_the_middle_of_a_soft_one_is_not_followed(look, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)  # whoever opens it waits for ever

    def forge(group, key, folder):
        del group[key]
        group["out"] = h5py.ExternalLink(str(pipe), "/")
        group[key] = h5py.SoftLink(f"/{submissions.GROUP}/out/x")

    assert "is a link to another file, which is not followed" in look(forge)[1]


def test_a_chunk_too_large_to_be_held_is_refused(look):
    def forge(group, key, folder):
        del group[key]
        space, plan = (
            h5py.h5s.create_simple((2, 2, 2), (h5py.h5s.UNLIMITED,) * 3),
            h5py.h5p.create(h5py.h5p.DATASET_CREATE),
        )
        plan.set_chunk((1, 1, MOST_BYTES // 4))
        h5py.h5d.create(group.id, key.encode(), h5py.h5t.IEEE_F64LE, space, dcpl=plan)

    assert "has the shape (2, 2, 2)" in look(forge)[1]


def test_links_inside_the_file_are_followed(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["kept/rates"] = np.arange(6.0)
        file["group/absolute"] = h5py.SoftLink("/kept/rates")
        file["group/again"] = h5py.SoftLink("absolute")
        file["group/hard"] = file["kept/rates"]
        file["other"] = h5py.SoftLink("group")
    with opened(path, "submission") as groups:
        assert isinstance(groups["other"], StoredGroup)
        for key in ("absolute", "again", "hard"):
            np.testing.assert_array_equal(array(groups["other"], key), np.arange(6.0))


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4", "i1", "i4", "u2", "f16"])
def test_numbers_of_any_width_are_read(tmp_path, dtype):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = np.arange(5).astype(dtype)
    with opened(tmp_path / "a.h5", "submission") as groups:
        values = array(groups, "x", (5,))
    np.testing.assert_array_equal(values, np.arange(5))
    assert values.dtype.itemsize >= 4


def test_an_array_of_another_shape_is_not_read(tmp_path, monkeypatch):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = np.zeros((3, 4))
    monkeypatch.setattr(StoredArray, "read", lambda *_: pytest.fail("it was read"))
    with opened(tmp_path / "a.h5", "submission") as groups:
        with pytest.raises(InputError, match=r"x has shape \(3, 4\), the targets need \(3, 5\)"):
            array(groups, "x", (3, 5))
        assert entry(groups, "x").shape == (3, 4)


def test_of_a_group_with_very_many_entries_the_first_are_looked_at(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for number in range(MOST_ENTRIES + 5):
            file.create_group(f"{number:05}")
    with opened(tmp_path / "a.h5", "submission") as groups:
        assert len(groups) == MOST_ENTRIES


def test_a_filter_that_is_not_installed_is_told(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", data=np.arange(100), chunks=(100,), compression="lzf")
    content = bytearray((tmp_path / "a.h5").read_bytes())
    place = content.index(b"lzf") - 8  # a filter's number comes before its name
    assert content[place : place + 2] == (32000).to_bytes(2, "little")
    content[place : place + 2] = (12345).to_bytes(2, "little")
    (tmp_path / "a.h5").write_bytes(content)
    words = "x is compressed in a way that is not installed .*; write it with gzip or without"
    with opened(tmp_path / "a.h5", "submission") as groups, pytest.raises(InputError, match=words):
        array(groups, "x")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.mkdir(), "a: is a folder or a device; name a file with submission"),
        (os.mkfifo, "a: is a folder or a device; name a file with submission"),
        (lambda path: path.touch(), "a: cannot be read as HDF5"),
        (lambda path: path.write_text("rates"), "a: cannot be read as HDF5 .file signature not found.; write or"),
    ],
)
def test_what_is_no_file_is_told_at_once(tmp_path, make, words):
    make(tmp_path / "a")
    with pytest.raises(InputError, match=words), opened(tmp_path / "a", "submission"):
        pass


def test_what_is_no_place_of_a_file_is_told():
    with pytest.raises(InputError, match="the submission: expected a file or a dictionary of groups, got int"):
        opened(5, "submission").__enter__()


def test_an_open_file_is_looked_at_too(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["group/x"] = h5py.ExternalLink("/dev/zero", "/")
        with opened(file, "submission") as groups:
            assert isinstance(groups["group"]["x"], Unusable)


def test_masked_entries_are_nan_and_objects_are_refused():
    masked = np.ma.masked_array([1, 2, 3], mask=[False, True, False])
    np.testing.assert_array_equal(array({"x": masked}, "x"), [1, np.nan, 3])
    for value in (["a"], None, [[1], [1, 2]], {"y": 1}, np.array([1, None])):
        with pytest.raises(InputError, match="^x "):
            array({"x": value}, "x")
    with pytest.raises(InputError, match="groups and arrays have names, not 5"), opened({5: {}}, "submission"):
        pass
