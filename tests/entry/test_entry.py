"""`nlbprob entry`: what it writes passes its own check, and what was changed since does not."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tomllib
import zipfile

import h5py
import numpy as np
import pytest

import nlbprob as nlb
from nlbprob.cli import main
from nlbprob.entry.check import check_entry
from nlbprob.files import write_json
from nlbprob.simulation import write_nwb
from tests.runs import make, seal

FIT = ["--model.dim", "2", "--svi-steps", "0", "--draws", "4"]
EM, NO_EM = ["--em-iterations", "2"], ["--em-iterations", "0", "--posterior", "map"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a recording, runs of it in bins of 20 and 40 ms, an average, and an entry of the first two."""
    folder = tmp_path_factory.mktemp("entries")
    simulated = nlb.simulate(nlb.Model(latents=[nlb.LDS(2)]), 30, neurons=8, bins=10, bin_ms=20.0)
    recording = write_nwb(folder, simulated)[0]
    for name, options in {
        "narrow": ["--bin-ms", "20", *EM],
        "other": ["--bin-ms", "20", "--seed", "1", *EM],
        "wide": ["--bin-ms", "40", *NO_EM],
    }.items():
        assert main(["fit", "poisson_lds", str(recording), "--out", str(folder / name), *FIT, *options]) == 0
    words = ["average", f"first={folder / 'narrow'}", f"second={folder / 'other'}", "--weights", "1", "3"]
    assert main([*words, "--out", str(folder / "both")]) == 0
    runs = [str(folder / "wide"), str(folder / "narrow")]
    assert main(["entry", *runs, "--out", str(folder / "entry"), "--author", "A. Person", "--title", "An entry"]) == 0
    return folder


@pytest.fixture
def entry(made, tmp_path):
    """A copy of the entry somewhere else."""
    return pathlib.Path(shutil.copytree(made / "entry", tmp_path / "elsewhere"))


def test_an_entry_passes_elsewhere_without_its_runs_and_its_recording(entry, capsys):
    capsys.readouterr()
    assert main(["entry", "--check", str(entry), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["passes"]
    assert not found["problems"]
    assert not found["unlisted"]
    files = [path for path in entry.rglob("*") if path.is_file() and path != entry / "manifest.json"]
    assert found["files"] == len(files)
    for name in ("20ms", "40ms"):
        metrics = json.loads((entry / "runs" / name / "metrics.json").read_text())
        for score, (stated, computed) in found["scores"][name].items():
            assert stated == metrics["val"][score]
            assert computed == stated or computed == pytest.approx(stated, abs=1e-5)
    with h5py.File(entry / "submission.h5") as file:
        assert len(file) == 2
    assert main(["entry", "--check", str(entry)]) == 0
    assert "passes" in capsys.readouterr().out
    assert main(["check", str(entry)]) == 0
    assert main(["score", str(entry / "runs" / "20ms")]) == 0


def test_the_trials_of_an_entry_are_those_that_were_fitted(made):
    import xarray

    trials = nlb.Trials.from_xarray(xarray.load_dataset(made / "entry" / "data" / "20ms" / "trials.nc"))
    (recording,) = made.glob("*train*.nwb")
    expected = nlb.load(recording, bin_ms=20).split("train", "val")
    np.testing.assert_array_equal(trials.counts, expected.counts)
    posterior = nlb.Posterior.load(made / "entry" / "runs" / "20ms" / "posterior")
    rates = posterior.rates(trials.hide_heldout("val"))
    score = nlb.score(rates, trials, bootstrap=0).values["co-bps"]
    metrics = json.loads((made / "narrow" / "metrics.json").read_text())
    assert score == pytest.approx(metrics["val"]["co-bps"], abs=1e-6)


def test_a_changed_file_is_named(entry):
    (entry / "README.md").write_text("The best model there is.")
    (entry / "LICENSE").unlink()
    (entry / "notes.txt").write_text("mine")
    found = check_entry(entry, scores=False)
    assert found.problems == ["LICENSE is missing", "README.md was changed since the entry wrote it"]
    assert found.unlisted == ["notes.txt"]
    assert main(["entry", "--check", str(entry)]) == 1


def test_a_changed_rate_is_found_where_checksums_were_made_to_fit(entry, capsys):
    with h5py.File(entry / "submission.h5", "r+") as file:
        (group,) = (group for name, group in file.items() if name.endswith("_20"))
        rates = group["eval_rates_heldout"][()]
        rates[0] *= 1.5
        del group["eval_rates_heldout"]
        group["eval_rates_heldout"] = rates
    seal(entry)
    capsys.readouterr()
    assert main(["entry", "--check", str(entry)]) == 1
    assert "wrong: 20ms: co-bps of scores is" in (shown := capsys.readouterr().out)
    assert "does not pass" in shown


def test_a_changed_score_is_found_where_checksums_were_made_to_fit(entry):
    path = entry / "runs" / "40ms" / "metrics.json"
    metrics = json.loads(path.read_text())
    metrics["val"]["co-bps"] += 0.01
    metrics["baselines"]["mean rate"]["co-bps"] -= 0.01
    write_json(path, metrics)
    seal(entry / "runs" / "40ms")
    seal(entry)
    found = check_entry(entry)
    assert {problem.partition(" is ")[0] for problem in found.problems} == {
        "40ms: co-bps of scores",
        "40ms: co-bps of mean rate of baselines",
    }
    assert found.agreeing > 10


def test_data_that_cannot_be_read_is_a_problem_and_no_traceback(entry):
    (entry / "data" / "20ms" / "trials.nc").write_bytes(b"nothing")
    seal(entry)
    (problem,) = check_entry(entry).problems
    assert "trials.nc: cannot be read as trials" in problem


def test_the_card_says_what_the_model_is_and_how_well_it_does(made):
    metrics = json.loads((made / "narrow" / "metrics.json").read_text())
    text = (made / "entry" / "README.md").read_text()
    page = (made / "entry" / "card.html").read_text()
    low, high = metrics["intervals"]["co-bps"]
    value = f"{metrics['val']['co-bps']:.3f} [{low:.3f}, {high:.3f}]".replace("-", "−")
    for words in (
        "# An entry",
        "### Bins of 20 ms",
        "### Bins of 40 ms",
        f"| this entry | {value} |",
        "| smoothing + Poisson regression |",
        "`x_1 ~ N(m0, P0), x_t = A x_{t-1} + N(0, Q), with A stable by construction. Here dynamics is dense: up to ",
        "the noise is Q = O diag(1 - e^(-2 bin/tau)) O'.`",
        "`y ~ Poisson(exp(eta)), in spikes per bin.`",
        "| lds.decay_ms | latent (2) | LogNormal(loc 5.3, scale 1) |",
        "## Findings",
        "- Dynamics: ",
        "The fit has not converged",
        "was begun from one start (seed 0)",
        "was not tested (nlbprob replicate tests it)",
        "No vel R2:",
        "sh reproduce.sh ../repeated RECORDING",
        "PYTHONPATH=../checked/code ../checked/bin/python -m nlbprob entry --check .",
    ):
        assert words in text
    for picture in ("20ms-poisson_lds", "40ms-poisson_lds"):
        assert f"](pictures/{picture}.svg)" in text
        assert "lds.decay_ms" in (made / "entry" / "pictures" / f"{picture}.svg").read_text()
    assert "<script" not in page
    assert value.partition(" ")[0] in page
    assert 'name: "A. Person"' in (made / "entry" / "CITATION.cff").read_text()


def test_the_script_fits_every_run_again_and_compares_it(entry, tmp_path):
    python, log = tmp_path / "python", tmp_path / "log"
    python.write_text(f'#!/bin/sh\nif [ "$2" = zipfile ]; then exec {sys.executable} "$@"; fi\necho "$@" >> {log}\n')
    python.chmod(0o755)
    out = tmp_path / "out"
    environment = {**os.environ, "PYTHON": str(python)}
    command = ["sh", str(entry / "reproduce.sh"), str(out), "a.nwb"]
    assert subprocess.run(command, env=environment, check=False).returncode == 0
    lines = log.read_text().splitlines()
    for name in ("20ms", "40ms"):
        run = f"{entry}/runs/{name}"
        assert f"-m nlbprob fit {run}/model.py a.nwb --config {run} --out {out}/{name}" in lines
        assert f"-m nlbprob entry --check {entry} --rerun {out}/{name}" in lines
    assert (out / "code" / "nlbprob" / "cli.py").is_file()
    usage = subprocess.run(command[:2], env=environment, capture_output=True, text=True, check=False)
    assert usage.returncode == 2
    assert "sh reproduce.sh OUT" in usage.stdout


def test_versions_and_code_are_exact(made, root):
    pinned = dict(line.split("==") for line in (made / "entry" / "requirements.txt").read_text().splitlines()[1:])
    versions = json.loads((made / "narrow" / "config.json").read_text())["versions"]
    assert {name: pinned[name] for name in ("jax", "numpyro", "numpy")} == {
        name: versions[name] for name in ("jax", "numpyro", "numpy")
    }
    needed = tomllib.loads((root / "pyproject.toml").read_text())["project"]["dependencies"]
    assert {need.partition(">")[0] for need in needed} <= set(pinned)
    with zipfile.ZipFile(made / "entry" / "nlbprob.zip") as archive:
        assert archive.read("nlbprob/model.py") == (root / "nlbprob" / "model.py").read_bytes()
        assert "nlbprob/share/models/poisson_lds.py" in archive.namelist()


def test_a_repeated_run_is_compared(made, capsys):
    entry = str(made / "entry")
    assert main(["entry", "--check", entry, "--rerun", str(made / "narrow")]) == 0
    worse = shutil.copytree(made / "other", made / "worse")
    metrics = json.loads((worse / "metrics.json").read_text())
    metrics["val"]["co-bps"] -= 0.5
    write_json(worse / "metrics.json", metrics)
    seal(worse)
    capsys.readouterr()
    assert main(["entry", "--check", entry, "--rerun", str(worse)]) == 1
    assert "no" in capsys.readouterr().out


def test_a_committee_is_an_entry_with_every_member(made, tmp_path, capsys):
    assert main(["entry", str(made / "both"), "--out", str(tmp_path / "entry")]) == 0
    assert main(["entry", "--check", str(tmp_path / "entry")]) == 0
    text = (tmp_path / "entry" / "README.md").read_text()
    assert "weights: first 0.250, second 0.750" in text
    for name in ("first", "second"):
        assert f"### {name}" in text
    script = (tmp_path / "entry" / "reproduce.sh").read_text()
    assert 'run average first="$out"/20ms-first second="$out"/20ms-second --weights 0.25 0.75' in script


def test_what_is_no_entry_is_refused(made, tmp_path, capsys):
    narrow, out = str(made / "narrow"), ["--out", str(tmp_path / "new")]
    torn = make(tmp_path / "torn", "interrupted")
    cut = pathlib.Path(shutil.copytree(made / "narrow", tmp_path / "cut"))
    (cut / "posterior.nc").write_bytes(b"")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    cases = [
        (["entry", *out], "name a run, and the folder of the entry"),
        (["entry", narrow], "name a run, and the folder of the entry"),
        (["entry", str(torn), *out], "the run was interrupted, and has no submission.h5 and report.html"),
        (["entry", str(cut), *out], "posterior.nc was changed since the run wrote it"),
        (["entry", str(tmp_path / "mine"), *out], "holds no run"),
        (["entry", narrow, str(made / "other"), *out], "are both in bins of 20 ms"),
        (["entry", narrow, "--out", str(tmp_path / "mine")], "exists and holds no run"),
        (["entry", narrow, "--out", str(made / "wide"), "--force"], "holds a run, not an entry"),
        (["entry", narrow, "--out", str(made / "entry")], "already holds an entry"),
        (["entry", "--check", narrow], "holds a run, not an entry"),
        (["entry", "--check", str(tmp_path / "mine")], "holds no entry"),
        (["entry", narrow, "--check", str(made / "entry")], "takes no other arguments"),
        (["entry", narrow, "--rerun", narrow, *out], "are for --check"),
    ]
    for line, message in cases:
        capsys.readouterr()
        assert main(line) == 2, line
        assert message in capsys.readouterr().err, line
    assert not (tmp_path / "new").exists()


def test_a_score_that_does_not_follow_from_the_rates_makes_no_entry(made, tmp_path, capsys):
    run = pathlib.Path(shutil.copytree(made / "narrow", tmp_path / "run"))
    metrics = json.loads((run / "metrics.json").read_text())
    metrics["intervals"]["co-bps"][1] += 0.1
    write_json(run / "metrics.json", metrics)
    recording = json.loads((made / "narrow" / "manifest.json").read_text())["recording"][0]["path"]
    seal(run, recording=(pathlib.Path(recording),))
    capsys.readouterr()
    assert main(["entry", str(run), "--out", str(tmp_path / "entry")]) == 2
    assert "1 of co-bps of intervals is" in capsys.readouterr().err
    assert not (tmp_path / "entry" / "README.md").exists()
    assert main(["entry", "--check", str(tmp_path / "entry")]) == 1
    assert "the entry is not complete (failed)" in capsys.readouterr().out
