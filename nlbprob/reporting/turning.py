"""Three latents against each other, as SVG that page.js turns; without a script it is a picture."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from markupsafe import Markup

from nlbprob.plot import style
from nlbprob.plot.courses import FAINT_IN_PLANE, Courses
from nlbprob.plot.trials import spread

#: Width and height, and how far the middle is from what lies farthest out, in points.
WIDTH, HEIGHT, RADIUS = 252, 229, 95
#: From where it is seen at first, in radians: around the vertical axis, and from above.
YAW, PITCH = -0.6, 0.35
#: Of the eye, in radii; page.js has the same.
DISTANCE = 6.0
#: Most points of a line; where the name of an axis is, in radii.
POINTS, BEYOND = 150, 1.08


def turning(shown: Courses, latents: Sequence[int], label: str) -> Markup:
    """Averages by condition with faint single trials, or single trials alone where there are no conditions.

    Args:
        shown: courses of at least three latents.
        latents: the positions of three.
        label: what is drawn, for those who cannot see it.
    """
    groups = shown.groups if shown.has_conditions else shown.singles
    lines = [shown.average(group)[:, latents] for group in groups]
    reach = float(np.nanmax(np.linalg.norm(np.concatenate(lines), axis=1), initial=0)) or 1.0
    parts = [axis_of(place, shown.names[latent]) for place, latent in enumerate(latents)]
    for group in groups if shown.has_conditions else ():
        for row in spread(group.rows, FAINT_IN_PLANE):
            parts.append(line(shown.mean[row][:, latents] / reach, group.color, 0.4, ' stroke-opacity="0.35"'))
    for number, (group, course) in enumerate(zip(groups, lines, strict=True)):
        arrow = f"turning-{number}"
        parts.append(arrowhead(arrow, group.color))
        width = 1.5 if shown.has_conditions else 0.9
        dashes = " ".join(f"{width * length:g}" for length in group.dashes[1])
        more = Markup(' stroke-dasharray="{}" marker-end="url(#{})"').format(dashes, arrow)
        parts.append(line(course / reach, group.color, width, more))
        parts.append(dot(course / reach, group.color))
    middle = f"{WIDTH / 2:g} {HEIGHT / 2:g} {RADIUS} {YAW} {PITCH}"
    opening = Markup(
        '<svg id="turning" viewBox="0 0 {} {}" role="img" aria-labelledby="turning-title" data-turning="{}">'
        '<title id="turning-title">{}</title>'
    )
    return opening.format(WIDTH, HEIGHT, middle, label) + Markup("").join(parts) + Markup("</svg>")


def projected(points: Float[np.ndarray, "point 3"], yaw: float = YAW, pitch: float = PITCH) -> np.ndarray:
    """Where points of a ball of radius 1 are seen, [point, (right, down)] in points of the drawing.

    The eye turns around the axis of the third latent by yaw, is lifted by pitch, and is six radii away.
    """
    a, b, c = points.T
    across, away = a * math.cos(yaw) + b * math.sin(yaw), b * math.cos(yaw) - a * math.sin(yaw)
    up = c * math.cos(pitch) + away * math.sin(pitch)
    size = RADIUS * DISTANCE / (DISTANCE + away * math.cos(pitch) - c * math.sin(pitch))
    return np.stack([WIDTH / 2 + size * across, HEIGHT / 2 - size * up], 1)


def listed(points: np.ndarray, decimals: int) -> str:
    """Points as SVG lists them."""
    return " ".join(",".join(f"{value:.{decimals}f}" for value in point) for point in points)


def kept(course: Float[np.ndarray, "time 3"]) -> Float[np.ndarray, "point 3"]:
    """The points of a course that are known, thinned where there are many."""
    known = np.flatnonzero(~np.isnan(course).any(1))
    return course[spread(known, POINTS)] if len(known) else course[:0]


def line(course: Float[np.ndarray, "time 3"], color: str, width: float, more: str) -> Markup:
    """A line through the points of a course."""
    points = kept(course)
    return Markup('<polyline data-at="{}" points="{}" fill="none" stroke="var(--{})" stroke-width="{}"{}/>').format(
        listed(points, 3), listed(projected(points), 1), style.THEME[color], width, Markup(more)
    )


def dot(course: Float[np.ndarray, "time 3"], color: str) -> Markup:
    """A dot where a course begins."""
    points = kept(course)[:1]
    if not len(points):
        return Markup("")
    ((x, y),) = projected(points)
    return Markup('<circle data-at="{}" cx="{:.1f}" cy="{:.1f}" r="2.3" fill="var(--{})"/>').format(
        listed(points, 3), x, y, style.THEME[color]
    )


def arrowhead(name: str, color: str) -> Markup:
    """What ends the lines of a color."""
    return Markup(
        '<marker id="{}" viewBox="0 0 10 10" refX="7" refY="5" markerWidth="7" markerHeight="7" orient="auto" '
        'markerUnits="userSpaceOnUse"><path d="M0,1 L10,5 L0,9 z" fill="var(--{})"/></marker>'
    ).format(name, style.THEME[color])


def axis_of(place: int, name: str) -> Markup:
    """One of three axes through 0, as far as the courses reach, with its name at the positive end."""
    ends = np.zeros((2, 3))
    ends[:, place] = -1, 1
    ((x, y),) = projected(BEYOND * ends[1:])
    text = Markup(
        '<text data-at="{}" x="{:.1f}" y="{:.1f}" text-anchor="middle" dominant-baseline="middle" '
        'style="font-size: 8.4px; fill: var(--ink)">{}</text>'
    ).format(listed(BEYOND * ends[1:], 3), x, y, name)
    return line(ends, style.MUTED, 0.6, "") + text
