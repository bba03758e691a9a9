"""`nlbprob replicate` of a run: what it adds, and that the run stays whole."""

import json

import numpy as np

import nlbprob as nlb
from nlbprob.cli import main
from nlbprob.simulation import write_nwb

FIT = ["--model.dim", "2", "--em-iterations", "2", "--svi-steps", "0", "--draws", "4", "--bin-ms", "20"]


def test_a_run_is_told_what_comes_again(tmp_path, capsys):
    simulated = nlb.simulate(nlb.Model(latents=[nlb.LDS(2)]), 20, neurons=8, bins=10, bin_ms=20.0)
    recording, run = write_nwb(tmp_path, simulated)[0], tmp_path / "run"
    assert main(["fit", "poisson_lds", str(recording), "--out", str(run), *FIT]) == 0
    assert "was not tested" in (run / "report.html").read_text()
    before = nlb.Posterior.load(run / "posterior")
    capsys.readouterr()
    assert main(["replicate", str(run), "--seeds", "1", "--halves", "2", "--json"]) == 0
    table = json.loads(capsys.readouterr().out)
    assert table == json.loads((run / "replication.json").read_text())
    assert table["fits"] == ["half 1a", "half 1b"]
    after = nlb.Posterior.load(run / "posterior")
    assert after.dynamics()["recurs_in"].values.tolist() == table["modes"]["recurs_in"]
    for name, value in before.draws.items():
        np.testing.assert_array_equal(after.draws[name], value)
    assert f"{table['modes']['recurs_in'][0]} of 2" in (run / "report.html").read_text()
    assert main(["check", str(run)]) == 0
    assert main(["replicate", str(run), "--seeds", "1", "--halves", "3"]) == 2
    assert main(["check", str(run)]) == 0
    capsys.readouterr()
    assert main(["pareto", str(run), "--shots", "3", "--json"]) == 0
    (measured,) = json.loads(capsys.readouterr().out)["fits"]
    overlap = (np.cos(np.radians(table["angles_deg"])) ** 2).mean()
    assert measured["measures"]["stability"] == np.float64(overlap)
    assert measured["measures"].keys() >= {"effective_dimension", "description_bits", "few_shot", "cycle_consistency"}
    assert main(["compare", str(run), str(run), "--json"]) == 0
    latents = json.loads(capsys.readouterr().out)["latents"]
    assert latents["dim"] == [2, 2]
    np.testing.assert_allclose(latents["explained"], 1)
