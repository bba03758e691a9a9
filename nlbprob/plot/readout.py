"""How neurons read the latents, and how many of these they use."""

from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes

import nlbprob.plot.style as style
from nlbprob.arguments import whole_number
from nlbprob.data.handed import check_trials
from nlbprob.data.trials import Trials
from nlbprob.errors import InputError
from nlbprob.plot.given import inferred

if TYPE_CHECKING:
    import xarray

    from nlbprob.posterior.posterior import Posterior

#: Most rows of the image, and most areas named.
ROWS, AREAS = 150, 24
#: Width of a letter below the axis, in points.
LETTER = 5.0


@style.drawing
def loadings(posterior: "Posterior", trials: Trials | None = None, ax: Any = None) -> Axes:
    """All loadings as an image: a row is a neuron, a column a latent; orange raises the rate, blue lowers it.

    Loadings whose 90% interval holds 0 are pale. Of more than 150 neurons those with the strongest loadings are shown.

    Args:
        posterior: of a fit.
        trials: of its neurons; a column "area" among `trials.neurons` sorts and names the rows.
        ax: Axes to draw in; None makes a figure 3.5 inches wide.

    Returns:
        The Axes.

    Raises:
        InputError: the trials are not of this recording.
    """
    areas = areas_of(posterior, trials)
    draws = drawn(posterior)
    mean = draws.mean(0)
    low, high = np.quantile(draws, [0.05, 0.95], axis=0)
    certain = (low > 0) | (high < 0) | (low == high)
    rows = order(mean, areas)
    axes = style.placed(ax, (1,), "loadings", height=3.2)[0]
    scale = max(float(np.quantile(np.abs(mean[rows]), 0.98)), 1e-9)
    strength = np.clip(np.abs(mean[rows]) / scale, 0, 1) * np.where(certain[rows], 1.0, 0.35)
    positive = style.tinted(strength, style.POSITIVE_IMAGE)
    colored = np.where((mean[rows] > 0)[..., None], positive, style.tinted(strength, style.NEGATIVE_IMAGE))
    axes.imshow(colored, extent=(0.5, mean.shape[1] + 0.5, len(rows), 0))
    axes.spines[:].set_visible(False)
    name_latents(axes, posterior)
    if areas is None:
        axes.set_yticks([])
        axes.set_ylabel(f"{len(rows)} neurons, sorted")
    else:
        name_areas(axes, areas[rows])
    axes.set_title(f"all loadings; full color from ±{scale:.2f}")
    return axes


@style.drawing
def loadings_by_area(posterior: "Posterior", trials: Trials, ax: Any = None) -> Axes:
    """Root mean square loading of the neurons of each area on each latent, as the size of a dot.

    Args:
        posterior: of a fit.
        trials: of its neurons, whose `trials.neurons` have a column "area".
        ax: Axes to draw in; None makes a figure 3.5 inches wide.

    Returns:
        The Axes.

    Raises:
        InputError: the trials are not of this recording, or have no areas that differ.
    """
    areas, mean = areas_of(posterior, trials), drawn(posterior).mean(0)
    if areas is None:
        raise InputError("plot.loadings_by_area: trials.neurons has no column 'area' with at least two areas.")
    names, counts = np.unique(areas, return_counts=True)
    largest = np.sort(np.argsort(-counts, kind="stable")[:AREAS])
    names, counts = names[largest], counts[largest]
    size = np.stack([np.sqrt((mean[areas == name] ** 2).mean(0)) for name in names])
    axes = style.placed(ax, (1,), "loadings_by_area", height=max(1.6, 0.8 + 0.15 * len(names)))[0]
    latent, area = np.meshgrid(np.arange(1, mean.shape[1] + 1), np.arange(len(names)))
    axes.scatter(latent, area, s=52 * (size / size.max()) ** 2, color=style.MODEL, linewidths=0)
    axes.set_yticks(np.arange(len(names)), [f"{name} ({count})" for name, count in zip(names, counts, strict=True)])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(0.4, mean.shape[1] + 0.6)
    name_latents(axes, posterior)
    axes.set_title(f"by area: root mean square, up to {size.max():.2f}")
    return axes


@style.drawing
def loadings_of_latent(posterior: "Posterior", trials: Trials | None = None, latent: int = 0, ax: Any = None) -> Axes:
    """The loadings of all neurons on one latent, sorted, with 90% intervals.

    Args:
        posterior: of a fit.
        trials: of its neurons, by which held-out ones are orange triangles; None draws all alike.
        latent: position of the latent.
        ax: Axes to draw in; None makes a figure 3.5 inches wide.

    Returns:
        The Axes.

    Raises:
        InputError: there is no such latent, or the trials are not of this recording.
    """
    draws = drawn(posterior)
    latent = whole_number(latent, "plot.loadings_of_latent", "latent", 0, draws.shape[2] - 1)
    name = posterior.model.latent_names[latent]
    return in_order(posterior, trials, draws[..., latent], ax, "loadings_of_latent", f"loadings on {name}")


@style.drawing
def loadings_of_mode(
    posterior: "Posterior",
    trials: Trials | None = None,
    mode: int = 1,
    ax: Any = None,
    *,
    dynamics: "xarray.Dataset | None" = None,
) -> Axes:
    """How far one mode of the dynamics moves each neuron, sorted, with 90% intervals; see `posterior.dynamics`.

    Args:
        posterior: of a fit.
        trials: of its neurons, by which held-out ones are orange triangles; None draws all alike.
        mode: its number, from 1.
        ax: Axes to draw in; None makes a figure 3.5 inches wide.
        dynamics: what `posterior.dynamics()` gives, where it is known already.

    Returns:
        The Axes.

    Raises:
        InputError: there is no such mode, no block has a transition matrix of its own, or the trials are not of this
            recording.
    """
    caller = "plot.loadings_of_mode"
    found = inferred(posterior.dynamics() if dynamics is None else dynamics, ("loading",), None, caller, "dynamics")
    mode = whole_number(mode, caller, "mode", 1, found.sizes["mode"])
    draws = found["loading"].sel(mode=mode).values
    return in_order(posterior, trials, draws, ax, "loadings_of_mode", f"loadings on mode {mode}")


def in_order(
    posterior: "Posterior",
    trials: Trials | None,
    draws: Float[np.ndarray, "sample neuron"],
    ax: Any,
    caller: str,
    title: str,
) -> Axes:
    """Loadings of all neurons, sorted, with 90% intervals; the other arguments are those of `loadings_of_latent`."""
    areas_of(posterior, trials)
    mean = draws.mean(0)
    low, high = np.quantile(draws, [0.05, 0.95], axis=0)
    heldout = np.zeros(len(mean), bool) if trials is None else trials.heldout
    axes = style.placed(ax, (1,), caller, height=2.4)[0]
    place = np.empty(len(mean))
    place[np.argsort(mean, kind="stable")] = np.arange(1, len(mean) + 1)
    few = len(mean) < 250
    kinds = (~heldout, style.HELDIN, "o", "held-in neurons"), (heldout, style.HELDOUT, "^", "held-out neurons")
    for kind, color, marker, label in kinds:
        if (high > low).any():
            thin = 0.9 if few else 0.45
            style.segments(axes, low[kind], high[kind], place[kind], color=color, linewidth=thin, alpha=0.55)
        size = (1.9 if few else 1.2) * (1.6 if marker == "^" else 1)
        axes.plot(place[kind], mean[kind], marker, color=color, markersize=size, label=label)
    axes.axhline(0, color=style.MUTED, linewidth=0.6, zorder=0)
    style.whole(axes.xaxis)
    axes.set_xlabel("neuron, sorted")
    axes.set_title(title)
    if ax is None and heldout.any():
        style.add_legend(np.array([axes]))
    return axes


@style.drawing
def orthonormal_latents(
    posterior: "Posterior", trials: Trials, ax: Any = None, *, orthonormal_latents: "xarray.Dataset | None" = None
) -> Axes:
    """The fraction of variance in each orthonormal direction of the latents, and how many are used.

    Dots are fractions of the predictors' variance by the model, from the largest; circles those over the trials, whose
    posterior means vary less. A dashed line stands at the number of latents used.

    Args:
        posterior: of a fit.
        trials: whose latents are inferred from what is seen of them.
        ax: Axes to draw in; None makes a figure 3.5 inches wide, with a legend.
        orthonormal_latents: what `posterior.orthonormal_latents` gives for these, where it is known already.

    Returns:
        The Axes.

    Raises:
        InputError: the trials are not of this recording.
    """
    check_trials(trials, "plot.orthonormal_latents")
    found = posterior.orthonormal_latents(trials) if orthonormal_latents is None else orthonormal_latents
    found = inferred(found, ("mean", "variance", "used"), trials, "plot.orthonormal_latents", "orthonormal_latents")
    axes = style.placed(ax, (1,), "orthonormal_latents", height=2.2)[0]
    inside = np.arange(trials.n_bins) < trials.lengths[:, None]
    spread = found["mean"].values[inside].var(0)
    numbers = found["direction"].values
    axes.plot(numbers, found["variance"].values, "o", color=style.MODEL, markersize=4, label="by the model")
    over = spread / max(float(spread.sum()), 1e-30)
    axes.plot(
        numbers, over, "o", color=style.HELDOUT, markerfacecolor="none", markersize=4, label="of means over trials"
    )
    used = found["used"].item()
    axes.axvline(used, color=style.MUTED, linewidth=0.8, linestyle="--", zorder=0)
    axes.set_ylim(0, None)
    style.whole(axes.xaxis)
    axes.set_xlabel("orthonormal direction")
    axes.set_ylabel("fraction of variance")
    axes.set_title(f"{used:.1f} of {len(numbers)} latents used")
    if ax is None:
        style.add_legend(np.array([axes]))
    return axes


def drawn(posterior: "Posterior") -> Float[np.ndarray, "sample neuron latent"]:
    """Draws of the loadings."""
    return np.asarray(posterior.parameter_draws()["loadings"], float)


def areas_of(posterior: "Posterior", trials: Trials | None) -> np.ndarray | None:
    """The area of each neuron; None where areas are not known or do not differ."""
    if trials is None:
        return None
    check_trials(trials, "plot.loadings")
    if not np.array_equal(trials.neurons["id"], posterior.neuron_ids):
        raise InputError("plot.loadings: these are not the neurons of the posterior, or they are in another order.")
    column = trials.neurons.get("area")
    return None if column is None or len(np.unique(column)) < 2 else column.astype(str)


def name_latents(axes: Axes, posterior: "Posterior") -> None:
    """Numbers of the latents where one block has them all; else the blocks' names, with lines between these.

    Names that are wider than their blocks stand in two rows.
    """
    blocks = [block for block in posterior.model.latents if block.n_latents]
    if len(blocks) == 1:
        axes.set_xlabel(f"latent of {blocks[0].name}")
        style.whole(axes.xaxis)
        return
    counts = np.array([block.n_latents for block in blocks])
    ends = np.cumsum(counts) + 0.5
    for end in ends[:-1]:
        axes.axvline(end, color=style.LINE, linewidth=0.6)
    room = axes.get_position().width * style.figure_of(axes).get_figwidth() * 72 / counts.sum()
    names = [block.name for block in blocks]
    wide = any(LETTER * len(name) > room * count for name, count in zip(names, counts, strict=True))
    rows = [place % 2 * wide for place in range(len(names))]
    axes.set_xticks(ends - counts / 2, ["\n" * row + name for row, name in zip(rows, names, strict=True)])
    axes.tick_params(axis="x", length=0)
    axes.set_xlabel("" if wide else "latents of each block, from 1")


def order(mean: Float[np.ndarray, "neuron latent"], areas: np.ndarray | None) -> Int[np.ndarray, " row"]:
    """The strongest neurons, by area, then by the latent and sign of their largest loading, then by its size."""
    strongest = np.argsort(-(mean**2).sum(1), kind="stable")[:ROWS]
    rows = mean[strongest]
    largest = np.abs(rows).argmax(1)
    value = rows[np.arange(len(rows)), largest]
    sorted_areas = np.zeros(len(rows)) if areas is None else np.unique(areas[strongest], return_inverse=True)[1]
    return strongest[np.lexsort((-value, largest, sorted_areas))]


def name_areas(axes: Axes, areas: np.ndarray) -> None:
    """Lines between areas, and names of those with room for one."""
    starts = np.flatnonzero(np.concatenate([[True], areas[1:] != areas[:-1]]))
    ends = np.append(starts[1:], len(areas))
    for start in starts[1:]:
        axes.axhline(start, color=style.LINE, linewidth=0.6)
    wide = [(s, e) for s, e in zip(starts, ends, strict=True) if e - s >= len(areas) / 24]
    axes.set_yticks([(s + e) / 2 for s, e in wide], [areas[s] for s, _ in wide])
    axes.tick_params(axis="y", length=0)
