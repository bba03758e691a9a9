"""What whole trials follow: templates, and trajectories that a few numbers of a trial weigh."""

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes

import nlbprob.plot.style as style
from nlbprob.data.handed import check_trials
from nlbprob.data.trials import Trials
from nlbprob.errors import InputError
from nlbprob.plot.courses import LATENTS
from nlbprob.plot.given import inferred
from nlbprob.plot.trials import grouped, legend_label, time_label, time_of

if TYPE_CHECKING:
    import xarray

    from nlbprob.posterior.posterior import Posterior

#: Most templates that are drawn, and most latents of a factor.
TEMPLATES, LINES = len(style.CONDITIONS), 4


@style.drawing
def templates(posterior: "Posterior", trials: Trials, ax: Any = None) -> np.ndarray:
    """The templates of a model with `Templates`: their courses in the latents in which they differ most, at most six.

    Each color is a template, at most the nine that most trials follow by their weights; bands are 90% intervals.

    Args:
        posterior: of a fit with templates.
        trials: of its recording, for the time axis.
        ax: one Axes for each latent; None makes a figure 3.5 inches wide, with a legend.

    Returns:
        The Axes, [latent].

    Raises:
        InputError: the model has no templates, the trials are longer than those fitted, or other Axes are needed.
    """
    check_trials(trials, "plot.templates")
    block = posterior.model.templates
    if block is None:
        raise InputError("plot.templates: the model has no templates.")
    drawn = posterior.parameter_draws()["templates"]
    if trials.n_bins > drawn.shape[2]:
        raise InputError(f"plot.templates: these trials have {trials.n_bins} bins, the templates {drawn.shape[2]}.")
    drawn, time = drawn[:, :, : trials.n_bins], time_of(trials)
    heaviest = np.sort(np.argsort(-posterior.values[block.site("weights")], kind="stable")[:TEMPLATES])
    spread = drawn.mean(0)[heaviest].std(0).mean(0)
    count = min(LATENTS, int((spread > 0).sum()))
    latents = sorted(np.argsort(-spread, kind="stable")[:count].tolist())
    array = style.placed(ax, (count,), "templates", height=1.5, columns=2)
    for axes, latent in zip(array, latents, strict=True):
        for place, template in enumerate(heaviest):
            low, middle, high = np.quantile(drawn[:, template, :, latent], (0.05, 0.5, 0.95), axis=0)
            color = style.CONDITIONS[place]
            axes.fill_between(time, low, high, color=color, alpha=0.2, linewidth=0)
            label = f"template {template + 1}"
            axes.plot(time, middle, color=color, linestyle=style.DASHES[place], label=label)
        axes.set_xlabel(time_label(trials))
        axes.set_title(posterior.model.latent_names[latent])
    if ax is None:
        style.add_legend(array)
    return array


@style.drawing
def factors(
    posterior: "Posterior", trials: Trials, ax: Any = None, *, factors: "xarray.Dataset | None" = None
) -> np.ndarray:
    """The numbers of single trials in a block of `TrialFactors`, and the trajectory that the leading one weighs.

    Above the two factors with the largest trajectories, a point a trial, with its standard deviations as bars;
    colors and shapes are conditions. Below the trajectory of the first of them in the latents that it moves most.

    Args:
        posterior: of a fit with `TrialFactors`.
        trials: whose factors to infer from what is seen of them.
        ax: two Axes; None makes a figure 3.5 inches wide, with a legend.
        factors: what `posterior.factors` gives for these trials, where it is known already.

    Returns:
        The Axes (trials, trajectory).

    Raises:
        InputError: the model has no such block, the trials are not of this recording, or other Axes are needed.
    """
    check_trials(trials, "plot.factors")
    found = posterior.factors(trials) if factors is None else factors
    found = inferred(found, (), trials, "plot.factors", "factors")
    name = next(name for name in map(str, found.data_vars) if f"{name}_trajectories" in found)
    mean, moved = found[name].values, found[f"{name}_trajectories"].values
    sd = np.sqrt(np.diagonal(found[f"{name}_covariance"].values, axis1=1, axis2=2))
    order = np.argsort(-(moved**2).sum((1, 2)), kind="stable")[:2]
    array = style.placed(ax, (2,), "factors", height=2.2)
    dots(array[0], trials, mean[:, order], sd[:, order], [f"{name} {factor + 1}" for factor in order])
    course = moved[order[0]]
    leading = np.sort(np.argsort(-(course**2).sum(0), kind="stable")[:LINES])
    for place, latent in enumerate(leading):
        color, dashes = style.CONDITIONS[2 * place], style.DASHES[place]
        label = posterior.model.latent_names[latent]
        array[1].plot(time_of(trials), course[:, latent], color=color, linestyle=dashes, label=label)
    array[1].set_xlabel(time_label(trials))
    array[1].set_title(f"what {name} {order[0] + 1} weighs")
    if ax is None:
        style.add_legend(array)
    return array


def dots(axes: Axes, trials: Trials, mean: np.ndarray, sd: np.ndarray, names: list[str]) -> None:
    """Trials by two factors, or by one and their order, in the colors and shapes of their conditions."""
    if mean.shape[1] == 1:
        mean, sd = np.concatenate([np.arange(len(mean))[:, None], mean], 1), np.concatenate([0 * sd, sd], 1)
        names = ["trial", *names]
    for group in grouped(trials):
        x, y = mean[group.rows].T
        wide, high = sd[group.rows].T
        axes.errorbar(x, y, high, wide, fmt="none", ecolor=group.color, alpha=0.35, elinewidth=0.7)
        label = legend_label(trials, group) if len(trials.condition_labels) > 1 else group.label
        axes.plot(x, y, group.marker, color=group.color, markersize=3, label=label)
    axes.set_xlabel(names[0])
    axes.set_ylabel(names[1])
    axes.set_title("a point is a trial")
