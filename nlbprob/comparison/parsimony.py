"""The Pareto front of runs."""

import pathlib
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from nlbprob.committee import read_fit, read_member
from nlbprob.comparison.predicted import Predicted, predictions
from nlbprob.infer.runtime.progress import Progress
from nlbprob.parsimony.front import Front, FrontEntry, front_of
from nlbprob.parsimony.pareto import Setting, entry
from nlbprob.replication import RECORD
from nlbprob.reporting.comparison import short_names
from nlbprob.storage.contents import is_committee, read_test
from nlbprob.storage.reading import existing, listed, read_json


def pareto_runs(
    folders: Sequence[str], *, dataset: str | None = None, shots: int = 10, seed: int = 0, progress: bool = True
) -> Front:
    """Measure runs, and place them beside the benchmark's published entries; the runs' models are executed.

    Args:
        folders: of the runs, which are scored on the same trials.
        dataset: of the benchmark; None for that of the runs, where they are of one.
        shots: as `nlbprob.pareto` takes it.
        seed: likewise.
        progress: show a bar.

    Returns:
        The front, on which a run is called by the end of its path. A run that was tested on the data set stands at its
        score on test.

    Raises:
        InputError: a folder holds no run, runs are not scored on the same trials, or there is no such data set.
    """
    runs = predictions(list(folders))
    own = {str(run.settings.data_options.get("dataset", "")) for run in runs}
    known = own.pop() if len(own) == 1 else ""
    dataset = known if dataset is None else dataset
    front_of([], dataset)  # an unknown data set is refused before anything is measured
    names = short_names([str(run.folder) for run in runs])
    bar, entries = Progress(len(runs), progress, unit="run", first="measuring"), []
    try:
        for run in runs:
            name = names[str(run.folder)]
            entries.append(run_entry(run, name, dataset, shots, seed))
            bar.tick(name, f"{len(entries[-1].measures)} measures")
    finally:
        bar.close()
    front = front_of(entries, dataset)
    if front.published and dataset != known:
        front.notes.insert(0, f"The runs are not of the data set {dataset}: its published entries are of other trials.")
    return front


def run_entry(run: Predicted, name: str, dataset: str, shots: int, seed: int) -> FrontEntry:
    """What is measured of a run, with its score on test where it has one of the data set."""
    single = not is_committee(run.folder)
    posterior = read_fit(read_member(run.folder), run.trials) if single else None
    interval = run.metrics["intervals"].get("co-bps")
    facts: Any = (run.scores.get("co-bps"), None if interval is None else tuple(interval))
    facts += ("+".join(run.on), run.trials.bin_ms)
    tested = read_test(run.folder)
    if tested is not None and tested["dataset"] == dataset:
        facts = (tested["scores"].get("co-bps"), None, "test", tested["bin_ms"])
    setting = Setting(*run.settings.splits, shots, seed)
    return entry(name, facts, run.rates, run.trials, posterior, repeated_angles(run.folder), setting)


def repeated_angles(folder: pathlib.Path) -> np.ndarray | None:
    """The principal angles of a run's subspace with those of its repeated fits [fit, latent]; None without these."""
    if not listed(existing(folder).manifest, RECORD):
        return None
    return np.array(read_json(folder, RECORD)["angles_deg"], float)


def write_front(folder: pathlib.Path, front: Front) -> None:
    """Write pareto.json, and a figure for each measure that a run has, to a folder."""
    from matplotlib import pyplot

    from nlbprob import files
    from nlbprob.parsimony.front import MEASURES
    from nlbprob.plot import pareto

    files.write_json(folder / "pareto.json", front.to_dict())
    for measure in MEASURES:
        if any(measure in each.measures for each in front.fits):
            figure = pareto(front, measure=measure)[0].figure
            for ending in ("png", "pdf"):
                with files.replacing(folder / f"{re.sub('_', '-', measure)}.{ending}") as file:
                    figure.savefig(file, format=ending, dpi=200)
            pyplot.close(figure)
