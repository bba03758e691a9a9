"""How well a model predicts whole trials that it has not seen."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from nlbprob.arguments import checked_keywords, flag, seed_number, whole_number
from nlbprob.data.handed import check_trials
from nlbprob.errors import InputError
from nlbprob.functions.model import resolve_model
from nlbprob.infer.fit.fit import checked_options, fit_fold
from nlbprob.infer.runtime.progress import Progress
from nlbprob.model import Model
from nlbprob.posterior.evidence import LEAST_DRAWS, log_evidence
from nlbprob.scoring.inner import cross_validation

if TYPE_CHECKING:
    import xarray
    from arviz_stats.utils import ELPDData

    from nlbprob.data.trials import Trials

#: How each fold is fitted: the evidence is that at the parameters' centre.
FOLD_OPTIONS = {"posterior": "map", "svi_steps": 0}


@checked_keywords
def kfold(
    model: Model | Callable,
    trials: "Trials",
    folds: int = 5,
    seed: int = 0,
    *,
    draws: int = 200,
    fit_options: dict[str, Any] | None = None,
    progress: bool = True,
) -> "ELPDData":
    """How well a model predicts whole trials that it has not seen: K-fold over trials, for `arviz.compare`.

    The elpd of a trial is its `log_evidence` (all its seen entries jointly, nats) at the parameters fitted to the other
    folds; p is by how much that of trials which were learned from is higher. Comparing models: the same trials, folds
    and seed for all, `az.compare({"lds": nlb.kfold(...), "templates": nlb.kfold(...)})`.

    Why not leave-one-out by importance sampling (`az.loo`): a trial carries so many effective parameters that its k is
    mostly above 0.7.

    Args:
        model: or a NumPyro function of trials.
        trials: to learn from and to predict.
        folds: at least 2, shuffled by `seed`.
        seed: of the folds, the fits and the draws.
        draws: of the estimate of a trial's evidence.
        fit_options: keywords of `fit`, by default {"posterior": "map", "svi_steps": 0}: the evidence is that at the
            parameters' centre.
        progress: show a progress bar.

    Returns:
        ArviZ's `ELPDData`; `elpd_i` [trial] has the coordinates "elbo", "error", "effective_draws" and "fold";
        `warning` is set where a trial has fewer than ten effective draws.
    """
    import xarray

    check_trials(trials, "kfold")
    folds, seed = whole_number(folds, "kfold", "folds", 2), seed_number(seed, "kfold")
    progress = flag(progress, "kfold", "progress")
    draws, model = whole_number(draws, "kfold", "draws", 1), resolve_model(model, trials)
    options = FOLD_OPTIONS | checked_options(fit_options, "kfold") | {"seed": seed, "progress": False}
    pairs = cross_validation(trials, folds, seed)
    room = max(len(learned) for learned, _ in pairs)
    bar = Progress(folds, progress, unit="fold", first="fitting folds")
    datasets, fold, inside = [], np.zeros(trials.n_trials, int), np.zeros(trials.n_trials)
    try:
        for number, (learned, held) in enumerate(pairs):
            posterior = fit_fold(model, trials, learned, room, options)
            every = log_evidence(posterior, trials, draws, seed, progress=False)
            fold[held] = number
            inside[learned] += every["log_evidence"].values[learned] / (folds - 1)
            datasets.append(every.isel(trial=held))
            bar.tick("folds", f"{float(datasets[-1]['log_evidence'].mean()):.1f} nats/trial")
    finally:
        bar.close()
    order = np.argsort(np.concatenate([held for _, held in pairs]))
    evidence = xarray.concat(datasets, "trial").isel(trial=order).assign_coords(fold=("trial", fold))
    if not np.isfinite(evidence["log_evidence"]).all():
        raise InputError("kfold: the evidence of a trial is not finite; try fit_options={'precision': 'float64'}.")
    return elpd_of(evidence, inside, draws, folds)


def elpd_of(evidence: "xarray.Dataset", inside: np.ndarray, draws: int, folds: int) -> "ELPDData":
    """ArviZ's form of the evidence of trials held out, and of the same trials `inside` the fits of other folds."""
    from arviz_stats.utils import ELPDDataLOOKFold

    elpd = evidence.set_coords(["elbo", "error", "effective_draws"])["log_evidence"].rename("elpd_i")
    apart = elpd.copy(data=inside - elpd.values).rename("p_kfold_i")
    return ELPDDataLOOKFold(
        elpd=float(elpd.sum()),
        se=float(np.sqrt(elpd.size) * elpd.std()),
        p=float(apart.sum()),
        n_samples=draws,
        n_data_points=elpd.size,
        scale="log",
        warning=bool((evidence["effective_draws"] < LEAST_DRAWS).any()),
        good_k=float("nan"),
        elpd_i=elpd,
        n_folds=folds,
        p_kfold_i=apart,
    )
