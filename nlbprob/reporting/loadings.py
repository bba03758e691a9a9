"""How neurons read the latents."""

import numpy as np
from jaxtyping import Float, Int

from nlbprob.reporting import style
from nlbprob.reporting.parts import Panel, Section
from nlbprob.reporting.view import View

#: Most rows of the image, and most areas named.
ROWS, AREAS = 150, 24
#: Latents whose loadings are shown neuron by neuron, without areas and with, so that rows of panels are filled.
SINGLE, SINGLE_BESIDE_AREAS = 2, 4


def section(view: View) -> Section:
    """All loadings as an image, by area where there are areas, and those of the leading latents with intervals."""
    draws = np.asarray(view.parameter_draws["loadings"], float)
    mean = draws.mean(0)
    low, high = np.quantile(draws, [0.05, 0.95], axis=0)
    certain = (low > 0) | (high < 0)
    reading = (
        f"How much a neuron's {view.predictor} moves when a latent moves by one standard deviation. "
        "In the image a row is a neuron and a column a latent: orange raises the rate, blue lowers it"
    )
    if view.has_intervals:
        reading += "; loadings whose 90% interval holds 0 are pale. Bars in the other plots are 90% intervals"
    if mean.shape[0] > ROWS:
        reading += f". The image shows the {ROWS} neurons with the strongest loadings"
    panels = [image(view, mean, certain if view.has_intervals else np.ones_like(certain))]
    if view.areas is not None:
        panels.append(by_area(view.areas, mean))
    single = min(SINGLE if view.areas is None else SINGLE_BESIDE_AREAS, mean.shape[1])
    panels += [by_neuron(view, mean[:, k], low[:, k], high[:, k], k) for k in range(single)]
    heldout = view.trials.heldout.any()
    key = [(style.HELDOUT, "held-out neurons"), (style.HELDIN, "held-in neurons")] if heldout else []
    return Section("Loadings", reading + ".", panels, key)


def order(view: View, mean: Float[np.ndarray, "neuron latent"]) -> Int[np.ndarray, " row"]:
    """The strongest neurons, by area, then by the latent and sign of their largest loading, then by its size."""
    strongest = np.argsort(-(mean**2).sum(1), kind="stable")[:ROWS]
    rows = mean[strongest]
    largest = np.abs(rows).argmax(1)
    value = rows[np.arange(len(rows)), largest]
    areas = np.zeros(len(rows)) if view.areas is None else np.unique(view.areas[strongest], return_inverse=True)[1]
    return strongest[np.lexsort((-value, largest, areas))]


def image(view: View, mean: Float[np.ndarray, "neuron latent"], certain: np.ndarray) -> Panel:
    """Loadings as colors, neurons sorted."""
    rows = order(view, mean)
    figure, axes = style.single(height=320, left=58 if view.areas is not None else 30)
    scale = max(float(np.quantile(np.abs(mean[rows]), 0.98)), 1e-9)
    strength = np.clip(np.abs(mean[rows]) / scale, 0, 1) * np.where(certain[rows], 1.0, 0.35)
    positive = style.tinted(strength, style.POSITIVE_IMAGE)
    colored = np.where((mean[rows] > 0)[..., None], positive, style.tinted(strength, style.NEGATIVE_IMAGE))
    axes.imshow(colored, extent=(0.5, mean.shape[1] + 0.5, len(rows), 0))
    axes.spines[:].set_visible(False)
    axes.set_xlabel("latent")
    style.whole(axes.xaxis)
    if view.areas is None:
        axes.set_yticks([])
        axes.set_ylabel(f"{len(rows)} neurons, sorted")
    else:
        name_areas(axes, view.areas[rows])
    return Panel(f"all loadings; full color from ±{scale:.2f}", figure, "Loadings of neurons on latents, as colors")


def name_areas(axes, areas: np.ndarray) -> None:
    """Lines between areas, and names of those with room for one."""
    starts = np.flatnonzero(np.concatenate([[True], areas[1:] != areas[:-1]]))
    ends = np.append(starts[1:], len(areas))
    for start in starts[1:]:
        axes.axhline(start, color=style.LINE, linewidth=0.8)
    wide = [(s, e) for s, e in zip(starts, ends, strict=True) if e - s >= len(areas) / 24]
    axes.set_yticks([(s + e) / 2 for s, e in wide], [areas[s] for s, _ in wide])
    axes.tick_params(axis="y", length=0)


def by_area(areas: np.ndarray, mean: Float[np.ndarray, "neuron latent"]) -> Panel:
    """Root mean square loading of each area on each latent, as the size of a dot."""
    names, counts = np.unique(areas, return_counts=True)
    largest = np.sort(np.argsort(-counts, kind="stable")[:AREAS])
    names, counts = names[largest], counts[largest]
    size = np.stack([np.sqrt((mean[areas == name] ** 2).mean(0)) for name in names])
    figure, axes = style.single(height=320, left=72)
    latent, area = np.meshgrid(np.arange(1, mean.shape[1] + 1), np.arange(len(names)))
    axes.scatter(latent, area, s=90 * (size / size.max()) ** 2, color=style.MODEL, linewidths=0)
    labels = [f"{name} ({count})" for name, count in zip(names, counts, strict=True)]
    axes.set_yticks(np.arange(len(names)), labels)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(0.4, mean.shape[1] + 0.6)
    style.whole(axes.xaxis)
    axes.set_xlabel("latent")
    heading = f"by area: root mean square, up to {size.max():.2f}"
    return Panel(heading, figure, f"Root mean square loadings of {len(names)} areas on each latent")


def by_neuron(view: View, mean: np.ndarray, low: np.ndarray, high: np.ndarray, latent: int) -> Panel:
    """One latent's loadings, sorted, with intervals."""
    figure, axes = style.single(height=320, left=44)
    place = np.empty(len(mean))
    place[np.argsort(mean, kind="stable")] = np.arange(1, len(mean) + 1)
    thin = 1.2 if len(mean) < 250 else 0.6
    for kind, color in ((~view.trials.heldout, style.HELDIN), (view.trials.heldout, style.HELDOUT)):
        if view.has_intervals:
            style.segments(axes, low[kind], high[kind], place[kind], color=color, linewidth=thin, alpha=0.55)
        axes.plot(place[kind], mean[kind], "o", color=color, markersize=2.5 if len(mean) < 250 else 1.6)
    axes.axhline(0, color=style.MUTED, linewidth=0.8, zorder=0)
    style.whole(axes.xaxis)
    axes.set_xlabel("neuron, sorted")
    return Panel(f"loadings on latent {latent + 1}", figure, f"Sorted loadings on latent {latent + 1} with intervals")
