"""Files that take their places in a run's folder together, or not at all."""

import contextlib
import os
import pathlib
import shutil
import signal

import pytest

from nlbprob import files
from nlbprob.errors import InputError
from nlbprob.storage import lock, manifest, reading, staging
from tests import runs

NAMES = ("config.json", "posterior", "metrics.json")


def write(stage, text, *names):
    """Write these files of a run, and note them."""
    for name in names:
        path = stage.path / (f"{name}/part" if name == "posterior" else name)
        path.parent.mkdir(exist_ok=True)
        files.write_text(path, text)
        stage.add(name)


def make(folder, text="old", keep=False, names=NAMES, error=None):
    """A run of these files, which ends early by an error where there is one."""
    with staging.new_run(folder, NAMES, keep) as stage:
        write(stage, text, *names)
        if error is not None:
            (stage.path / "metrics.json").write_text("torn")
            raise error


def add(folder, text, name, error=None):
    """Write one file more, unless there is an error."""
    with staging.additions(folder, [name]) as stage:
        write(stage, text, name)
        if error is not None:
            raise error


def contents(folder):
    """The files in a folder by their path, without the manifest."""
    found = {p.relative_to(folder).as_posix(): p.read_text() for p in sorted(folder.rglob("*")) if p.is_file()}
    found.pop(manifest.NAME, None)
    return found


WHOLE = ("config.json", "metrics.json", "posterior/part")


def test_files_appear_together_and_are_listed(tmp_path):
    folder = tmp_path / "a" / "run"
    with staging.new_run(folder, NAMES, keep=False) as stage:
        write(stage, "new", *NAMES)
        assert manifest.read(folder).state == "running"
        assert not (folder / "config.json").exists()
        assert lock.holder(folder).pid == os.getpid()
    assert contents(folder) == dict.fromkeys(WHOLE, "new")
    run = reading.examine(folder)
    assert (run.state, run.holder, run.left) == ("done", None, None)
    assert set(run.manifest.files) == set(WHOLE)
    assert [reading.condition(run, name) for name in WHOLE] == ["ok"] * 3
    assert reading.strangers(run) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("no luck\nat all")])
def test_a_first_run_that_ends_early_says_so_and_keeps_what_was_whole(tmp_path, error):
    with pytest.raises(type(error)):
        make(tmp_path / "run", "new", names=NAMES[:2], error=error)
    run = reading.examine(tmp_path / "run")
    assert run.state == ("interrupted" if isinstance(error, KeyboardInterrupt) else "failed: no luck")
    assert set(run.manifest.files) == {"config.json", "posterior/part"}
    assert run.kept


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("no luck")])
def test_a_run_is_kept_until_the_new_one_is_whole(tmp_path, error):
    make(tmp_path)
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "mine").write_text("mine")
    before = manifest.read(tmp_path)
    with pytest.raises(type(error)):
        make(tmp_path, "new", keep=True, names=NAMES[:2], error=error)
    assert manifest.read(tmp_path) == before
    assert all(contents(tmp_path)[name] == "old" for name in WHOLE)
    assert "A later fit" in reading.remark(reading.examine(tmp_path))
    make(tmp_path, "newer", keep=True)
    assert contents(tmp_path) == {**dict.fromkeys(WHOLE, "newer"), "test/mine": "mine"}


def test_only_what_a_manifest_lists_is_replaced_or_deleted(tmp_path):
    make(tmp_path)
    (tmp_path / "posterior" / "mine").write_text("mine")
    with staging.additions(tmp_path, ["test"]) as stage:
        (stage.path / "test").mkdir()
        files.write_text(stage.path / "test" / "record", "old")
        stage.add("test")
    (tmp_path / "test" / "mine").write_text("mine")
    with staging.new_run(tmp_path, ["config.json"], keep=True) as stage:
        write(stage, "new", "config.json")
    assert contents(tmp_path) == {"config.json": "new", "posterior/mine": "mine", "test/mine": "mine"}
    with pytest.raises(InputError, match="posterior there belongs to no run, and is in the way"):
        make(tmp_path, keep=True)
    with pytest.raises(InputError, match="test there belongs to no run"), staging.additions(tmp_path, ["test"]):
        pass


@pytest.mark.parametrize("name", staging.STAGES)
def test_a_strangers_folder_in_the_place_of_a_stage_is_left_alone(tmp_path, name):
    make(tmp_path)
    (tmp_path / name).mkdir()
    (tmp_path / name / "mine").write_text("mine")
    with pytest.raises(InputError, match="there belongs to no run"):
        make(tmp_path, "new", keep=True)
    place = "unfinished" if name == ".finished" else name  # where it is seen
    assert contents(tmp_path) == {**dict.fromkeys(WHOLE, "old"), f"{place}/mine": "mine"}
    shutil.rmtree(tmp_path / place)
    make(tmp_path, "new", keep=True)


def test_nothing_is_written_through_a_link(tmp_path):
    make(tmp_path / "run")
    shutil.move(tmp_path / "run" / "posterior", tmp_path / "elsewhere")
    (tmp_path / "run" / "posterior").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="posterior there belongs to no run"):
        make(tmp_path / "run", "new", keep=True)
    assert contents(tmp_path / "elsewhere") == {"part": "old"}


def test_additions_that_fail_change_nothing(tmp_path):
    make(tmp_path)
    before = contents(tmp_path), manifest.read(tmp_path)
    with pytest.raises(ValueError, match="no luck"):
        add(tmp_path, "new", "metrics.json", ValueError("no luck"))
    assert (contents(tmp_path), manifest.read(tmp_path)) == before
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path, "newer", keep=True, names=NAMES[:2], error=KeyboardInterrupt())
    add(tmp_path, "new", "metrics.json")
    assert (tmp_path / "unfinished" / "posterior" / "part").read_text() == "newer"
    shutil.rmtree(tmp_path / "unfinished")
    run = reading.examine(tmp_path)
    assert contents(tmp_path) == {**dict.fromkeys(WHOLE, "old"), "metrics.json": "new"}
    assert (run.state, reading.condition(run, "metrics.json")) == ("done", "ok")


class Killed(BaseException):
    """In the place of SIGKILL: nothing after it is carried out."""


def steps(monkeypatch, number):
    """Raise Killed in the place of the `number`-th change of a name, and of everything that the cleaning up does."""
    left = [number]

    def wrapped(function):
        def call(*arguments, **options):
            left[0] -= 1
            if left[0] <= 0:
                raise Killed
            return function(*arguments, **options)

        return call

    for owner, name in [
        (os, "replace"),
        (os, "rename"),
        (pathlib.Path, "unlink"),
        (pathlib.Path, "rmdir"),
        (pathlib.Path, "mkdir"),
        (shutil, "rmtree"),
    ]:
        monkeypatch.setattr(owner, name, wrapped(getattr(owner, name)))
    return left


@pytest.mark.parametrize("keep", [False, True])
def test_a_kill_at_any_step_leaves_the_old_files_or_the_new(tmp_path, monkeypatch, keep):
    """Each change of a name is tried as the last thing that the process does."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # hundreds of files
    whole = {name: dict.fromkeys(WHOLE, name) for name in ("old", "new")}
    number, states = 0, set()
    while number < 200:
        number += 1
        folder = tmp_path / str(number)
        folder.mkdir()
        if keep:
            make(folder)
        (folder / "notes.txt").write_text("mine")
        with pytest.MonkeyPatch.context() as patch:
            left = steps(patch, number)
            with contextlib.suppress(Killed):
                make(folder, "new", keep)
        if left[0] > 0:
            break
        found = reading.examine(folder)
        inside = {k: v for k, v in contents(folder).items() if not k.startswith((".", "unfinished"))}
        assert inside.pop("notes.txt") == "mine"
        if found is None:
            assert not keep
            assert inside == {}
            states.add("none")
        else:
            states.add(found.state)
            assert all(reading.condition(found, name) == "ok" for name in found.manifest.files)
            if found.state == "done":
                assert inside in ([whole["new"], whole["old"]] if keep else [whole["new"]])
            else:
                assert not keep
                assert set(inside) == set(found.manifest.files)
        make(folder, "newest", keep=found is not None and found.kept)
        assert contents(folder) == {**dict.fromkeys(WHOLE, "newest"), "notes.txt": "mine"}
    assert 15 < number < 200
    assert "done" in states


def test_signals_wait_while_files_take_their_places(tmp_path, monkeypatch):
    real = os.replace

    def replace(source, target):
        real(source, target)
        if pathlib.Path(target).name == "config.json" and pathlib.Path(target).parent == tmp_path:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path)
    assert reading.examine(tmp_path).state == "done"
    assert contents(tmp_path) == dict.fromkeys(WHOLE, "old")


def test_a_run_that_may_only_be_read_is_read(tmp_path, monkeypatch):
    runs.make(tmp_path / "run")

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(lock, "acquire", refuse)
    assert reading.read_json(tmp_path / "run", "metrics.json")["split"] == "val"
    run = reading.examine(runs.make(tmp_path / "killed", "running"))
    assert run.state == f"failed: {staging.KILLED}"
