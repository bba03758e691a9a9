"""Latents over time, and against each other."""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes

import nlbprob.plot.style as style
from nlbprob.data.handed import check_trials
from nlbprob.data.tables import shortened
from nlbprob.data.trials import Trials
from nlbprob.errors import InputError
from nlbprob.plot.given import colors_of, inferred, positions
from nlbprob.plot.trials import SINGLE, Group, average, grouped, legend_label, shown_bins, spread, time_label, time_of

if TYPE_CHECKING:
    import xarray

    from nlbprob.posterior.posterior import Posterior

#: Latents whose time courses are shown, and single trials of each condition there and in the planes.
LATENTS, FAINT, FAINT_IN_PLANE = 6, 4, 2
#: Half the width of a 90% interval, in standard deviations.
HALF_WIDTH = 1.645
#: Latents that are drawn against each other.
IN_SPACE = 3


@style.drawing
def latents(
    posterior: "Posterior",
    trials: Trials,
    ax: Any = None,
    *,
    latents: "xarray.Dataset | None" = None,
    colors: dict[str, str] | None = None,
    which: Sequence[int] | Int[np.ndarray, " shown"] | None = None,
) -> np.ndarray:
    """Time courses of the latents that carry most, at most six, each on Axes of its own.

    With conditions: thick lines are averages by condition, faint ones single trials. Without: the average in gray, and
    three trials with their 90% intervals. A title has the latent's name, the fraction of the predictors' variance that
    it carries, and the median posterior standard deviation of a single trial.

    Args:
        posterior: of a fit.
        trials: whose latents to infer from what is seen of them, such as `trials.hide_heldout("val").split("val")`;
            each is drawn up to the last bin in which anything is seen.
        ax: one Axes for each latent; None makes a figure 3.5 inches wide, with a legend.
        latents: what `posterior.latents` gives for these trials, where it is known already.
        colors: of the conditions to draw, by their labels; by default of the nine with the most trials.
        which: positions of the trials to draw one by one where there are no conditions.

    Returns:
        The Axes, [latent].

    Raises:
        InputError: the trials are not of this recording, or other Axes are needed.
    """
    shown = courses("plot.latents", posterior, trials, latents, colors, which)
    fractions, shown_latents = variance_fractions(posterior), leading(posterior, LATENTS)
    array = style.placed(ax, (len(shown_latents),), "latents", height=1.5, columns=2)
    for latent, axes in zip(shown_latents, array, strict=True):
        if shown.has_conditions:
            by_condition(axes, shown, latent)
        else:
            one_by_one(axes, shown, latent)
        deviation = float(np.nanmedian(shown.sd[..., latent]))
        axes.set_xlabel(time_label(trials))
        axes.set_title(f"{shown.names[latent]} · {100 * fractions[latent]:.0f}% · ±{deviation:.2f}")
    if ax is None:
        style.add_legend(array)
    return array


@style.drawing
def trajectories(
    posterior: "Posterior",
    trials: Trials,
    ax: Any = None,
    *,
    latents: "xarray.Dataset | None" = None,
    colors: dict[str, str] | None = None,
    which: Sequence[int] | Int[np.ndarray, " shown"] | None = None,
    pairs: Sequence[tuple[int, int]] | None = None,
) -> np.ndarray:
    """State space: two latents against each other, from a dot to an arrowhead, on equal scales.

    With conditions: averages by condition, and faint single trials. Without: three single trials.

    Args:
        posterior: of a fit with at least two latents.
        trials: as for `latents`.
        ax: one Axes for each pair; None makes a figure 3.5 inches wide, with a legend.
        latents: as for `latents`.
        colors: as for `latents`.
        which: as for `latents`.
        pairs: of positions of latents; by default all of the three that carry most.

    Returns:
        The Axes, [pair].

    Raises:
        InputError: there is no such latent, the trials are not of this recording, or other Axes are needed.
    """
    shown = courses("plot.trajectories", posterior, trials, latents, colors, which)
    chosen = pairs_of(pairs, posterior)
    array = style.placed(
        ax, (len(chosen),), "trajectories", height=2.9 if len(chosen) == 1 else 1.9, columns=min(2, len(chosen))
    )
    for axes, pair in zip(array, chosen, strict=True):
        plane(axes, shown, pair)
    if ax is None:
        style.add_legend(array)
    return array


def pairs_of(pairs: Any, posterior: "Posterior") -> list[tuple[int, int]]:
    """Pairs of latents; by default of the three that carry most. Raises InputError where there are none."""
    dim = posterior.model.dim
    if pairs is None and dim > 1:
        return list(itertools.combinations(leading(posterior, IN_SPACE), 2))
    try:
        array: Any = np.asarray([] if pairs is None else pairs)
    except ValueError:  # of entries that differ in length
        array = np.zeros(0)
    if array.ndim != 2 or array.shape[1] != 2 or array.dtype.kind not in "iu" or not np.isin(array, range(dim)).all():
        shown = "" if pairs is None else f" {shortened(repr(pairs), 60)}"
        raise InputError(f"plot.trajectories: pairs{shown} are no pairs of {dim} latents, such as [(0, 1)].")
    return [(int(first), int(second)) for first, second in array]


@dataclasses.dataclass(frozen=True)
class Courses:
    """Posterior means and standard deviations of latents, NaN after a trial's end, how trials are grouped, and the
    latents' names.
    """

    trials: Trials
    mean: Float[np.ndarray, "trial time latent"]
    sd: Float[np.ndarray, "trial time latent"]
    groups: list[Group]
    singles: list[Group]
    names: list[str]

    @property
    def has_conditions(self) -> bool:
        """Whether trials are grouped by condition."""
        return len(self.groups) > 1

    def average(self, group: Group) -> Float[np.ndarray, "time latent"]:
        """Mean over the group's trials in each bin that at least half of them reach."""
        return average(self.mean[group.rows], shown_bins(self.trials)[group.rows])


def courses(
    caller: str,
    posterior: "Posterior",
    trials: Trials,
    latents: "xarray.Dataset | None",
    colors: dict[str, str] | None,
    which: Sequence[int] | Int[np.ndarray, " shown"] | None,
) -> Courses:
    """What the caller, `latents` or `trajectories`, draws; the other arguments are its own."""
    check_trials(trials, caller)
    colors_of(colors, caller)
    rows = None if which is None else positions(which, len(trials), caller, "which")
    moments = posterior.latents(trials) if latents is None else latents
    moments = inferred(moments, ("mean", "covariance"), trials, caller, "latents")
    variance = np.maximum(np.diagonal(moments["covariance"].values, axis1=2, axis2=3), 0)
    inside = (np.arange(trials.n_bins) < shown_bins(trials)[:, None])[:, :, None]
    mean, sd = (np.where(inside, values, np.nan) for values in (moments["mean"].values, np.sqrt(variance)))
    rows = spread(np.arange(len(trials)), len(SINGLE)) if rows is None else rows[: len(SINGLE)]
    singles = [
        Group(f"trial {trials.table['id'][row]}", color, np.array([row]), place)
        for place, (row, color) in enumerate(zip(rows, SINGLE, strict=False))
    ]
    return Courses(trials, mean, sd, grouped(trials, colors), singles, posterior.model.latent_names)


def variance_fractions(posterior: "Posterior") -> Float[np.ndarray, " latent"]:
    """Fraction of the predictors' variance in each latent: squared loadings, as latents have unit variance."""
    squares = (np.asarray(posterior.parameter_draws()["loadings"], float).mean(0) ** 2).sum(0)
    return squares / max(squares.sum(), 1e-30)


def leading(posterior: "Posterior", number: int) -> list[int]:
    """The positions, in order, of so many latents that carry most of the predictors' variance."""
    return sorted(np.argsort(-variance_fractions(posterior), kind="stable")[:number].tolist())


def by_condition(axes: Axes, shown: Courses, latent: int) -> None:
    """Averages by condition above faint single trials."""
    time = time_of(shown.trials)
    for group in shown.groups:
        for row in spread(group.rows, FAINT):
            axes.plot(time, shown.mean[row, :, latent], color=group.color, linewidth=0.45, alpha=0.4)
    for group in shown.groups:
        label = legend_label(shown.trials, group)
        look = {"color": group.color, "linestyle": group.dashes, "linewidth": 1.5}
        axes.plot(time, shown.average(group)[:, latent], **look, label=label)


def one_by_one(axes: Axes, shown: Courses, latent: int) -> None:
    """Single trials with 90% intervals above the average of all."""
    time = time_of(shown.trials)
    mean = shown.average(shown.groups[0])[:, latent]
    axes.plot(time, mean, color=style.MUTED, linewidth=1.9, alpha=0.7, label="average")
    for group in shown.singles:
        (row,) = group.rows
        center, reach = shown.mean[row, :, latent], HALF_WIDTH * shown.sd[row, :, latent]
        axes.fill_between(time, center - reach, center + reach, color=group.color, alpha=0.25, linewidth=0)
        axes.plot(time, center, color=group.color, linestyle=group.dashes, label=group.label)


def plane(axes: Axes, shown: Courses, pair: tuple[int, int]) -> None:
    """Two latents against each other."""
    columns = list(pair)
    for group in shown.groups if shown.has_conditions else ():
        for row in spread(group.rows, FAINT_IN_PLANE):
            axes.plot(*shown.mean[row][:, columns].T, color=group.color, linewidth=0.4, alpha=0.35)
    for group in shown.groups if shown.has_conditions else shown.singles:
        course = shown.average(group)[:, columns]
        course = course[~np.isnan(course[:, 0])]
        label = legend_label(shown.trials, group) if shown.has_conditions else group.label
        if len(course) > 1:
            look = {"color": group.color, "linestyle": group.dashes}
            axes.plot(*course.T, **look, linewidth=1.5 if shown.has_conditions else 0.9, label=label)
            axes.plot(*course[0], "o", color=group.color)
            arrow = {"arrowstyle": "-|>", "color": group.color, "mutation_scale": 10.5, "shrinkA": 0, "shrinkB": 0}
            axes.annotate("", course[-1], course[-2], arrowprops=arrow)
    axes.set_aspect("equal", adjustable="datalim")
    across, up = (shown.names[latent] for latent in pair)
    axes.set_xlabel(across)
    axes.set_ylabel(up, labelpad=0)
    axes.set_title(f"{across} and {up}")
