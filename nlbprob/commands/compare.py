"""Compare how well runs predict held-out neurons of the same trials: differences in co-bps, paired over trials.

Each run is compared with the first one. Rates are read from the runs' submissions, trials from the recording: nothing
is fitted, and no code of a run is executed.
"""

import dataclasses
import json
import pathlib
import sys
from typing import TYPE_CHECKING, Any

from nlbprob.commands.options import add_options, values_of
from nlbprob.commands.terminal import say
from nlbprob.errors import InputError
from nlbprob.options import SEED, Option, count

if TYPE_CHECKING:
    import numpy as np

    from nlbprob.data.trials import Trials

OPTIONS = {
    "bootstrap": Option(
        1000, count, "a whole number, 1 or more", "resamples of the trials, for the intervals (default 1000)", "N", int
    ),
    "seed": dataclasses.replace(SEED, help="seed of the resamples (default 0)"),
}


@dataclasses.dataclass(frozen=True)
class Predicted:
    """What a run predicted: its folder, the trials that it was scored on, and its rates of them, in spikes/bin."""

    folder: pathlib.Path
    on: tuple[str, ...]
    trials: "Trials"
    rates: "np.ndarray"
    score: float | None
    interval: list[float] | None


def add_arguments(parser) -> None:
    """Add the runs, and how to resample."""
    parser.add_argument(
        "runs", metavar="RUN", nargs="+", help="folders that `nlbprob fit` wrote; the first is compared with"
    )
    parser.add_argument("--json", action="store_true", help="print the table as JSON")
    add_options(parser, OPTIONS)


def run(arguments) -> int:
    """Print the score of each run, and its difference from the first."""
    if len(arguments.runs) < 2:
        raise InputError("Name two runs or more to compare.")
    options = values_of(arguments, OPTIONS)
    loaded: dict[str, Any] = {}
    predictions = [predicted(pathlib.Path(folder), loaded) for folder in arguments.runs]
    for other in predictions[1:]:
        check_same(predictions[0], other)

    from nlbprob.scoring.comparison import compare

    first = predictions[0]
    differences = [compare(other.rates, first.rates, first.trials, first.on, **options) for other in predictions[1:]]
    rows = [row(first)] + [
        row(other) | {"difference": difference.value, "difference_interval": difference.interval}
        for other, difference in zip(predictions[1:], differences, strict=True)
    ]
    if arguments.json:
        about = {"split": "+".join(first.on), "bin_ms": first.trials.bin_ms, "trials": first.trials.n_trials, **options}
        say(json.dumps(about | {"runs": rows}, indent=2, allow_nan=False))
    else:
        show(first, rows)
    return 0


def predicted(folder: pathlib.Path, loaded: dict[str, "Trials"]) -> Predicted:
    """Read a run.

    Args:
        folder: the run's.
        loaded: trials by what they were read from and how; those of this run are added.

    Raises:
        InputError: it is none, did not end, or is not of its recording.
    """
    from nlbprob.scoring.rates import in_splits
    from nlbprob.scoring.submission import read_submission
    from nlbprob.storage.contents import read_config, read_metrics, settings_of
    from nlbprob.storage.origin import check_recording
    from nlbprob.storage.reading import require

    metrics = read_metrics(folder)
    settings = settings_of(read_config(folder), folder)
    run = require(folder, "submission.h5")
    check_recording(run.manifest.recording, folder, run.manifest.started)
    fit, on = settings.splits
    key = json.dumps([settings.data, settings.data_options, settings.shared, settings.splits], sort_keys=True)
    if key not in loaded:
        say(f"Reading {', '.join(settings.recordings)} ...", file=sys.stderr)
        loaded[key] = settings.load()
    rates = read_submission(folder / "submission.h5", loaded[key], fit, on)
    trials = loaded[key].split(*on)
    rates = rates[in_splits(loaded[key], on, "score_on")]
    value = metrics[settings.score_on].get("co-bps")
    return Predicted(folder, on, trials, rates, value, metrics["intervals"].get("co-bps"))


def check_same(first: Predicted, other: Predicted) -> None:
    """Raise InputError where two runs are not scored on the same counts."""
    import numpy as np

    one, two = first.trials, other.trials
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
                f"{first.folder} and {other.folder} are scored on other {what}, so that they cannot be compared; fit "
                "both to one recording with the same options of [data] and --score-on."
            )
    if not np.array_equal(one.counts * one.seen, two.counts * two.seen) or not np.array_equal(one.seen, two.seen):
        raise InputError(
            f"{first.folder} and {other.folder} are scored on other counts; fit both to one recording, read alike."
        )


def row(run: Predicted) -> dict[str, Any]:
    """What `--json` prints of a run by itself."""
    return {"run": str(run.folder), "co-bps": run.score, "interval": run.interval}


def show(first: Predicted, rows: list[dict[str, Any]]) -> None:
    """Print a line for each run, and which of them clearly differ from the first."""
    from nlbprob.commands.table import cell, table

    def between(bounds, form: str) -> str:
        return "" if bounds is None else f"{bounds[0]:{form}} to {bounds[1]:{form}}"

    lines = []
    for row in rows:
        difference = row.get("difference")
        cells = [row["run"], cell(row["co-bps"]), between(row["interval"], ".3f")]
        cells += ["" if difference is None else f"{difference:+.4f}", between(row.get("difference_interval"), "+.4f")]
        lines.append(cells)
    trials = first.trials
    say(f"\nco-bps on {'+'.join(first.on)} ({trials.n_trials} trials), bins of {trials.bin_ms:g} ms\n")
    say(table(["", "co-bps", "90% interval", "less that of the first", "90% interval"], lines), "")
    for row in rows[1:]:
        low, high = row["difference_interval"] or (0.0, 0.0)
        words = (
            "predicts better than" if low > 0 else "predicts worse than" if high < 0 else "does not clearly differ from"
        )
        say(f"{row['run']} {words} {first.folder}.")
