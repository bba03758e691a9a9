"""Bad input, as it meets the user of `nlbprob fit`: one line that names the file, the field and the remedy."""

import re

import numpy as np
import pytest

from nlbprob.cli import main
from tests.data.conftest import example, write

BASE = ["--bin-ms", "10", "--behavior", "hand_vel", "--condition", "side", "--model.dim", "2"]


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """A folder with a recording, and with files that are none."""
    folder = tmp_path_factory.mktemp("recordings")
    path = write(folder / "good.nwb", example())
    (folder / "cut.nwb").write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    (folder / "text.nwb").write_text("not a recording")
    for name, spikes in {"silent": [np.zeros(0)] * 8, "elsewhere": [times + 1e3 for times in example().spikes]}.items():
        recipe = example()
        recipe.spikes, recipe.observed = spikes, None if name == "elsewhere" else recipe.observed
        write(folder / f"{name}.nwb", recipe)
    return folder


CASES = {
    "no such column": ("good", ["--align", "go"], "align: the trials have no column 'go'.*There are"),
    "no such condition": ("good", ["--condition", "sdie"], "condition: .*'sdie'. Did you mean 'side'"),
    "unknown split to fit": ("good", ["--fit-on", "trian"], "'trian'. Did you mean 'train'"),
    "unknown split to score": ("good", ["--score-on", "test"], "'test'. There are: 'train', 'val'"),
    "no such behavior": ("good", ["--behavior", "hand_vle"], "behavior: no series 'hand_vle'.*'hand_vel'"),
    "no unit selected": ("good", ["--units", "rate > 1000"], "units: .* holds for none of the 8 units; widen"),
    "no bin seen": ("good", ["--window-ms", "1e6", "1000100"], "no bin of a trial"),
    "a bin that does not divide": ("good", ["--window-ms", "0", "205"], "window_ms: 205 ms is not a whole number"),
    "more latents than neurons": ("good", ["--model.dim", "9"], "9 latents.*8 neurons.*Lower dim, or select more"),
    "silent": ("silent", [], "units: all 8 units are silent"),
    "elsewhere": ("elsewhere", [], "spike_times: every spike lies outside the windows"),
    "truncated": ("cut", [], "cut.nwb.*truncated"),
    "not NWB": ("text", [], "text.nwb.*not"),
    "no file": ("none", [], "none.nwb"),
}


@pytest.mark.parametrize(("file", "options", "message"), CASES.values(), ids=CASES)
def test_one_line_names_what_is_wrong(recordings, tmp_path, capsys, file, options, message):
    path, out = recordings / f"{file}.nwb", tmp_path / "run"
    assert main(["fit", "poisson_lds", str(path), "--out", str(out), *BASE, *options]) == 2
    shown = capsys.readouterr().err
    assert re.search(message, shown), shown
    assert shown.count("\n") == 1
    assert "Traceback" not in shown
    assert not (out / "posterior").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rates: rates * 100, "look like Hz"),
        (lambda rates: rates * 0, "exactly zero"),
        (lambda rates: -rates, "negative"),
        (lambda rates: rates * np.nan, "not finite"),
    ],
    ids=["Hz", "zero", "negative", "NaN"],
)
def test_a_run_refuses_impossible_rates(recordings, tmp_path, capsys, monkeypatch, change, message):
    class Impossible:
        def rates_and_latents(self, trials):
            return change(1e-3 + trials.counts), None

    monkeypatch.setattr("nlbprob.run.fit_posterior", lambda *_, **__: Impossible())
    words = ["fit", "poisson_lds", str(recordings / "good.nwb"), "--out", str(tmp_path / "run"), *BASE]
    assert main(words) == 2
    assert re.search(f"rates.*{message}|{message}.*rates", capsys.readouterr().err)


@pytest.mark.slow
def test_a_unit_without_spikes_and_a_tail_are_told_and_no_error(recordings, tmp_path, capsys):
    words = ["fit", "poisson_lds", str(recordings / "good.nwb"), "--out", str(tmp_path / "run"), "--bin-ms", "30"]
    assert main([*words, "--model.dim", "2", "--em-iterations", "2", "--svi-steps", "0", "--draws", "10"]) == 0
    shown = capsys.readouterr()
    assert "units without a spike: 14" in shown.out
    assert re.search("Note: .*bin", shown.out)
    assert re.search(r"EM: .*ELBO -[\d.]+ nats", shown.err)  # the bar
    assert main([*words, "--model.dim", "2"]) == 2
    assert "already holds a run: name another folder, or add --force" in capsys.readouterr().err
