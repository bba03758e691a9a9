"""A disk that fills up, or a limit on the size of files, at any point of a run."""

import contextlib
import io
import pathlib
import resource
import subprocess

import pytest

from nlbprob.cli import main
from nlbprob.storage import reading
from tests import runs
from tests.damage import short_fit

#: kB that the disk takes: from nothing to nearly a run.
SIZES = (4, 8, 16, 28, 40, 64, 96, 128, 160, 192, 224, 256)


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    """A function that gives an empty disk of so many kB."""
    folder = tmp_path_factory.mktemp("disk")
    mount = ["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the permission to mount a small disk")

    def empty(size):
        for path in folder.iterdir():
            subprocess.run(["rm", "-r", str(path)], check=True)
        subprocess.run(["mount", "-o", f"remount,size={size}k", str(folder)], check=True)
        return folder

    yield empty
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fit(out: pathlib.Path, *flags: str, limit_kb: int | None = None) -> tuple[int, str]:
    """A fit in the worker's process; its exit code and what it says on the standard error stream."""
    short_fit.STAGE_S = 0.001
    words = ["fit", "poisson_lds", "a.nwb", "--bin-ms", "5", "--out", str(out), *flags]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    if limit_kb is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_kb * 1024, before[1]))
    try:
        with (
            short_fit.made_up(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()) as shown,
        ):
            return main(words), shown.getvalue()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def check(outcome, out, message):
    """See that one line was said, and that no file is torn."""
    assert outcome.kind == "fine", outcome
    code, shown = outcome.value
    assert not list(out.parent.rglob("*.tmp"))
    run = reading.examine(out)
    if code == 0:
        assert run.state == "done"
    else:
        assert code == 2
        assert shown.count("\n") == 1, shown
        assert message in shown
        assert str(out) in shown
    if run is not None:
        assert all(reading.condition(run, name) == "ok" for name in run.manifest.files)
        assert reading.strangers(run) == []
        assert run.state == "done" or "metrics.json" not in run.manifest.files
    return code


def test_a_full_disk_is_told_in_a_line_and_leaves_no_torn_file(worker, disk):
    codes = []
    for size in SIZES:
        out = disk(size) / "run"
        codes.append(check(worker.call(fit, out), out, "no space left on device; free some space"))
    out = disk(2000) / "run"
    assert worker.call(fit, out).value[0] == 0
    assert codes.count(2) > 8


def test_a_full_disk_leaves_the_run_that_was_to_be_replaced(worker, disk):
    for size in (40, 100, 200):
        out = disk(size) / "run"
        runs.make(out)
        before = reading.existing(out).manifest
        assert check(worker.call(fit, out, "--force"), out, "no space left on device; free some space") == 2
        assert reading.existing(out).manifest == before
        assert main(["score", str(out)]) == 0


@pytest.mark.parametrize("limit_kb", [0, 1, 3, 20, 50, 70])
def test_a_limit_on_the_size_of_files_is_told_likewise(worker, tmp_path, limit_kb):
    out = tmp_path / "run"
    outcome = worker.call(limited, out, limit_kb)
    assert check(outcome, out, "file too large; this disk or your limits (ulimit -f)") == 2


def limited(out: pathlib.Path, limit_kb: int) -> tuple[int, str]:
    """`fit` with a limit."""
    return fit(out, limit_kb=limit_kb)
