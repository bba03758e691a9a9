"""Fits that are ended at random moments: the folder says truly what it holds, and holds nothing half-written."""

import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest

from nlbprob.storage import reading, staging
from tests import runs
from tests.damage.worker import seeds

ROOT = pathlib.Path(__file__).resolve().parents[2]
#: In the tests the stages of a fit are made up, else it is a real one.
REAL = os.environ.get("NLBPROB_DAMAGE") == "full"
SHORT = ["--model.dim", "2", "--em-iterations", "2", "--svi-steps", "2", "--draws", "4", "--bin-ms", "20"]
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


def command(recording, out, *flags):
    module = "nlbprob" if REAL else "tests.damage.short_fit"
    return [sys.executable, "-m", module, "fit", "poisson_lds", str(recording), "--out", str(out), *SHORT, *flags]


@pytest.fixture(scope="module")
def whole(recorded_file, tmp_path_factory):
    """How long a fit takes that nobody ends, after a first one has filled the cache; and its files."""
    out = tmp_path_factory.mktemp("whole") / "run"
    if REAL:
        subprocess.run(command(recorded_file, out), capture_output=True, check=True)
    start = time.monotonic()
    subprocess.run(command(recorded_file, out, "--force"), capture_output=True, check=True)
    return time.monotonic() - start, set(reading.existing(out).manifest.files)


def ended(words, number, delay):
    """Start a command and send it a signal; its exit code and what it wrote to the terminal."""
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        if not REAL:
            process.stdout.readline()  # Python itself has started
        try:
            process.wait(delay)
        except subprocess.TimeoutExpired:
            process.send_signal(number)
        _, shown = process.communicate(timeout=280)
    return process.returncode, shown


@pytest.mark.parametrize("seed", list(seeds(30, 3)))
def test_a_fit_that_is_ended_leaves_a_folder_that_says_so(seed, recorded_file, whole, tmp_path):
    seconds, names = whole
    draw = random.Random(seed)
    number, replaces = SIGNALS[seed % 3], bool(seed // 3 % 2) if REAL else seed == 0
    out = tmp_path / "run"
    strangers = {tmp_path / "mine.txt": "mine", tmp_path / "test" / "mine.txt": "mine"}
    if replaces:
        runs.make(out)
        strangers |= {out / "notes.txt": "mine", out / "test" / "mine.txt": "mine", out / "posterior" / "mine": "mine"}
    for path, text in strangers.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    code, shown = ended(
        command(recorded_file, out, *(["--force"] if replaces else [])), number, draw.uniform(0, seconds)
    )

    if code == -number != -signal.SIGKILL:  # it came before the command had begun
        assert out.exists() == replaces, shown
    else:
        assert code in ({0, -9} if number == signal.SIGKILL else {0, 130}), shown
    assert "Traceback" not in shown or not out.exists()
    assert {path: path.read_text() for path in strangers} == strangers
    run = reading.examine(out)
    if run is None:
        assert not replaces
        assert not out.exists() or {path.name for path in out.iterdir()} <= {".lock"}
        return
    assert run.holder is None
    assert all(reading.condition(run, name) == "ok" for name in run.manifest.files)
    assert {out / name for name in reading.strangers(run)} == {path for path in strangers if out in path.parents}
    if run.manifest.state == "done":
        assert set(run.manifest.files) == names or (replaces and "report.html" not in run.manifest.files)
    else:
        assert not replaces
        assert run.state in ("interrupted", f"failed: {staging.KILLED}")
        assert run.state.startswith("failed") == (number == signal.SIGKILL)
        assert "metrics.json" not in run.manifest.files or "report.html" in run.manifest.files
    if not (REAL or replaces):  # the machine has other tests to run
        return
    done = subprocess.run(command(recorded_file, out, "--force"), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert set(reading.existing(out).manifest.files) == names
    assert {path: path.read_text() for path in strangers} == strangers
