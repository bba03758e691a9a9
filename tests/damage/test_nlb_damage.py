"""Damaged files of the benchmark: its own way of reading them ends in a message or in numbers, never otherwise."""

import shutil

import pytest

from tests.damage.nwb_damage import damage
from tests.damage.worker import seeds
from tests.data.nlb.conftest import maze, write_content


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder with the two files of a small mc_maze, to be read only."""
    folder = tmp_path_factory.mktemp("maze")
    for kind, content in zip(("train_behavior+ecephys", "test_ecephys"), maze(), strict=True):
        write_content(folder / f"sub-Jenkins_ses-full_desc-{kind}.nwb", content)
    return folder


def loaded(folder):
    """The shape of what a load gives."""
    from nlbprob.data import load

    return load(folder, dataset="mc_maze", bin_ms=20).counts.shape


@pytest.mark.parametrize("seed", list(seeds(100, 10)))
def test_a_damaged_data_set_is_refused_or_read(worker, whole, tmp_path, seed):
    folder = shutil.copytree(whole, tmp_path / "maze")
    path = sorted(folder.iterdir())[seed % 2]
    what = damage(path, 10_000 + seed)
    outcome = worker.call(loaded, folder)
    assert outcome.kind in ("fine", "refused"), f"{what}: {outcome.kind} {outcome.text}"
    if outcome.kind == "refused":
        assert str(folder) in outcome.text, what
        assert outcome.text.isprintable(), repr(outcome.text)
