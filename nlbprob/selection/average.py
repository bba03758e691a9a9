"""`average`: a committee, whose rates are the weighted mean of those of separately fitted models."""

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nlbprob.arguments import checked_keywords, flag, instance_of, seed_number, whole_number
from nlbprob.data.handed import check_trials
from nlbprob.errors import InputError
from nlbprob.infer.fit.fit import checked_options, fit_fold
from nlbprob.infer.runtime.progress import Progress
from nlbprob.model import Model
from nlbprob.posterior.posterior import Posterior
from nlbprob.scoring.inner import cross_validation, split_name
from nlbprob.scoring.rates import in_splits
from nlbprob.selection import committee_store
from nlbprob.selection.choose import with_heldout
from nlbprob.selection.member_weights import BOOTSTRAP, Predictions, best_weights, contributions, joined
from nlbprob.selection.members import check_alike, checked_weights, fit_settings, named_members

if TYPE_CHECKING:
    import xarray

    from nlbprob.data.trials import Trials


@checked_keywords
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Committee:
    """Several fitted models whose rates are averaged: r = sum_m w_m E_m[y | seen]; `average` makes it.

    Attributes:
        members: the posteriors by name.
        weights: of each member, 0 or more; they sum to 1.
        chosen: where the weights come from: "equal", "given", or the folds that chose them, in words.
        table: what each member adds on these folds, as `contributions` returns it, with `attrs["measure"]`; None where
            no folds chose the weights.
    """

    members: dict[str, Posterior]
    weights: dict[str, float]
    chosen: str
    table: "xarray.Dataset | None" = None

    def __repr__(self) -> str:
        lines = [["", "weight"], *([name, f"{weight:.3f}"] for name, weight in self.weights.items())]
        measure = ""
        if self.table is not None:
            measure = f", by {self.table.attrs['measure']}"
            lines[0] += ["bits/spike", "adds"]
            for line, score, adds in zip(lines[1:], self.table["score"].values, self.table["adds"].values, strict=True):
                line += [f"{score:.4f}", f"{adds:+.4f}"]
            lines.append(["together", "1.000", f"{self.table.attrs['score']:.4f}", ""])
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        rows = ["  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]) for line in lines]
        title = f"Committee: {len(self.members)} models, weights: {self.chosen}{measure}"
        return "\n".join([title, *map(str.rstrip, rows)])

    @property
    def neuron_ids(self) -> np.ndarray:
        """The neurons, in the order of the rates."""
        return next(iter(self.members.values())).neuron_ids

    @property
    def verdict(self) -> str:
        """The verdict of each member's fit, after its name."""
        return "\n".join(f"{name}: {posterior.verdict}" for name, posterior in self.members.items())

    def check(self, trials: "Trials") -> None:
        """Raise InputError unless the trials are of the members' neurons and bin width."""
        for posterior in self.members.values():
            posterior.check(trials)

    def rates(self, trials: "Trials", causal: bool = False, beyond_ms: float | int = 0) -> "xarray.DataArray":
        """Expected spikes per bin of every neuron and bin, given only the entries that are `seen`.

        r = sum_m w_m r_m, with r_m what `Posterior.rates` of member m gives; members of weight 0 are not asked.

        Args:
            trials: to predict, as `Posterior.rates` takes them.
            causal: whether each bin is given what is seen up to and including it.
            beyond_ms: also predict the bins up to so many ms after the last.

        Returns:
            (trial, time, neuron), spikes/bin.

        Raises:
            InputError: the trials are not of this recording.
        """
        used = {name: weight for name, weight in self.weights.items() if weight}
        return self.mean({name: self.members[name].rates(trials, causal, beyond_ms) for name in used})

    def mean(self, rates: "Mapping[str, xarray.DataArray]") -> "xarray.DataArray":
        """The weighted mean of the members' rates, by their names; members of weight 0 may be left out."""
        total = sum(self.weights[name] * np.asarray(each, np.float64) for name, each in rates.items())
        return next(iter(rates.values())).copy(data=total)

    def contributions(
        self, trials: "Trials", on: str | Sequence[str] = "val", bootstrap: int = BOOTSTRAP, seed: int = 0
    ) -> "xarray.Dataset":
        """What each member adds on some trials: co-bps of the committee less that of the others alone.

        Args:
            trials: with the held-out counts seen, as `score` takes them.
            on: the split or splits to predict and to score.
            bootstrap: resamples of the trials for the intervals; 0 for none.
            seed: of the resamples.

        Returns:
            By member "weight", "score" (its own co-bps), "adds", "adds_low" and "adds_high"; see
            `nlbprob.selection.member_weights.contributions`.

        Raises:
            InputError: the trials are not of this recording, no split has the name, or no held-out spike is seen.
        """
        check_trials(trials, "contributions")
        bootstrap, seed = whole_number(bootstrap, "contributions", "bootstrap"), seed_number(seed, "contributions")
        scored = trials.select(trials=np.flatnonzero(in_splits(trials, on, "on")))
        visible = scored.hide_heldout()
        rates = [posterior.rates(visible) for posterior in self.members.values()]
        weights = np.array(list(self.weights.values()))
        return contributions(Predictions.of(rates, scored), list(self.members), weights, bootstrap, seed)

    def save(self, folder: str | Path) -> Path:
        """Write committee.json and, below members/, the posterior of each member as `Posterior.save` does.

        Args:
            folder: where to write; it is made if it does not exist.

        Returns:
            The folder.
        """
        return committee_store.save(
            self, Path(instance_of(folder, str | os.PathLike, "Committee.save", "folder", "a path"))
        )

    @staticmethod
    def load(folder: str | Path, models: Mapping[str, Model | Callable] | None = None) -> "Committee":
        """Read what `save`, or `nlbprob average`, wrote.

        Args:
            folder: where it was written.
            models: the model of a member by the member's name, for those that `Posterior.load` needs one for.

        Raises:
            InputError: there is no committee, it is damaged, or a member is of another model.
        """
        place = instance_of(folder, str | os.PathLike, "Committee.load", "folder", "the path of a folder")
        instance_of(models, Mapping | None, "Committee.load", "models", "models by the members' names, {'lds': model}")
        return Committee(**committee_store.load(Path(place), dict(models or {})))


@checked_keywords
def average(
    posteriors: Any,
    weights: Any = None,
    *,
    folds: int | None = None,
    trials: "Trials | None" = None,
    seed: int = 0,
    fit_options: dict[str, Any] | None = None,
    progress: bool = True,
) -> Committee:
    """Average the rates of separately fitted models: a committee, which predicts as a posterior does.

    r = sum_m w_m E_m[y | seen] with weights w_m >= 0 that sum to 1; equal ones by default. Models that err in different
    ways gain most (Bishop 2006, Pattern Recognition and Machine Learning, section 14.2).

    With `folds` the weights are those of the most bits per spike of held-out neurons: each member is fitted to all
    folds of the trials but one, with the settings of its own fit (a family of your own as "map"), and predicts that
    one. Where the trials hold no neuron out, a quarter of the neurons, drawn by `seed`, is hidden instead. The members
    of the committee are the fits that were handed over.

    Args:
        posteriors: at least two fits to the same neurons and bins, by name, {"lds": first, "templates": second}, or a
            list, whose names are those of the models' latent blocks.
        weights: a number of 0 or more for each, in their order or by name; they are scaled to sum to 1. None: equal.
        folds: into how many folds of `trials` to cut, at least 2; None: no weights are chosen.
        trials: with `folds`, those that the members were fitted to, such as `trials.split("train")`.
        seed: of the folds.
        fit_options: with `folds`, keywords of `fit` for every refit, in the place of those of the members' own fits.
        progress: show a progress bar.

    Raises:
        InputError: there are fewer than two fits, they are of other neurons or bins, or no weights can be chosen.

    Examples:
        >>> committee = nlb.average({"lds": lds, "templates": templates}, folds=3, trials=train)  # doctest: +SKIP
        >>> rates = committee.rates(trials.hide_heldout("val"))  # doctest: +SKIP
    """
    members = named_members(posteriors)
    check_alike(members)
    if folds is None:
        if trials is not None or fit_options is not None:
            raise InputError("average: trials and fit_options are for choosing the weights; give folds=3 beside them.")
        return Committee(members, checked_weights(weights, list(members)), "equal" if weights is None else "given")
    if weights is not None or trials is None:
        missing = "trials=trials.split('train')" if weights is None else "no weights"
        raise InputError(f"average(folds={folds}): the folds choose the weights; give {missing} beside them.")
    check_trials(trials, "average")
    folds, seed = whole_number(folds, "average", "folds", 2), seed_number(seed, "average")
    progress, options = flag(progress, "average", "progress"), checked_options(fit_options, "average")
    settings = {name: fit_settings(posterior) | options for name, posterior in members.items()}
    for posterior in members.values():
        posterior.check(trials)
    predictions, measure = predict_folds(members, settings, trials, folds, seed, progress)
    best = best_weights(predictions)
    table = contributions(predictions, list(members), best, seed=seed)
    by_name = dict(zip(members, best.tolist(), strict=True))
    return Committee(members, by_name, split_name(trials, folds, seed), table.assign_attrs(measure=measure))


def predict_folds(
    members: Mapping[str, Posterior],
    settings: Mapping[str, dict[str, Any]],
    trials: "Trials",
    folds: int,
    seed: int,
    progress: bool,
) -> tuple[Predictions, str]:
    """What each member predicts of every fold when it is fitted to the others, and the name of the score."""
    pairs = cross_validation(trials, folds, seed)
    trials, measure = with_heldout(trials, seed, "average")
    room = max(len(learned) for learned, _ in pairs)
    held = [trials.select(trials=rows) for _, rows in pairs]
    rates: list[list[Any]] = [[] for _ in held]
    bar = Progress(len(members) * folds, progress, unit="fit", first="fitting folds")
    try:
        for name, posterior in members.items():
            for (learned, _), fold, predicted in zip(pairs, held, rates, strict=True):
                refit = fit_fold(posterior.model, trials, learned, room, settings[name])
                predicted.append(np.asarray(refit.rates(fold.hide_heldout())))
                bar.tick(name, f"{Predictions.of(predicted[-1:], fold).score(np.ones(1)):.4f} bits/spike")
    finally:
        bar.close()
    return joined([Predictions.of(*pair) for pair in zip(rates, held, strict=True)]), measure
