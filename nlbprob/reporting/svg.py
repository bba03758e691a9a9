"""Figures as SVG to put inline; their colors become CSS variables, which follow the page's light or dark theme."""

import io
import re
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from markupsafe import Markup, escape
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from nlbprob.plot.style import HATCHES, PATTERNS, RC, THEME

#: What is drawn in a key, 12 points high.
SHAPES = {
    "line": '<path d="M0 6H26" stroke-dasharray="{dashes}"/>',
    "area": '<path d="M0 1H12V11H0Z" fill="currentColor" stroke="none"/>{hatch}',
    "dot": '<circle cx="6" cy="6" r="4" fill="currentColor"/>',
    "ring": '<circle cx="6" cy="6" r="4"/>',
    "triangle": '<path d="M6 2 10 10H2Z" fill="currentColor"/>',
}
#: The lines of a hatch there, by the letter that matplotlib has for it.
LINES = {
    "": "",
    "/": "M0 6 5 1M2 11 12 1M7 11 12 6",
    "\\": "M0 6 5 11M2 1 12 11M7 1 12 6",
    "|": "M3 1V11M6 1V11M9 1V11",
    "-": "M0 4H12M0 8H12",
    "x": "M0 6 5 1M2 11 12 1M7 11 12 6M0 6 5 11M2 1 12 11M7 1 12 6",
    "+": "M4 1V11M8 1V11M0 4H12M0 8H12",
    ".": "M3 4h1M8 4h1M3 8h1M8 8h1",
    "o": "M3 5h2v2h-2zM8 5h2v2h-2z",
}
#: Every color of the palette, as matplotlib writes it to SVG.
COLORS = re.compile("|".join(THEME))


def svg(figure: Figure, name: str, label: str) -> Markup:
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
    body = COLORS.sub(lambda m: f"var(--{THEME[m[0]]})", body)
    body = re.sub(r" font-family: [^;\"]*;", "", body)
    body = re.sub(r'<g><path d="[^"]*" style="fill: none"/></g>', "", body)
    body = re.sub(r"(>)\s+(?=<)", r"\1", body)
    return Markup(
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-labelledby="{name}-title">'
        f'<title id="{name}-title">{escape(label)}</title>{body.strip()}'
    )


def swatch(color: str, marks: Sequence[str], place: int) -> Markup:
    """A small picture of how something of one color is drawn, for a key.

    Args:
        color: of the palette.
        marks: those of `SHAPES`.
        place: of a line or area among several, by which it is dashed or hatched.
    """
    dashes = " ".join(f"{2 * length:g}" for length in PATTERNS[place])
    hatch = f'<path d="{LINES[HATCHES[place][:1]]}" stroke="#fff"/>'
    shapes = [SHAPES[mark].format(dashes=dashes, hatch=hatch) for mark in marks]
    widths = [26 if mark == "line" else 12 for mark in marks]
    starts = np.cumsum([0, *widths]) + 4 * np.arange(len(marks) + 1)
    placed = "".join(f'<g transform="translate({x})">{shape}</g>' for x, shape in zip(starts, shapes, strict=False))
    paint = f'fill="none" stroke="var(--{THEME[color]})" stroke-width="2" style="color:var(--{THEME[color]})"'
    return Markup(f'<svg class="swatch" viewBox="0 0 {starts[-1] - 4} 12" aria-hidden="true" {paint}>{placed}</svg>')


def shortened(match: re.Match) -> str:
    """Coordinates to a tenth of a pixel, on as few lines as there are."""
    return re.sub(r"\s+", " ", re.sub(r"(\.\d)\d+", r"\1", match[0].replace(".0 ", " ")))
