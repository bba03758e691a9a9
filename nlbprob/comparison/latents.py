"""The latents of runs beside each other, read from what the runs wrote for ArviZ."""

import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from nlbprob.comparison.predicted import Predicted
from nlbprob.posterior.angles import principal_angles
from nlbprob.selection.explained import explained
from nlbprob.storage.contents import is_committee
from nlbprob.storage.reading import existing, listed, require

#: The file that a run writes for ArviZ.
FILE = "posterior.nc"


class Latents(NamedTuple):
    """Posterior means of the latents of the scored trials, and of the loadings, in the canonical basis of a run."""

    mean: Float[np.ndarray, "trial time latent"]
    loadings: Float[np.ndarray, "neuron latent"]


class NoLatents(Exception):
    """A run has no latents to compare; the message is the reason."""


def read_latents(run: Predicted) -> Latents:
    """The latents of a run; no code of it is executed.

    Raises:
        NoLatents: it has none, or none of these trials.
        InputError: its file was changed.
    """
    if is_committee(run.folder):
        raise NoLatents("is an average, which has no latents of its own")
    if not listed(existing(run.folder).manifest, FILE):
        raise NoLatents(f"has no {FILE}")
    require(run.folder, FILE)
    try:
        mean, loadings, trials = contents(run.folder / FILE)
    except (OSError, KeyError, ValueError) as error:
        raise NoLatents(f"has a {FILE} that cannot be read") from error
    known = run.scored_trials
    if known.n_trials < 2:
        raise NoLatents("has one scored trial, from which no map can be learned and judged")
    if trials != [str(each) for each in known.table["id"]] or mean.shape[1] != known.n_bins:
        raise NoLatents(f"has a {FILE} of other trials")
    return Latents(mean[:, : known.window_bins].astype(np.float64), loadings.astype(np.float64))


def contents(path: pathlib.Path) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Means of latents and of loadings in a file for ArviZ, and the ids of its trials."""
    import xarray

    with xarray.open_dataset(path, group="posterior", engine="h5netcdf") as draws:
        loadings = draws["loadings"].transpose("chain", "draw", "neuron", "latent").mean(("chain", "draw")).values
        if "latents" in draws:
            found = draws["latents"].mean(("chain", "draw")).transpose("trial", "time", "latent")
            return found.values, loadings, found["trial"].values.astype(str).tolist()
    with xarray.open_dataset(path, group="latents", engine="h5netcdf") as summary:
        found = summary["mean"].transpose("trial", "time", "latent")
        return found.values, loadings, found["trial"].values.astype(str).tolist()


def compare_latents(runs: Sequence[Predicted]) -> dict[str, Any]:
    """How much of each run's latents those of each other one explain, as JSON takes it.

    Returns:
        "runs" whose latents there are, "dim" of each, "explained" [run, by run] (see `explained`), "angles_deg"
        [run][run], the principal angles between the spans of their loadings, and "reasons" why others are left out.
    """
    names: list[str] = []
    found: list[Latents] = []
    reasons: dict[str, str] = {}
    for run in runs:
        try:
            found.append(read_latents(run))
            names.append(str(run.folder))
        except NoLatents as absent:
            reasons[str(run.folder)] = str(absent)
    trials = runs[0].scored_trials
    inside = np.arange(trials.window_bins) < trials.lengths[:, None]
    return {
        "runs": names,
        "dim": [each.mean.shape[2] for each in found],
        "explained": [[explained(a.mean, b.mean, inside) for b in found] for a in found],
        "angles_deg": [[principal_angles(a.loadings, b.loadings).tolist() for b in found] for a in found],
        "reasons": reasons,
    }
