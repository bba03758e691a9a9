"""How every figure looks: one palette, and text that is readable at the width of a column of a journal, 3.5 inches.

The report draws its figures with the same colors, and replaces them by CSS variables, defined in its page.css.
"""

import functools
from collections.abc import Callable, Iterable
from typing import Any, cast

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from nlbprob.arguments import checked_keywords, instance_of
from nlbprob.errors import InputError
from nlbprob.parsimony.front import Front
from nlbprob.posterior.fitted import FittedModel
from nlbprob.selection.average import Committee

#: Color on light ground -> name of the CSS variable. Those of conditions differ in lightness too.
THEME = {
    "#1b1f24": "ink",
    "#6a7280": "muted",
    "#d9dde3": "line",
    "#0b63a8": "model",
    "#c75c0f": "heldout",
    "#54708f": "heldin",
    "#332288": "c0",
    "#3a9fcf": "c1",
    "#2f9c8a": "c2",
    "#117733": "c3",
    "#8a8a22": "c4",
    "#c99a1a": "c5",
    "#cc6677": "c6",
    "#882255": "c7",
    "#aa4499": "c8",
}
INK, MUTED, LINE, MODEL, HELDOUT, HELDIN, *CONDITIONS = THEME
#: How successive lines are dashed, points are marked and areas are hatched, so that color is not needed: as many as
#: there are colors of conditions. Dashes are lengths of strokes and gaps, in widths of the line.
PATTERNS = (
    (),
    (4, 1.6),
    (1, 1.4),
    (6.4, 1.6, 1, 1.6),
    (9, 2),
    (6, 1.5, 1, 1.5, 1, 1.5),
    (2, 1),
    (9, 1.5, 3, 1.5),
    (1, 2.6),
)
DASHES = tuple((0, pattern) for pattern in PATTERNS)
MARKERS = ("o", "^", "s", "v", "D", "P", "<", "X", ">")
HATCHES = ("", "////", "||||", "\\\\\\\\", "----", "xxxx", "++++", "....", "oooo")

#: Red, green and blue of spikes and rates in images, which cannot follow the theme: legible on light and on dark.
HELDIN_IMAGE, HELDOUT_IMAGE = (0.36, 0.47, 0.60), (0.85, 0.43, 0.12)
#: Negative and positive in images.
NEGATIVE_IMAGE, POSITIVE_IMAGE = (0.17, 0.47, 0.79), (0.84, 0.35, 0.12)

#: Width of a figure in points, 3.5 inches.
WIDTH = 252

RC: dict[Any, Any] = {
    "font.size": 8.4,
    "axes.titlesize": 8.4,
    "axes.titlelocation": "left",
    "axes.titlepad": 4,
    "axes.labelsize": 8.4,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "axes.formatter.useoffset": False,
    "axes.formatter.limits": (-5, 6),
    "axes.labelpad": 3,
    "axes.xmargin": 0.02,
    "text.color": INK,
    "text.parse_math": False,
    **{f"{axis}tick.{name}": value for axis in "xy" for name, value in (("color", MUTED), ("labelcolor", INK))},
    **{f"{axis}tick.major.{name}": value for axis in "xy" for name, value in (("size", 2.3), ("width", 0.6))},
    **{f"{axis}tick.minor.{name}": value for axis in "xy" for name, value in (("size", 1.5), ("width", 0.45))},
    **{f"{axis}tick.major.pad": 2.7 for axis in "xy"},
    "lines.linewidth": 1.2,
    "lines.markersize": 4.6,
    "lines.solid_capstyle": "round",
    "svg.fonttype": "none",
    "svg.hashsalt": "nlbprob",
    "path.simplify_threshold": 0.25,
    "hatch.linewidth": 0.5,
    "image.interpolation": "none",
    "image.aspect": "auto",
}


def drawing[F: Callable[..., Any]](
    function: F, kinds: Any = FittedModel, name: str = "posterior", remedy: str = "a fit, what nlb.fit returned"
) -> F:
    """A public function that draws an object of one of these kinds, its first argument, in the look of all figures."""

    @functools.wraps(function)
    def draw(*arguments: Any, **keywords: Any) -> Any:
        drawn = arguments[0] if arguments else keywords[name]
        instance_of(drawn, kinds, f"plot.{function.__name__}", name, remedy)
        with mpl.rc_context(RC):
            return function(*arguments, **keywords)

    return cast("F", checked_keywords(draw))


def drawing_rates[F: Callable[..., Any]](function: F) -> F:
    """The same for a function that asks the fit for rates alone, which a committee has as well."""
    return drawing(function, FittedModel | Committee)


def drawing_front[F: Callable[..., Any]](function: F) -> F:
    """The same for a function that draws a Pareto front."""
    return drawing(function, Front, "front", "what nlb.pareto returned")


def placed(ax: Any, shape: tuple[int, ...], caller: str, height: float, columns: int = 1) -> np.ndarray:
    """The axes to draw in, as an array: those that were handed over, or those of a new figure of a column's width.

    Args:
        ax: Axes, or a list or array of them; None makes a figure.
        shape: how many are needed.
        caller: the function that draws, for messages.
        height: of a row of a new figure, in inches.
        columns: of a new figure.

    Raises:
        InputError: it is none, or as many are handed over as are not needed.
    """
    number = int(np.prod(shape))
    if ax is None:
        from matplotlib import pyplot  # it chooses a backend, which the report never needs

        rows = -(-number // columns)
        figure = pyplot.figure(figsize=(WIDTH / 72, rows * height), layout="constrained")
        found = [figure.add_subplot(rows, columns, place + 1) for place in range(number)]
        for axes in found:
            axes.locator_params(nbins=5 if columns == 1 else 3)
    else:
        found = list(np.asarray(ax, dtype=object).ravel())
    if not all(isinstance(axes, Axes) for axes in found) or len(found) != number:
        given = len(found) if all(isinstance(axes, Axes) for axes in found) else "none"
        raise InputError(
            f"plot.{caller}: needs {number} Axes of matplotlib as ax=, got {given}; without ax it makes them."
        )
    array = np.empty(number, dtype=object)
    array[:] = found
    return array.reshape(shape)


def add_legend(axes: np.ndarray, columns: int = 3) -> None:
    """A legend of what is labelled in a figure's axes, each label once, below them."""
    figure = axes.flat[0].figure
    pairs = [pair for one in axes.flat for pair in zip(*one.get_legend_handles_labels(), strict=True)]
    handles = {label: handle for handle, label in reversed(pairs)}
    if handles:
        order = list(reversed(handles))
        figure.legend([handles[label] for label in order], order, loc="outside lower center", ncols=columns)


def figure_of(axes: Axes) -> Figure:
    """The whole figure that axes are in."""
    figure = axes.figure
    while not isinstance(figure, Figure):
        figure = figure.figure
    return figure


def blank(height: float | int, width: float | int = WIDTH) -> Figure:
    """An empty figure of so many points, without a canvas of a screen."""
    return Figure(figsize=(width / 72, height / 72), dpi=72, facecolor="none")


def axes_at(
    figure: Figure, left: float | int, bottom: float | int, right: float | int, top: float | int, **options: Any
) -> Axes:
    """Axes with these margins, in points, to the figure's edges."""
    width, height = figure.get_size_inches() * 72
    box = (left / width, bottom / height, 1 - (left + right) / width, 1 - (bottom + top) / height)
    axes = figure.add_axes(box, facecolor="none", **options)
    axes.locator_params(nbins=5)
    return axes


def single(height: float | int = 153, left: float | int = 37) -> tuple[Figure, Axes]:
    """A figure with one pair of axes: (figure, axes)."""
    figure = blank(height)
    return figure, axes_at(figure, left, 29, 8, 6)


def log_axis(axes: Axes, name: str, values: np.ndarray) -> None:
    """Make axis "x" or "y" logarithmic from the least to the largest of `values`, with ticks in plain numbers."""
    low, high = values.min() / 1.25, values.max() * 1.25
    axes.set(**{f"{name}scale": "log", f"{name}lim": (low, high)})
    axis = axes.xaxis if name == "x" else axes.yaxis
    steps = (1.0,) if high > 300 * low else (1.0, 2.0, 5.0) if high > 4 * low else (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0)
    axis.set_major_locator(LogLocator(subs=steps))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
    axis.set_minor_formatter(NullFormatter())


def whole(axis: Axis) -> None:
    """Ticks at whole numbers alone, for what is counted."""
    axis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))


def segments(axes: Axes, start: np.ndarray, end: np.ndarray, at: np.ndarray, vertical: bool = True, **options: Any):
    """Straight lines from `start` to `end`, one at each of `at`, drawn as one path so that a thousand stay light."""
    gap = np.full(len(at), np.nan)
    along, across = np.stack([start, end, gap], 1).ravel(), np.stack([at, at, gap], 1).ravel()
    pair = (across, along) if vertical else (along, across)
    axes.plot(*pair, **{"color": MUTED, "linewidth": 0.8, "solid_capstyle": "butt"} | options)


def tinted(strength: np.ndarray, color: tuple[float, float, float]) -> np.ndarray:
    """An image [row, column, 4] of one color, opaque where `strength` is 1 and clear where it is 0 or NaN."""
    image = np.empty((*strength.shape, 4))
    image[..., :3] = color
    image[..., 3] = np.clip(np.nan_to_num(strength), 0, 1)
    return image


def limits(values: Iterable[float] | np.ndarray, margin: float = 0.06) -> tuple[float, float]:
    """The range of the finite values with a margin on both sides; (0, 1) where there is none."""
    array = np.asarray(list(values) if not isinstance(values, np.ndarray) else values, float)
    array = array[np.isfinite(array)]
    if not array.size:
        return 0.0, 1.0
    low, high = float(array.min()), float(array.max())
    room = margin * (high - low) or max(abs(low), 1.0) * margin
    return low - room, high + room
