"""Latent trajectories: time courses, and the state space."""

import itertools

import numpy as np

from nlbprob import plot
from nlbprob.plot import style
from nlbprob.plot.courses import IN_SPACE, LATENTS, Courses, courses, leading
from nlbprob.plot.trials import SINGLE, in_seconds, time_of
from nlbprob.reporting.numbers import joined, percent
from nlbprob.reporting.parts import Key, Panel, Section
from nlbprob.reporting.turning import turning
from nlbprob.reporting.view import View


def section(view: View) -> Section:
    """Time courses of the leading latents, and planes of two of them."""
    dim = view.parameter_draws["loadings"].shape[2]
    part = f", the {LATENTS} of {dim} that carry most" if dim > LATENTS else ""
    lines = (
        "Thick lines are averages by condition, faint ones single trials"
        if view.has_conditions
        else "Each color is one trial with its 90% posterior interval, gray the average over trials"
    )
    reading = (
        f"The latents that the model infers{part}, by their fraction of the squared loadings (the percentage). Each "
        f"has a mean square of 1 over the bins of all trials. {lines}; ± is the median posterior standard deviation of "
        "a single trial."
    )
    if dim > 1:
        reading += " The last plots draw latents against each other, from the dot to the arrowhead."
    shown = view.trials.select(trials=view.latent_rows)
    which = np.searchsorted(view.latent_rows, view.examples)
    options = {"latents": view.latent_moments, "colors": view.colors, "which": which}
    drawn = courses("plot.latents", view.posterior, shown, **options)
    names, most = view.posterior.model.latent_names, leading(view.posterior, LATENTS)
    over_time = [style.single(130, 31)[1] for _ in most]
    plot.latents(view.posterior, shown, over_time, **options)
    panels = [
        Panel.of(axes, f"Time course of {names[latent]}", seen(drawn, latent))
        for latent, axes in zip(most, over_time, strict=True)
    ]
    in_space = leading(view.posterior, IN_SPACE)
    planes = [style.single(229, 35)[1] for _ in itertools.combinations(in_space, 2)]
    if planes:
        plot.trajectories(view.posterior, shown, planes, **options)
    panels += [Panel.of(axes, f"State space of {axes.get_title(loc='left')}") for axes in planes]
    if dim > 2:
        three = joined([names[latent] for latent in in_space])
        label = f"State space of {three}"
        panels.append(Panel(three, turning(drawn, in_space, label), label, apart(drawn, in_space)))
    singles = enumerate(zip(SINGLE, view.examples, strict=False))
    examples = [Key(color, view.name_of(row), place=place) for place, (color, row) in singles]
    key = view.condition_key or [*examples, Key(style.MUTED, "average")]
    return Section("Latent trajectories", reading + view.conditions_left_out, panels, key)


def seen(drawn: Courses, latent: int) -> str:
    """How much of a latent's variance the averages explain, over the trials that are shown."""
    values, fitted = drawn.mean[..., latent], np.full(drawn.mean.shape[:2], np.nan)
    for group in drawn.groups:
        fitted[group.rows] = drawn.average(group)[:, latent]
    known = ~np.isnan(values) & ~np.isnan(fitted)
    total = values[known].var()
    if not total:
        return ""
    explained = 1 - ((values - fitted)[known] ** 2).mean() / total
    what = "Averages by condition make up" if drawn.has_conditions else "The average makes up"
    return f"{what} {percent(max(float(explained), 0.0))} of its variance over the {len(values)} trials shown."


def apart(drawn: Courses, latents: list[int]) -> str:
    """The two conditions whose averages come to lie farthest from each other in three latents, where and when."""
    if not drawn.has_conditions:
        return ""
    found = []
    for one, other in itertools.combinations(drawn.groups, 2):
        distance = np.linalg.norm((drawn.average(one) - drawn.average(other))[:, latents], axis=1)
        if not np.isnan(distance).all():
            place = int(np.nanargmax(distance))
            found.append((float(distance[place]), place, one.label, other.label))
    if not found:
        return ""
    distance, place, one, other = max(found)
    unit = "s" if in_seconds(drawn.trials) else "ms"
    when = f"{time_of(drawn.trials)[place]:.3g} {unit}"
    names = ", ".join(drawn.trials.condition)
    return (
        f"The averages of {names} {one} and {other} lie farthest apart at {when}: {distance:.1f} times a latent's size."
    )
