"""Latent trajectories: time courses, and the state space."""

import numpy as np
from jaxtyping import Float, Int

from nlbprob.reporting import style
from nlbprob.reporting.parts import Panel, Section
from nlbprob.reporting.view import Group, View, spread

#: Latents whose time courses are shown, and single trials of each condition there and in the planes.
LATENTS, FAINT, FAINT_IN_PLANE = 6, 4, 2
#: Half the width of a 90% interval, in standard deviations.
HALF_WIDTH = 1.645


def section(view: View) -> Section:
    """Time courses of the leading latents, and planes of two of them."""
    dim = view.latents.shape[2]
    leading = f", the {LATENTS} of {dim} that carry most" if dim > LATENTS else ""
    lines = (
        "Thick lines are averages by condition, faint ones single trials"
        if view.has_conditions
        else "Each color is one trial with its 90% posterior interval, gray the average over trials"
    )
    reading = (
        f"The latents that the model infers{leading}, by their fraction of the {view.predictor}s' variance (the "
        f"percentage); each has unit size over a trial. {lines}; ± is the median posterior standard deviation of a "
        "single trial."
    )
    if dim > 1:
        reading += " The last plots draw two latents against each other, from the dot to the arrowhead."
    panels = [time_course(view, latent) for latent in range(min(LATENTS, dim))]
    panels += [plane(view, pair) for pair in ((0, 1), (0, 2), (1, 2)) if max(pair) < dim]
    key = view.condition_key or [*((group.color, group.label) for group in examples(view)), (style.MUTED, "average")]
    return Section("Latent trajectories", reading + view.conditions_left_out, panels, key)


def examples(view: View) -> list[Group]:
    """The example trials, a color each, for where there are no conditions to color."""
    colors = [style.CONDITIONS[number] for number in (1, 5, 7)]
    return [Group(view.name_of(row), color, np.array([row])) for row, color in zip(view.examples, colors, strict=False)]


def positions(view: View, group: Group) -> Int[np.ndarray, " row"]:
    """Where the group's trials are among those whose latents are known."""
    return np.flatnonzero(np.isin(view.latent_rows, group.rows))


def mean_course(view: View, group: Group) -> Float[np.ndarray, "time latent"]:
    """Mean over the group's trials in each bin that at least half of them reach."""
    courses = view.latents[positions(view, group)]
    reached = ~np.isnan(courses[..., 0])
    mean = np.where(reached[..., None], courses, 0).sum(0) / np.maximum(reached.sum(0), 1)[:, None]
    return np.where((reached.sum(0) >= max(1, len(courses) / 2))[:, None], mean, np.nan)


def time_course(view: View, latent: int) -> Panel:
    """One latent over time."""
    figure, axes = style.single(height=170, left=40)
    if view.has_conditions:
        for group in view.groups:
            for row in spread(positions(view, group), FAINT):
                axes.plot(view.time, view.latents[row, :, latent], color=group.color, linewidth=0.6, alpha=0.4)
        for group in view.groups:
            axes.plot(view.time, mean_course(view, group)[:, latent], color=group.color, linewidth=2)
    else:
        axes.plot(view.time, mean_course(view, view.groups[0])[:, latent], color=style.MUTED, linewidth=2.5, alpha=0.7)
        for group in examples(view):
            (row,) = positions(view, group)
            center, reach = view.latents[row, :, latent], HALF_WIDTH * view.latent_sd[row, :, latent]
            axes.fill_between(view.time, center - reach, center + reach, color=group.color, alpha=0.25, linewidth=0)
            axes.plot(view.time, center, color=group.color)
    axes.set_xlabel(view.time_label)
    deviation = float(np.nanmedian(view.latent_sd[..., latent]))
    fraction = f"{100 * view.variance_fractions[latent]:.0f}%"
    heading = f"latent {latent + 1} · {fraction} · ±{deviation:.2f}"
    return Panel(heading, figure, f"Time course of latent {latent + 1}, {fraction} of the variance")


def plane(view: View, pair: tuple[int, int]) -> Panel:
    """Two latents against each other."""
    first, second = pair
    figure, axes = style.single(height=300, left=46)
    for group in view.groups if view.has_conditions else ():
        for row in spread(positions(view, group), FAINT_IN_PLANE):
            axes.plot(*view.latents[row][:, pair].T, color=group.color, linewidth=0.5, alpha=0.35)
    for group in view.groups if view.has_conditions else examples(view):
        course = mean_course(view, group)[:, pair]
        course = course[~np.isnan(course[:, 0])]
        if len(course) > 1:
            axes.plot(*course.T, color=group.color, linewidth=2 if view.has_conditions else 1.2)
            axes.plot(*course[0], "o", color=group.color, markersize=6)
            arrow = {"arrowstyle": "-|>", "color": group.color, "mutation_scale": 14, "shrinkA": 0, "shrinkB": 0}
            axes.annotate("", course[-1], course[-2], arrowprops=arrow)
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_xlabel(f"latent {first + 1}")
    axes.set_ylabel(f"latent {second + 1}", labelpad=0)
    name = f"latents {first + 1} and {second + 1}"
    return Panel(name, figure, f"State space of {name}")
