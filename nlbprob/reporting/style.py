"""How every figure looks: one font size, one palette that follows the page's light or dark theme, SVG to put inline.

Figures are drawn in stand-in colors, which the page replaces by CSS variables of the same name, defined in page.css.
"""

import io
import re
from collections.abc import Iterable
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

NAMES = ("ink", "muted", "line", "model", "heldout", "heldin")
#: Drawn color -> CSS variable.
THEME = {f"#0101{number:02x}": name for number, name in enumerate(NAMES)}
THEME |= {f"#0102{number:02x}": f"c{number}" for number in range(9)}
INK, MUTED, LINE, MODEL, HELDOUT, HELDIN, *CONDITIONS = THEME

#: Red, green and blue of spikes and rates in images, which cannot follow the theme: legible on light and on dark.
HELDIN_IMAGE, HELDOUT_IMAGE = (0.36, 0.47, 0.60), (0.85, 0.43, 0.12)
#: Negative and positive in images.
NEGATIVE_IMAGE, POSITIVE_IMAGE = (0.17, 0.47, 0.79), (0.84, 0.35, 0.12)

#: Width in CSS pixels at which a panel is drawn; the page shows it at about this size on any screen.
WIDTH = 330

RC: dict[Any, Any] = {
    "font.size": 11,
    "axes.titlesize": 11,
    "axes.labelsize": 11,
    "xtick.labelsize": 10.5,
    "ytick.labelsize": 10.5,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "axes.formatter.useoffset": False,
    "axes.formatter.limits": (-5, 6),
    "axes.labelpad": 4,
    "axes.xmargin": 0.02,
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "xtick.minor.size": 2,
    "ytick.minor.size": 2,
    "lines.linewidth": 1.6,
    "lines.solid_capstyle": "round",
    "svg.fonttype": "none",
    "svg.hashsalt": "nlbprob",
    "path.simplify_threshold": 0.25,
    "image.interpolation": "none",
    "image.aspect": "auto",
}


def blank(height: float | int, width: float | int = WIDTH) -> Figure:
    """An empty figure of so many CSS pixels."""
    return Figure(figsize=(width / 72, height / 72), dpi=72, facecolor="none")


def axes_at(
    figure: Figure, left: float | int, bottom: float | int, right: float | int, top: float | int, **options: Any
) -> Axes:
    """Axes with these margins, in CSS pixels, to the figure's edges."""
    width, height = figure.get_size_inches() * 72
    box = (left / width, bottom / height, 1 - (left + right) / width, 1 - (bottom + top) / height)
    axes = figure.add_axes(box, facecolor="none", **options)
    axes.locator_params(nbins=5)
    return axes


def single(height: float | int = 200, left: float | int = 48) -> tuple[Figure, Axes]:
    """A figure with one pair of axes: (figure, axes)."""
    figure = blank(height)
    return figure, axes_at(figure, left, 38, 10, 8)


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
    axes.plot(*pair, **{"color": MUTED, "linewidth": 1.0, "solid_capstyle": "butt"} | options)


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


def svg(figure: Figure, name: str, label: str) -> str:
    """A figure as inline SVG that scales with its column.

    Args:
        figure: to draw.
        name: prefix of all ids inside, unique on the page.
        label: its text for screen readers.
    """
    buffer = io.StringIO()
    with mpl.rc_context(RC):
        # Straight to the canvas: savefig would lay every figure out twice.
        canvas = FigureCanvasSVG(figure)
        canvas.print_svg(buffer, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    text = buffer.getvalue()
    width, height = figure.get_size_inches() * 72
    body = text[text.index(">", text.index("<svg")) + 1 :]
    body = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", body, count=1, flags=re.DOTALL)
    body = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", body, flags=re.DOTALL)
    used = set(re.findall(r"url\(#(.+?)\)", body)) | set(re.findall(r'href="#(.+?)"', body))
    body = re.sub(r' id="(.+?)"', lambda m: f' id="{name}-{m[1]}"' if m[1] in used else "", body)
    body = re.sub(r'url\(#|xlink:href="#', lambda m: f"{m[0]}{name}-", body).replace("xlink:href", "href")
    body = re.sub(r' (?:d|x|y)="[^"]*"', shortened, body)
    body = re.sub(r"#010[12][0-9a-f]{2}", lambda m: f"var(--{THEME[m[0]]})", body)
    body = re.sub(r" font-family: [^;\"]*;", "", body)
    body = re.sub(r'<g><path d="[^"]*" style="fill: none"/></g>', "", body)
    body = re.sub(r"(>)\s+(?=<)", r"\1", body)
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-labelledby="{name}-title">'
        f'<title id="{name}-title">{label}</title>{body.strip()}'
    )


def shortened(match: re.Match) -> str:
    """Coordinates to a tenth of a pixel, on as few lines as there are."""
    return re.sub(r"\s+", " ", re.sub(r"(\.\d)\d+", r"\1", match[0].replace(".0 ", " ")))
