"""The replication of a run: its fit repeated from other starts, to halves of its trials and in other bins."""

import pathlib
from typing import TYPE_CHECKING, Any

from nlbprob import files
from nlbprob.run import opened, report
from nlbprob.storage import staging

if TYPE_CHECKING:
    from nlbprob.selection.replicate import Replication

#: What a replication adds to a run, beside its count of fits in the posterior.
RECORD = "replication.json"


def replicate_run(
    folder: str | pathlib.Path, *, seeds: int, halves: int, bin_ms: Any = (), progress: bool = True
) -> "Replication":
    """Repeat a run's fit with its own settings, and write what comes again to the run and its report.

    The run's posterior stays what it is, but for the count of fits in which each of its modes recurs.

    Args:
        folder: of the run.
        seeds: as `nlbprob.replicate` takes it.
        halves: as `nlbprob.replicate` takes it.
        bin_ms: as `nlbprob.replicate` takes it.
        progress: show a progress bar.

    Returns:
        The comparison, whose tables replication.json holds.

    Raises:
        InputError: the folder holds no run that is whole, the recording is no longer the one that was fitted, or
            there is nothing to compare with.
    """
    from nlbprob.selection.replicate import replicate

    folder = pathlib.Path(folder)
    run = opened(folder, progress)
    settings, posterior = run.settings, run.posterior
    options = {name: value for name, value in settings.fit_options.items() if name != "seed"}
    try:
        with staging.additions(folder, ("posterior", RECORD)) as stage:
            found = replicate(
                run.model,
                settings.learned(run.trials),
                seeds=seeds,
                halves=halves,
                bin_ms=bin_ms,
                posterior=posterior,
                seed=posterior.config["seed"],
                fit_options=options,
                progress=progress,
            )
            with files.translated(stage.path / "posterior"):
                found.posterior.save(stage.path / "posterior")
            files.write_json(stage.path / RECORD, found.to_dict())
            stage.add("posterior", RECORD)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("interrupted: the run is what it was; the same command starts again") from None
    report(folder)
    return found
