"""Figures as SVG to put inline; their colors become CSS variables, which follow the page's light or dark theme."""

import io
import re

import matplotlib as mpl
from markupsafe import Markup, escape
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from nlbprob.plot.style import RC, THEME

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


def shortened(match: re.Match) -> str:
    """Coordinates to a tenth of a pixel, on as few lines as there are."""
    return re.sub(r"\s+", " ", re.sub(r"(\.\d)\d+", r"\1", match[0].replace(".0 ", " ")))
