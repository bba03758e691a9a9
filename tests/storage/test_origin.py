"""Whether a recording is still the one that was fitted."""

import os

import pytest

from nlbprob.errors import InputError
from nlbprob.storage.origin import Source, check_recording, files_of
from tests.data.nlb import conftest as pairs


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a.nwb"
    path.write_bytes(b"recording")
    return path


def test_a_content_is_told_by_size_and_checksum_and_read_only_where_stamps_differ(file, monkeypatch):
    source = Source.of(file).hashed()
    assert source.difference() is None
    with monkeypatch.context() as patch:
        patch.setattr(Source, "hashed", None)  # not called
        assert source.difference() is None
    os.utime(file, ns=(1, 1))
    assert source.difference() is None
    file.write_bytes(b"recordinG")
    assert source.difference() == "its content is another one (by its SHA-256)"
    file.write_bytes(b"longer than before")
    assert source.difference() == "it has 18 bytes, and had 9"
    file.unlink()
    assert source.difference() == "it is no longer there"
    with pytest.raises(
        InputError, match=r"a.nwb: is not the recording that .*run was fitted to on 2026-01-02: it is no"
    ):
        check_recording([source], file.with_name("run"), "2026-01-02T01:01:01")


def test_a_checksum_is_of_the_content_that_was_there_before_or_none(file):
    before = Source.of(file)
    file.write_bytes(b"another one")
    assert before.hashed().sha256 is None
    same = Source.of(file)
    os.utime(file, ns=(1, 1))
    assert "checksum was not taken" in str(same.difference())


def test_a_copy_elsewhere_is_the_same(file, tmp_path):
    (tmp_path / "b.nwb").write_bytes(b"recording")
    assert Source.of(file).hashed().difference(tmp_path / "b.nwb") is None


def test_all_files_of_a_recording_are_found(file, tmp_path):
    assert files_of(str(file)) == [file]
    assert files_of([str(file), str(file)]) == [file, file]
    assert files_of("https://example.org/a.nwb") == []
    folder = pairs.write_both("mc_maze_small", *pairs.maze(), tmp_path / "data")
    assert sorted(path.suffix for path in files_of(str(folder), "mc_maze_small")) == [".nwb", ".nwb"]
