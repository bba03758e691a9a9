"""The demonstration, run as a user runs it: it finds the truth, and says what to do next."""

import json
import re

import numpy as np
import pytest

from nlbprob.cli import main
from nlbprob.run import FILES
from nlbprob.storage.stage import CHECKPOINT


@pytest.fixture(scope="module")
def demo(tmp_path_factory, optimized):
    """The run's folder."""
    out = tmp_path_factory.mktemp("demo") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(out.parent)
        printed = out.with_name("printed.txt")
        with printed.open("w") as stream:
            patch.setattr("sys.stdout", stream)
            assert main(["demo", "--out", str(out)]) == 0
    return out


def printed(demo) -> str:
    return demo.with_name("printed.txt").read_text()


def test_it_prints_scores_where_everything_lies_and_what_comes_next(demo):
    written = {path.name for path in demo.iterdir()}
    assert written | {CHECKPOINT} == {*FILES, "manifest.json"}  # a fit that ends within seconds has no checkpoint
    metrics = json.loads((demo / "metrics.json").read_text())
    assert list(metrics["val"]) == ["co-bps", "vel R2", "psth R2", "fp-bps"]
    assert all(np.isfinite(value) for value in metrics["val"].values())
    for name, value in metrics["val"].items():
        assert re.search(rf"{name} +{value:.3f}", printed(demo))
    for text in ("smoothing +", "condition PSTH", str(demo / "report.html"), "nlbprob fit poisson_lds YOUR.nwb"):
        assert text in printed(demo)


def test_the_latents_explain_the_true_ones(demo):
    explained = re.search(r"latents explain ([\d.]+)% of the variance", printed(demo))
    assert explained is not None
    assert float(explained[1]) >= 90.0


def test_held_out_neurons_are_predicted_nearly_as_well_as_by_the_true_rates(demo):
    best = re.search(r"true rates score ([\d.]+) co-bps", printed(demo))
    assert best is not None
    metrics = json.loads((demo / "metrics.json").read_text())
    assert metrics["val"]["co-bps"] >= 0.9 * float(best[1])
