"""What runs predicted, read from their submissions, and whether it can be compared."""

import dataclasses
import functools
import json
import pathlib
import sys
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from nlbprob.data.trials import Trials
from nlbprob.errors import InputError, printable
from nlbprob.scoring.submission import read_submission
from nlbprob.settings import Settings
from nlbprob.storage.contents import read_config, read_metrics, settings_of
from nlbprob.storage.origin import check_recording
from nlbprob.storage.reading import require

#: What messages of runs that cannot be compared end with.
REMEDY = "fit both to one recording with the same options of [data] and --score-on."


@dataclasses.dataclass(frozen=True)
class Predicted:
    """What a run predicted.

    Attributes:
        folder: of the run.
        settings: of the run.
        metrics: the content of its metrics.json.
        trials: of the splits that it was fitted to and scored on.
        rates: of these, spikes/bin, as `read_submission` gives them.
    """

    folder: pathlib.Path
    settings: Settings
    metrics: dict[str, Any]
    trials: Trials
    rates: Float[np.ndarray, "trial time neuron"]

    @property
    def on(self) -> tuple[str, ...]:
        """The splits that it was scored on."""
        return self.settings.splits[1]

    @property
    def scored(self) -> Bool[np.ndarray, " trial"]:
        """Which trials it was scored on."""
        return np.isin(self.trials.table["split"], self.on)

    @functools.cached_property
    def scored_trials(self) -> Trials:
        """The trials that it was scored on."""
        return self.trials.split(*self.on)

    @property
    def scores(self) -> dict[str, float | None]:
        """Its scores by name."""
        return self.metrics[self.settings.score_on]


def predicted(folder: pathlib.Path, loaded: dict[str, Trials]) -> Predicted:
    """Read a run; no code of it is executed.

    Args:
        folder: the run's.
        loaded: trials by what they were read from and how; those of this run are added.

    Raises:
        InputError: it is none, did not end, or is not of its recording.
    """
    metrics = read_metrics(folder)
    settings = settings_of(read_config(folder), folder)
    run = require(folder, "submission.h5")
    check_recording(run.manifest.recording, folder, run.manifest.started)
    fit, on = settings.splits
    key = json.dumps([settings.data, settings.data_options, settings.shared, fit, on], sort_keys=True)
    if key not in loaded:
        print(f"Reading {printable(', '.join(settings.recordings))} ...", file=sys.stderr, flush=True)
        loaded[key] = settings.load()
    trials = loaded[key]
    rates = read_submission(folder / "submission.h5", trials, fit, on)
    return Predicted(folder, settings, metrics, trials, rates)


def check_same(first: Predicted, other: Predicted) -> None:
    """Raise InputError where two runs are not scored on the same counts."""
    one, two = first.scored_trials, other.scored_trials
    facts = {
        "splits": (first.on, other.on),
        "bin widths (ms)": (one.bin_ms, two.bin_ms),
        "trials": (one.table["id"].tolist(), two.table["id"].tolist()),
        "neurons": (one.neurons["id"].tolist(), two.neurons["id"].tolist()),
        "held-out neurons": (one.neurons["heldout"].tolist(), two.neurons["heldout"].tolist()),
        "bins": ((one.n_bins, one.window_bins), (two.n_bins, two.window_bins)),
    }
    for what, (mine, theirs) in facts.items():
        if mine != theirs:
            raise InputError(
                f"{first.folder} and {other.folder} are scored on other {what}, so that they cannot be compared; "
                f"{REMEDY}"
            )
    if not np.array_equal(one.counts * one.seen, two.counts * two.seen) or not np.array_equal(one.seen, two.seen):
        raise InputError(
            f"{first.folder} and {other.folder} are scored on other counts; fit both to one recording, read alike."
        )


def predictions(folders: list[str]) -> list[Predicted]:
    """What several runs predicted of the same trials.

    Raises:
        InputError: one is none, or they are not scored on the same counts.
    """
    loaded: dict[str, Trials] = {}
    runs = [predicted(pathlib.Path(folder), loaded) for folder in folders]
    for other in runs[1:]:
        check_same(runs[0], other)
    return runs
