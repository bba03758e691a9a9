"""`choose`: the keywords of a model, by cross-validation inside the trials that it may learn from."""

import dataclasses
import functools
import inspect
import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from nlbprob.arguments import checked_keywords, flag, named, nearest, one_of, seed_number, whole_number
from nlbprob.data.handed import check_trials
from nlbprob.errors import InputError
from nlbprob.functions.model import resolve_model
from nlbprob.infer.fit.fit import checked_options, fit_fold
from nlbprob.infer.runtime.progress import Progress
from nlbprob.model import Model
from nlbprob.model_file import load_model
from nlbprob.scoring.bootstrap import resamples
from nlbprob.scoring.inner import cross_validation, split_name
from nlbprob.scoring.metrics.likelihood import TrialSums, bits, trial_sums
from nlbprob.selection.fold_fit import FoldFit

if TYPE_CHECKING:
    import xarray

    from nlbprob.data.trials import Trials
    from nlbprob.posterior.posterior import Posterior

RULES = ("best", "one-standard-error")
#: Resamples of the trials from which standard errors come.
BOOTSTRAP = 1000
#: Fraction of the neurons that are hidden where the recording holds none out.
HIDDEN_FRACTION = 0.25
#: Options of the fit of each fold: EM alone, with the uncertainty of the readout from its curvature.
FOLD_OPTIONS = {"svi_steps": 0}


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Choice:
    """The result of `choose`; `choice.model` is ready for `fit`.

    Attributes:
        keywords: those chosen.
        model: made with them, ready to fit.
        split: the inner split that chose.
        measure: what was scored on it.
        table: by candidate (its keywords as coordinates) "score" (bits/spike) and its "standard_error", "difference"
            (from the best) and "difference_standard_error" (paired over trials), and "fold_score" by fold.
    """

    keywords: dict[str, Any]
    model: Model | Callable
    split: str
    measure: str
    table: "xarray.Dataset"

    def __repr__(self) -> str:
        names = list(self.keywords)
        lines = [[*names, "bits/spike", "s.e.", "from the best", "s.e.", ""]]
        for index in range(self.table.sizes["candidate"]):
            row = self.table.isel(candidate=index)
            values = [str(row[name].item()) for name in names]
            numbers = [row[name].item() for name in ("score", "standard_error", "difference")]
            difference_error = row["difference_standard_error"].item()
            cells = [f"{numbers[0]:.4f}", f"{numbers[1]:.4f}", f"{numbers[2]:+.4f}", f"{difference_error:.4f}"]
            lines.append([*values, *cells, "chosen" if index == self.table.attrs["chosen"] else ""])
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        rows = ["  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
        return f"Choice: {words(self.keywords)}, by {self.measure} on {self.split}\n" + "\n".join(
            row.rstrip() for row in rows
        )


@checked_keywords
def choose(
    model: str | Callable[..., Any],
    trials: "Trials",
    *,
    folds: int = 3,
    seed: int = 0,
    rule: str = "best",
    fit_options: dict[str, Any] | None = None,
    progress: bool = True,
    **grids: Any,
) -> Choice:
    """Choose the keywords of a model by K-fold cross-validation over the trials, such as `trials.split("train")`.

    Each candidate is fitted to all folds but one and predicts that one from its held-in neurons; the score is co-bps,
    the bits per spike of held-out neurons over their mean rate, of all trials together, each predicted once. Where the
    trials hold no neuron out, a quarter of the neurons, drawn by `seed`, is hidden instead. Standard errors come from a
    bootstrap over trials. No other trials are used.

    Args:
        model: a function of keywords that returns a `Model` or a NumPyro function of trials, or the name of a model
            (file) as `load_model` takes it.
        trials: to learn from and to predict.
        folds: at least 2, shuffled by `seed`.
        seed: of the folds and of every fit.
        rule: "best" takes the highest score. "one-standard-error" takes the first candidate whose score is less than a
            standard error of the difference below it; so write grids from simple to rich.
        fit_options: keywords of `fit` for the folds, {"svi_steps": 0} by default: EM with the curvature's uncertainty.
        progress: show a progress bar.
        **grids: for each keyword the values to try, or one value for all, as in `dim=[4, 8, 12], components=9`; every
            combination is tried.

    Raises:
        InputError: the model does not take these keywords, a candidate does not fit the trials, or there are too few
            trials, neurons or spikes to judge by.

    Examples:
        >>> choice = nlb.choose("poisson_lds", trials.split("train"), dim=[4, 8, 12])  # doctest: +SKIP
        >>> posterior = nlb.fit(choice.model, trials.split("train"))  # doctest: +SKIP
    """
    check_trials(trials, "choose")
    one_of(rule, RULES, "choose", "rule")
    progress = flag(progress, "choose", "progress")
    seed, folds = seed_number(seed, "choose"), whole_number(folds, "choose", "folds", 2)
    options = FOLD_OPTIONS | checked_options(fit_options, "choose") | {"seed": seed, "progress": False}
    if isinstance(model, Model) or not (isinstance(model, str) or callable(model)):
        raise InputError(
            f"{named('choose', 'model', model)}: give a function of keywords that returns a model, such as "
            "lambda dim: nlb.Model(latents=[nlb.LDS(dim)]), or the name of a model."
        )
    build = functools.partial(load_model, model) if isinstance(model, str) else model
    candidates = combinations(grids)
    models = [built(build, keywords, trials) for keywords in candidates]
    pairs = cross_validation(trials, folds, seed)
    trials, measure = with_heldout(trials, seed)
    room = max(len(learned) for learned, _ in pairs)
    bar = Progress(len(models) * folds, progress, unit="fit", first="fitting folds")
    sums: list[list[TrialSums]] = [[] for _ in models]
    fits = [FoldFit(trials.select(trials=held)) for _, held in pairs]
    try:
        for (candidate, keywords, fold_sums), ((learned, _), fold) in itertools.product(
            zip(models, candidates, sums, strict=True), zip(pairs, fits, strict=True)
        ):
            fit = functools.partial(fit_fold, trials=trials, learned=learned, room=room, options=options)
            fold_sums.append(judged(fold.posterior(candidate, fit), fold.held))
            bar.tick(words(keywords), f"{total(fold_sums[-1]):.4f} bits/spike")
    finally:
        bar.close()
    table = tabulated(candidates, sums, seed)
    chosen = select(table, rule)
    chosen_model = build(**candidates[chosen])
    split = split_name(trials, folds, seed)
    return Choice(candidates[chosen], chosen_model, split, measure, table.assign_attrs(chosen=chosen))


def combinations(grids: dict[str, Any]) -> list[dict[str, Any]]:
    """Every combination of the values of all keywords, the last keyword varying fastest."""
    values = [list(grid) if isinstance(grid, list | tuple | range | np.ndarray) else [grid] for grid in grids.values()]
    for name, grid in zip(grids, values, strict=True):
        if not grid:
            raise InputError(f"choose({name}=[]): give at least one value to try.")
    if not values:
        raise InputError("choose: nothing to choose from. Give the values of a keyword, as in dim=[4, 8, 12].")
    return [dict(zip(grids, combination, strict=True)) for combination in itertools.product(*values)]


def built(build: Callable[..., Any], keywords: dict[str, Any], trials: "Trials") -> Model | Callable:
    """The model of these keywords, checked against the trials."""
    signature = inspect.signature(build)
    try:
        signature.bind(**keywords)
    except TypeError as error:
        unknown = [name for name in keywords if name not in signature.parameters]
        keywords_known = [*signature.parameters, *inspect.signature(choose).parameters]
        near = [
            f" Did you mean {nearest(name, keywords_known)!r}?"
            for name in unknown[:1]
            if nearest(name, keywords_known) != name
        ]
        raise InputError(f"choose: the model cannot be made with {words(keywords)}: {error}.{''.join(near)}") from None
    model = build(**keywords)
    if not isinstance(model, Model) and not callable(model):
        raise InputError(
            f"choose: model({words(keywords)}) is of type {type(model).__name__}; return an nlb.Model, or a NumPyro "
            "function of trials."
        )
    resolve_model(model, trials)
    return model


def with_heldout(trials: "Trials", seed: int, caller: str = "choose") -> "tuple[Trials, str]":
    """The trials with neurons to predict, their own or some drawn by the seed, and the score's name."""
    seen = trials.seen.any((0, 1))
    if (trials.heldout & seen).any() and (trials.heldin & seen).any():
        return trials, "co-bps"
    seen_neurons = np.flatnonzero(seen)
    if len(seen_neurons) < 2:
        raise InputError(f"{caller}: fewer than two neurons are seen; one has to predict the other.")
    count = max(1, round(HIDDEN_FRACTION * len(seen_neurons)))
    hidden = np.random.default_rng(seed).choice(seen_neurons, count, replace=False)
    neurons = trials.neurons | {"heldout": np.isin(np.arange(trials.n_neurons), hidden)}
    return trials.replace(neurons=neurons), f"bits per spike of {count} hidden neurons (drawn, seed {seed})"


def judged(posterior: "Posterior", fold: "Trials") -> TrialSums:
    """What the score of a fold needs: its trials are predicted from their held-in neurons."""
    rates = np.asarray(posterior.rates(fold.hide_heldout()))
    predicted = np.ix_(np.arange(fold.n_trials), np.arange(fold.window_bins), fold.heldout)
    sums = trial_sums(rates[predicted], fold.counts[predicted], fold.seen[predicted])
    if not sums.spikes.any():
        raise InputError("choose: no spike of a hidden neuron is seen in a fold; take fewer folds, or other neurons.")
    return sums


def total(sums: TrialSums) -> float:
    """Bits per spike of all trials."""
    return float(bits(sums, np.ones((1, len(sums.spikes))))[0])


def pooled(folds: list[TrialSums]) -> TrialSums:
    """The sums of all folds' trials."""
    fields = [field.name for field in dataclasses.fields(TrialSums)]
    return TrialSums(**{name: np.concatenate([getattr(fold, name) for fold in folds]) for name in fields})


def tabulated(candidates: list[dict[str, Any]], sums: list[list[TrialSums]], seed: int) -> "xarray.Dataset":
    """The scores of all candidates, over all trials and by fold, with standard errors from a bootstrap over trials."""
    import xarray

    pooled_sums = [pooled(folds) for folds in sums]
    count = len(pooled_sums[0].spikes)
    weights = np.vstack([np.ones((1, count)), resamples(count, BOOTSTRAP, seed)])
    draws = np.stack([bits(one, weights) for one in pooled_sums])
    best = int(np.argmax(draws[:, 0]))
    difference = draws - draws[best]
    by_fold = [[total(fold) for fold in folds] for folds in sums]
    values = {
        "score": draws[:, 0],
        "standard_error": draws[:, 1:].std(1),
        "difference": difference[:, 0],
        "difference_standard_error": difference[:, 1:].std(1),
    }
    keywords = {name: ("candidate", column([one[name] for one in candidates])) for name in candidates[0]}
    units = {"units": "bits/spike"}
    columns = {name: ("candidate", value, units) for name, value in values.items()}
    return xarray.Dataset(columns | {"fold_score": (("candidate", "fold"), np.array(by_fold), units)}, keywords)


def column(values: list[Any]) -> np.ndarray:
    """The values of a keyword as a column, whatever they are."""
    if len({type(value) for value in values}) == 1 and isinstance(values[0], int | float | str):
        return np.array(values)
    objects = np.empty(len(values), object)
    for place, value in enumerate(values):
        objects[place] = value
    return objects


def select(table: "xarray.Dataset", rule: str) -> int:
    """The place of the candidate that the rule takes."""
    if rule == "best":
        return int(np.argmax(table["score"].values))
    near = table["difference"].values >= -table["difference_standard_error"].values
    return int(np.argmax(near))


def words(keywords: dict[str, Any]) -> str:
    """Keywords as Python writes them."""
    return ", ".join(f"{name}={value!r}" for name, value in keywords.items())
