"""Files of the benchmark and recordings on a disk that fills up: one clear line, no torn file, no crash."""

import contextlib
import os
import shutil
import subprocess

import h5py
import numpy as np
import pytest

import nlbprob as nlb
from nlbprob.data.nlb import write_h5
from nlbprob.data.write import write_pair
from nlbprob.files import WriteError
from nlbprob.scoring.combine import combine
from nlbprob.scoring.submission import write_submission
from tests.scoring.files import draw, write


def small_trials(number=8):
    random = np.random.default_rng(0)
    return nlb.Trials.from_arrays(random.poisson(0.5, (number, 40, 12)).astype(float), bin_ms=20.0).replace(
        table={"id": np.arange(number), "split": np.where(np.arange(number) % 4 == 3, "val", "train")},
        neurons={"id": np.arange(12), "heldout": np.arange(12) % 4 == 3},
    )


def submit(folder, source):
    trials = small_trials()
    write_submission(folder / "out.h5", np.random.default_rng(1).uniform(0.3, 0.7, trials.counts.shape), trials)


def merge(folder, source):
    combine(folder / "out.h5", source)


def tensors(folder, source):
    write_h5(folder / "out.h5", {"x": np.random.default_rng(0).normal(size=(40, 40, 20))})


def recording(folder, source):
    write_pair(folder, small_trials())


WRITERS = [submit, merge, tensors, recording]


@pytest.fixture
def source(tmp_path):
    return write(tmp_path / "source.h5", {"mc_rtt_20": draw("mc_rtt_20")[0]})


def told(call, *arguments):
    """What a call says of the disk, if it does."""
    try:
        call(*arguments)
    except WriteError as error:
        return str(error)
    return ""


def whole(path):
    """Whether every value of an HDF5 file can be read."""
    with h5py.File(path) as file:
        file.visititems(lambda name, item: item[()] if isinstance(item, h5py.Dataset) else None)
    return True


@contextlib.contextmanager
def disk(folder, kibibytes):
    """A disk of its own of a size."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={kibibytes}k", "tmpfs", str(folder)]
    if os.geteuid() or not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("needs the right to mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("kibibytes", [4, 16, 48, 96, 192, 4096])
@pytest.mark.parametrize("call", WRITERS)
def test_a_full_disk_leaves_no_torn_file(tmp_path, source, call, kibibytes):
    with disk(tmp_path / "small", kibibytes) as folder:
        said = told(call, folder, source)
        if said:
            assert "cannot be written: no space left on device; free some space" in said
            assert "\n" not in said
        else:
            assert os.listdir(folder)
        assert all(whole(path) for path in folder.iterdir())
        assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("call", WRITERS)
def test_a_write_that_fails_leaves_the_folder_as_it_was(tmp_path, source, monkeypatch, call):
    folder = tmp_path / "out"
    folder.mkdir()

    def refuse(handle):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(WriteError, match="cannot be written: no space left on device; free some space"):
        call(folder, source)
    assert not list(folder.iterdir())


def test_a_group_that_cannot_be_added_leaves_the_submission(tmp_path, source, monkeypatch):
    folder = tmp_path / "out"
    folder.mkdir()
    shutil.copy(source, folder / "out.h5")
    before = (folder / "out.h5").read_bytes()

    def refuse(handle):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(WriteError):
        submit(folder, source)
    assert (folder / "out.h5").read_bytes() == before
    assert os.listdir(folder) == ["out.h5"]
    monkeypatch.undo()
    submit(folder, source)
    with h5py.File(folder / "out.h5") as file:
        assert set(file) == {"mc_rtt_20", "recording_20"}
