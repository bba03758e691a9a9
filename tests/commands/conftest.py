"""Runs of a small recording whose fits are replaced by guesses at its rates, so that verbs can be tried in a moment."""

import dataclasses

import numpy as np
import pytest
import xarray

from nlbprob import run
from nlbprob.settings import Settings

MODEL = "def model(*, blur: float = 0.0, shape: tuple = (1,), seed: int = 0):\n    return lambda trials: blur\n"


@dataclasses.dataclass
class Guess:
    """Stands for a posterior: the rates that the trials were drawn with, blurred."""

    truth: np.ndarray
    blur: float
    latents: np.ndarray | None = None
    verdict: str = "Converged. There was nothing to iterate."

    def rates(self, trials):
        own = self.truth[trials.table["id"]]
        return own + self.blur * own.mean()

    def rates_and_latents(self, trials):
        return self.rates(trials), None

    def to_netcdf(self, path, trials, **_):
        """A file, with the given latents of all trials where there are some; the first neurons read one latent each."""
        path.write_text("")
        if self.latents is not None:
            ids = trials.table["id"]
            mean = xarray.DataArray(self.latents[ids], {"trial": ids}, ("trial", "time", "latent"))
            loadings = np.eye(trials.n_neurons, self.latents.shape[2])[None, None]
            drawn = xarray.DataArray(loadings, dims=("chain", "draw", "neuron", "latent"))
            xarray.Dataset({"loadings": drawn}).to_netcdf(path, group="posterior", engine="h5netcdf")
            xarray.Dataset({"mean": mean}).to_netcdf(path, group="latents", engine="h5netcdf", mode="a")

    def to_arviz(self, trials, **_):
        return xarray.DataTree(xarray.Dataset({"trials": trials.n_trials}))


@pytest.fixture
def recordings(truth, monkeypatch, tmp_path):
    """Trials by the path they are loaded from, a.nwb among them; what is loaded is one of these."""
    found = {"a.nwb": truth.trials}
    monkeypatch.setattr("nlbprob.data.nwb.load", lambda path, **_: found[path.rpartition("/")[2]])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MODEL)
    return found


@pytest.fixture
def make_run(recordings, truth, monkeypatch):
    """Make a run whose rates are the true ones, blurred so much, with latents of all trials; returns its folder."""
    monkeypatch.setattr("nlbprob.reporting.page.write_report", lambda path, **_: path.write_text(""))

    def call(folder, blur, data="a.nwb", latents=None, **options):
        monkeypatch.setattr(run, "fit_posterior", lambda *_, **__: Guess(truth.rates, blur, latents))
        run.perform(Settings("mine.py", data, {"blur": blur}, {"bin_ms": 20.0}, **options), folder, progress=False)
        return folder

    return call
