"""Damaged folders of runs: every verb that reads one says what is wrong, or says what it said before."""

import contextlib
import io
import json
import pathlib
import random
import shutil
from unittest import mock

import h5py
import numpy as np
import pytest

from nlbprob.cli import main
from nlbprob.files import write_json
from nlbprob.storage import staging
from nlbprob.storage.manifest import Manifest
from tests import runs
from tests.damage.worker import seeds
from tests.data.nlb import conftest as pairs

DATASET = "mc_maze_small"
#: In the place of values of JSON.
VALUES = (None, True, -1, 0.5, 1e400, "", "\x1b[2J", "../../x", [], {}, [[]], {"a": 1}, 10**400, "done", "running")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run with its test and with what an interrupted fit has left, and the targets of the test."""
    top = tmp_path_factory.mktemp("before", numbered=False)
    data = pairs.write_both(DATASET, *pairs.maze(), top / "data")
    options = {"dataset": DATASET, "bin_ms": 20.0}
    settings = {"model": "m.py", "data": str(data), "data_options": options}
    folder = runs.make(
        top / "run",
        config={"settings": settings, "data": {"options": options | {"seed": 0}}, "model": {"name": "m"}},
        recording=tuple(sorted(data.rglob("*.nwb"))),
    )
    record = {
        "date": "2026-01-02",
        "dataset": DATASET,
        "bin_ms": 20.0,
        "scores": {"co-bps": 0.3},
        "statement": "First.",
    }
    write_json(folder / "test.json", record | {"notes": [], "earlier": 0, "later": False, "fit_on": "train+val"})
    (folder / "report.html").write_text("<p>report</p>")
    left = runs.make(folder / staging.UNFINISHED, "interrupted", words=("fit", "m.py", "a.nwb", "--out", "run"))
    shutil.move(left, top / "left")
    runs.seal(folder, recording=tuple(sorted(data.rglob("*.nwb"))), words=("fit", "m.py", "a.nwb", "--out", "run"))
    shutil.move(top / "left", left)
    with h5py.File(top / "target.h5", "w") as file:
        file["mc_maze_small_20/eval_spikes_heldout"] = np.zeros(1)
    return top


def verbs(folder: pathlib.Path) -> list[tuple[str, int, str, str]]:
    """What each verb says of a run: its name, the exit code, and both streams. Nothing is computed."""
    target = str(folder.parent / "target.h5")
    run = str(folder)
    lines = [["check", run], ["check", run, "--json"], ["score", run], ["score", run, "--json"]]
    lines += [["leaderboard", DATASET, run], ["report", run], ["test", run, target, "--force"]]
    found = []
    for words in lines:
        with (
            mock.patch("nlbprob.settings.Settings.load", return_value=None),
            mock.patch("nlbprob.settings.Settings.learned", lambda _, trials: trials),
            mock.patch("nlbprob.functions.model.resolve_model", lambda model, _: model),
            mock.patch("nlbprob.posterior.posterior.Posterior.load", return_value=None),
            mock.patch("nlbprob.reporting.page.write_report", lambda path, **_: path.write_text("<p>report</p>")),
            mock.patch("nlbprob.testphase.evaluated", side_effect=KeyboardInterrupt),
            mock.patch("nlbprob.scoring.ledger.entries", return_value=[]),
            contextlib.redirect_stdout(io.StringIO()) as out,
            contextlib.redirect_stderr(io.StringIO()) as error,
        ):
            code = main(words)
        found.append((" ".join(words[:1] + words[2:]), code, out.getvalue(), error.getvalue()))
    return found


def damage(folder: pathlib.Path, draw: random.Random) -> bool:
    """Damage a file of a run; whether the manifest was made to agree with it."""
    names = ["manifest.json"] * 4 + ["config.json", "metrics.json", "test.json"] * 3
    names += [
        "model.py",
        "posterior/posterior.npz",
        "report.html",
        "unfinished/manifest.json",
        "unfinished/config.json",
    ]
    path = folder / draw.choice(names)
    kind = draw.choice(["flip", "cut", "delete", "empty", "folder", "link", "bytes", *["json"] * 8])
    content = path.read_bytes()
    if kind == "json" and path.suffix == ".json":
        path.write_text(json.dumps(changed(json.loads(content), draw)))
    elif kind in ("flip", "json"):
        place = draw.randrange(len(content))
        path.write_bytes(content[:place] + bytes([content[place] ^ (1 << draw.randrange(8))]) + content[place + 1 :])
    elif kind == "cut":
        path.write_bytes(content[: draw.randrange(len(content))])
    elif kind == "bytes":
        path.write_bytes(draw.randbytes(50))
    elif kind == "empty":
        path.write_bytes(b"")
    else:
        path.unlink()
        if kind == "folder":
            path.mkdir()
        elif kind == "link":
            path.symlink_to(path.name)
    resealed = path.name != "manifest.json" and path.is_file() and draw.random() < 0.5
    if resealed and path.parent.name != staging.UNFINISHED:
        old = json.loads((folder / "manifest.json").read_text())
        runs.seal(folder, "done", *{name.partition("/")[0] for name in old["files"]})
    return resealed


def changed(content, draw):
    """JSON with a value somewhere replaced, removed or renamed."""
    place = content
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            return draw.choice(VALUES)
        key = draw.choice(keys)
        if isinstance(place[key], dict | list) and place[key] and draw.random() < 0.7:
            place = place[key]
            continue
        action = draw.choice(["replace", "replace", "remove", "rename"])
        if action == "replace":
            place[key] = draw.choice(VALUES)
        else:
            value = place.pop(key)
            if action == "rename" and isinstance(place, dict):
                place[f"{key}x"] = value
        return content


@pytest.fixture(scope="module")
def before(whole, worker):
    """What the verbs say of the whole run."""
    outcome = worker.call(verbs, whole / "run")
    assert outcome.kind == "fine", outcome.text
    assert {code for name, code, *_ in outcome.value if not name.startswith("test")} == {0}, outcome.value
    return outcome.value


@pytest.mark.parametrize("seed", list(seeds(100)))
def test_a_damaged_run_is_told_or_says_what_it_said(seed, whole, before, worker):
    top = whole.with_name(f"d{seed:05}")  # as long as the other path, for tables
    shutil.copytree(whole, top)
    draw = random.Random(seed)
    resealed = damage(top / "run", draw)
    outcome = worker.call(verbs, top / "run")
    assert outcome.kind == "fine", outcome.text
    for (name, code, out, error), (_, _, out_before, _) in zip(outcome.value, before, strict=True):
        assert code in (0, 1, 2, 130)
        assert "Traceback" not in error
        assert "\x1b" not in out + error
        if code == 0 and not resealed and name.startswith(("score", "leaderboard")):
            assert out.replace(str(top), str(whole)) == out_before
        if code == 2:
            assert error.startswith("nlbprob: ")
            assert error.count("\n") == 1, error
    shutil.rmtree(top)


def test_a_manifest_that_names_files_elsewhere_is_refused(tmp_path, capsys):
    for name in ("../mine", "/etc/passwd", "a/../../mine", "manifest.json", "a\\b", "a//b", ""):
        folder = runs.make(tmp_path / f"run{len(list(tmp_path.iterdir()))}")
        content = json.loads((folder / "manifest.json").read_text())
        content["files"][name] = {"size": 0, "sha256": "0"}
        (folder / "manifest.json").write_text(json.dumps(content))
        assert main(["check", str(folder)]) == 2
        assert "which is no file of a run" in capsys.readouterr().err
    assert Manifest.new().files == {}
