"""The scores of runs, and their differences from those of the first, paired over trials."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from nlbprob.comparison.predicted import Predicted
from nlbprob.scoring.comparison import compare
from nlbprob.scoring.metrics.catalogue import METRICS

#: Scores that read nothing but the scored trials, and are the same from trials as from the benchmark's targets.
OF_SPIKES = ("co-bps", "fp-bps")


def rows_of(runs: Sequence[Predicted], bootstrap: int, seed: int) -> list[dict[str, Any]]:
    """What `--json` prints of each run: its scores, and how they differ from those of the first.

    Args:
        runs: scored on the same trials.
        bootstrap: resamples of the trials for the intervals of differences.
        seed: of the resamples.
    """
    first, rows = runs[0], []
    for run in runs:
        scores: dict[str, dict[str, Any]] = {}
        for name, value in run.scores.items():
            scores[name] = {"value": value, "interval": run.metrics["intervals"].get(name)}
            if run is not first and comparable(name, first, run):
                scores[name] |= difference(run, first, name, bootstrap, seed)
        bits = scores.get("co-bps", {"value": None, "interval": None})
        row = {"run": str(run.folder), "co-bps": bits["value"], "interval": bits["interval"]}
        rows.append(row | {key: bits[key] for key in ("difference", "difference_interval") if key in bits})
        rows[-1]["scores"] = scores
    return rows


def comparable(name: str, first: Predicted, other: Predicted) -> bool:
    """Whether the difference of a score can be taken from the rates of both runs as the scores themselves were.

    Decoders and targets of averages are learned from the trials of the fit, which have to be the same; those of a data
    set of the benchmark come from its files.
    """
    if name not in METRICS or first.scores.get(name) is None or other.scores[name] is None:
        return False
    alike = first.trials is other.trials and "dataset" not in first.settings.data_options
    return name in OF_SPIKES or alike


def difference(run: Predicted, first: Predicted, name: str, bootstrap: int, seed: int) -> dict[str, Any]:
    """A score of a run less that of the first, with its 90% interval."""
    trials, mine, theirs = first.trials, run.rates, first.rates
    if name in OF_SPIKES:
        trials, mine, theirs = first.scored_trials, mine[run.scored], theirs[first.scored]
    found = compare(mine, theirs, trials, first.on, bootstrap, seed, fit=first.settings.splits[0], metric=name)
    return {"difference": found.value, "difference_interval": None if found.interval is None else list(found.interval)}


def about(runs: Sequence[Predicted]) -> dict[str, Any]:
    """What the runs have in common: split, width of a bin, and number of trials."""
    trials = runs[0].scored_trials
    return {"split": "+".join(runs[0].on), "bin_ms": trials.bin_ms, "trials": int(np.sum(runs[0].scored))}
