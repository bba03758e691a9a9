"""The generative model as a graph of its variables in plates."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle

import nlbprob.plot.style as style
from nlbprob.arguments import checked_keywords
from nlbprob.data.handed import check_trials
from nlbprob.functions.graph import RATES, Variable, variables

if TYPE_CHECKING:
    from nlbprob.data.trials import Trials

#: In points: from row to row, from circle to circle, from a circle to its box, the least room for a name.
ROW, STEP, MARGIN, NAME = 27.0, 54.0, 14.0, 44.0
#: Sizes of a name and of what stands below it, and the width of a letter as a part of its size.
SIZES, LETTER = (8, 7), 0.58
#: The height of a box's own name, and by how much a box is smaller than that around it.
LINE, INSET = 11.0, 4.0
RADIUS = 5.0
#: The columns of a drawing by the plates of what stands there.
OUTSIDE, TRIAL, TIME = range(3)


class Layout(NamedTuple):
    """Where variables are drawn, in points: (x, y) by name, where columns and the box of neurons begin, the size."""

    places: dict[str, tuple[float, float]]
    columns: tuple[float, float, float]
    neurons: float
    width: float
    height: float


@checked_keywords
def plates(model: Any, trials: "Trials", ax: Any = None) -> Axes:
    """The generative model as a graph: a circle for each variable, a box for each plate, an arrow for each dependence.

    The counts, which are observed, are filled; the rates, which are computed, are dashed; all else is latent. A
    variable stands in the boxes of the plates for each of whose members it has a value; below its name are its
    distribution and its other axes. A looped arrow marks trajectories, whose bins depend on each other. The graph is
    read off the NumPyro program, so that it is as true of a function as of a model made of blocks.

    Args:
        model: a Model, or a NumPyro function of trials; of a fit, `posterior.model`.
        trials: that the model is for.
        ax: Axes to draw in; None makes a figure 3.5 inches wide, or as wide as the graph needs.

    Returns:
        The Axes.

    Raises:
        InputError: the model does not fit the trials.
    """
    check_trials(trials, "plot.plates")
    graph = variables(model, trials)
    plan = layout(list(graph.values()))
    with mpl.rc_context(style.RC):
        axes = style.placed(ax, (1,), "plates", height=plan.height / 72)[0]
        if ax is None:
            style.figure_of(axes).set_size_inches(max(style.WIDTH, plan.width) / 72, plan.height / 72)
        draw(axes, graph, plan, trials)
    return axes


def figure(graph: Mapping[str, Variable], trials: "Trials") -> Figure:
    """The same as a figure of its own of the size that it needs, without a canvas of a screen."""
    plan = layout(list(graph.values()))
    with mpl.rc_context(style.RC):
        drawn = style.blank(plan.height, plan.width)
        draw(drawn.add_axes((0, 0, 1, 1), facecolor="none"), graph, plan, trials)
    return drawn


def draw(axes: Axes, graph: Mapping[str, Variable], plan: Layout, trials: "Trials") -> None:
    """Draw boxes, arrows and circles."""
    axes.set(xlim=(0, plan.width), ylim=(-plan.height, 0), xticks=[], yticks=[], frame_on=False)
    add_boxes(axes, plan, trials)
    for each in graph.values():
        for parent in each.parents:
            add_arrow(axes, plan, plan.places[parent], plan.places[each.name])
    for each in graph.values():
        add_node(axes, each, plan)


def column_of(variable: Variable) -> int:
    """The column that a variable stands in."""
    return TIME if "time" in variable.plates else TRIAL if "trial" in variable.plates else OUTSIDE


def layout(graph: Sequence[Variable]) -> Layout:
    """Parameters to the left of what belongs to trials, what belongs to neurons below what does not."""
    cells: dict[tuple[int, bool], list[Variable]] = {}
    for each in graph:
        cells.setdefault((column_of(each), "neuron" in each.plates), []).append(each)
    lanes = {name: lane for members in cells.values() for name, lane in lanes_of(members).items()}
    last = [max((lanes[each.name] for each in graph if column_of(each) == column), default=0) for column in range(3)]
    words = [max((width_of(each) for each in graph if column_of(each) == column), default=0.0) for column in range(3)]
    trial = words[OUTSIDE] + STEP * (1 + last[OUTSIDE]) + words[TRIAL] / 2
    columns = (words[OUTSIDE], trial, trial + (2 * MARGIN + words[TRIAL] / 2) * bool(words[TRIAL]))
    places, top = {}, float(MARGIN)
    tops = {}
    for row in (False, True):
        tops[row] = top
        # What belongs to trials alone stands below all else, out of the way of arrows to trajectories.
        for group in ((OUTSIDE, TIME), (TRIAL,)):
            height = max(len(cells.get((column, row), ())) for column in group)
            for column in group:
                members = cells.get((column, row), [])
                spare = (height - len(members)) / 2  # few are centred beside many
                for number, each in enumerate(members):
                    y = top + ROW * (0.5 + number + spare)
                    places[each.name] = (columns[column] + STEP * lanes[each.name], -y)
            top += ROW * height + (LINE if group == (TRIAL,) and height else 0)
        top += MARGIN * (top > MARGIN)
    width = columns[TIME] + STEP * last[TIME] + words[TIME] + 3 * INSET
    return Layout(places, columns, MARGIN / 2 - tops[True], width, top - MARGIN + 4 * LINE)


def words_of(variable: Variable) -> tuple[str, str]:
    """The name of a variable, and what stands below it."""
    return variable.name, variable.block or ", ".join(filter(None, [variable.distribution, axes_of(variable)]))


def width_of(variable: Variable) -> float:
    """The room for a variable's words, in points."""
    lengths = (LETTER * size * len(text) for text, size in zip(words_of(variable), SIZES, strict=True))
    return max(NAME, RADIUS + 4 + max(lengths))


def lanes_of(members: Iterable[Variable]) -> dict[str, int]:
    """By how many steps each variable of a cell stands to the right, behind those that it depends on there."""
    lanes: dict[str, int] = {}
    for each in members:
        ahead = [lanes[parent] + 1 for parent in each.parents if parent in lanes]
        lanes[each.name] = 0 if each.observed or each.name == RATES else max(ahead, default=0)
    return lanes


def add_boxes(axes: Axes, plan: Layout, trials: "Trials") -> None:
    """Draw the plates, each with its name and how many members it has."""
    _, trial, time = plan.columns
    bottom, right = 1 - plan.height, plan.width - 1
    for depth, (left, top, words) in enumerate(
        (
            (trial - MARGIN - INSET, -1, f"{trials.n_trials} trials"),
            (time - MARGIN, -1 - INSET, f"{trials.n_bins} bins"),
            (1, plan.neurons, f"{trials.n_neurons} neurons"),
        )
    ):
        low = bottom + LINE * depth
        size = right - INSET * depth - left, top - low
        axes.add_patch(Rectangle((left, low), *size, fill=False, edgecolor=style.MUTED, linewidth=0.7))
        axes.text(left + 3, low + 3, words, fontsize=7, color=style.MUTED, in_layout=False)


def add_arrow(axes: Axes, plan: Layout, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Draw an arrow between two circles, bent around those in its way down, and away from their names."""
    (x, y), (along, below) = start, end
    between = any(along == x == left and below < low < y for left, low in plan.places.values())
    add_curve(axes, start, end, bend=between * (-0.3 if x < plan.columns[TRIAL] else 0.3), gap=RADIUS)


def add_curve(axes: Axes, start: tuple[float, float], end: tuple[float, float], bend: float, gap: float) -> None:
    """Draw an arrow that keeps a distance from its ends."""
    patch = FancyArrowPatch(
        start,
        end,
        arrowstyle="-|>,head_length=0.3,head_width=0.14",
        connectionstyle=f"arc3,rad={bend}",
        shrinkA=gap,
        shrinkB=gap,
        mutation_scale=10,
        color=style.MUTED,
        linewidth=0.7,
    )
    axes.add_patch(patch)


def add_node(axes: Axes, variable: Variable, plan: Layout) -> None:
    """Draw a circle and its words; with a loop where bins depend on each other."""
    x, y = plan.places[variable.name]
    fill = style.MODEL if variable.observed else "none"
    edge = {"edgecolors": style.INK, "linewidths": 0.8, "linestyles": ":" if variable.name == RATES else "-"}
    axes.scatter([x], [y], s=(2 * RADIUS) ** 2, facecolors=fill, **edge)
    if variable.block and "time" in variable.plates:
        add_curve(axes, (x - 3, y + RADIUS), (x + 3.5, y + RADIUS), bend=-1.7, gap=0.0)
    if column_of(variable) == TRIAL:
        side, shift, lines = "center", 0.0, (-11, -19)
    elif x == plan.columns[OUTSIDE]:
        side, shift, lines = "right", -RADIUS - 3, (3, -5)
    else:
        side, shift, lines = "left", RADIUS + 4, (3, -5)
    for text, line, size, color in zip(words_of(variable), lines, SIZES, (style.INK, style.MUTED), strict=True):
        look = {"ha": side, "va": "center", "fontsize": size, "color": color, "in_layout": False}
        axes.annotate(text, (x, y), (shift, line), textcoords="offset points", **look)


def axes_of(variable: Variable) -> str:
    """The axes of a variable besides its plates, without the name of its block."""
    words: list[str] = []
    for axis in variable.axes:
        block = variable.name.partition(".")[0] + "_"
        word = axis.removeprefix(block)
        if words and word == f"{words[-1]}_2":
            words[-1] += "\N{SUPERSCRIPT TWO}"
        else:
            words.append(word)
    return " \N{MULTIPLICATION SIGN} ".join(words)
