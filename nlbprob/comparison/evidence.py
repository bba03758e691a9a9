"""The evidence of whole trials under the models of runs, by K-fold cross-validation."""

from collections.abc import Sequence
from typing import Any

from nlbprob.comparison.predicted import REMEDY, Predicted
from nlbprob.errors import InputError
from nlbprob.model_file import load_model
from nlbprob.storage.contents import refuse_committee
from nlbprob.storage.reading import require

#: Settings of a run that the fits to its folds take over.
TAKEN_OVER = ("em_iterations", "early_stopping", "precision")


def evidence(runs: Sequence[Predicted], folds: int, seed: int, progress: bool = True) -> list[dict[str, Any]]:
    """The log evidence of trials that each run's model has not learned from; the runs' models are executed.

    The trials that the runs were fitted to are cut into folds; see `nlbprob.kfold`.

    Args:
        runs: fitted to the same trials.
        folds: at least 2.
        seed: of the folds, the fits and the draws.
        progress: show a bar for each run.

    Returns:
        By run, best first: "elpd" of all trials together in nats, "elpd_diff" from the best, and "dse", the standard
        error of that.

    Raises:
        InputError: the runs were not fitted to the same trials, one is named twice, or one is an average.
    """
    import arviz as az

    from nlbprob.selection.kfold import kfold

    first = runs[0]
    if any(run.trials is not first.trials for run in runs):
        raise InputError(f"--folds: the runs were not fitted to the same trials; {REMEDY}")
    if len({run.folder for run in runs}) < len(runs):
        raise InputError("--folds: a run is named twice; name each once.")
    trials = first.trials.split(*first.settings.splits[0])
    found = {}
    for run in runs:
        refuse_committee(run.folder, "the evidence is that of one model")
        require(run.folder, "model.py")
        options = {name: value for name, value in run.settings.fit_options.items() if name in TAKEN_OVER}
        model = load_model(str(run.folder / "model.py"), **run.settings.model_options)
        found[str(run.folder)] = kfold(model, trials, folds, seed, fit_options=options, progress=progress)
    table = az.compare(found, method="pseudo-BMA", round_to="none")
    columns = ["elpd", "elpd_diff", "dse"]
    return [{"run": name, **{column: float(row[column]) for column in columns}} for name, row in table.iterrows()]
