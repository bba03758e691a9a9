"""What the page is made of: sections, each with one way to read it and a few panels."""

import dataclasses
from collections.abc import Sequence
from html import escape

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nlbprob.plot import style
from nlbprob.reporting.svg import svg


@dataclasses.dataclass(frozen=True)
class Panel:
    """One small figure.

    Attributes:
        heading: above it.
        label: what it shows, for those who cannot see it.
    """

    heading: str
    figure: Figure
    label: str

    @staticmethod
    def of(axes: Axes, label: str) -> "Panel":
        """The figure of these axes, whose title becomes the heading, which wraps where the screen is narrow."""
        heading = axes.get_title(loc="left")
        axes.set_title("", loc="left")
        return Panel(heading, style.figure_of(axes), label)


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of the report.

    Attributes:
        reading: one to three plain sentences on how to read it.
        panels: laid out side by side as the screen allows.
        key: (color, label) pairs of what colors mean.
        table: HTML, before the panels, or beside the panel if there is one.
    """

    title: str
    reading: str
    panels: Sequence[Panel] = ()
    key: Sequence[tuple[str, str]] = ()
    table: str = ""


@dataclasses.dataclass(frozen=True)
class Absent:
    """A part that this fit does not have, and why."""

    title: str
    reason: str


def anchor(title: str) -> str:
    """The id of the section of this title."""
    return "-".join("".join(c if c.isalnum() else " " for c in title.lower()).split())


def render(section: Section) -> str:
    """A section as HTML."""
    name = anchor(section.title)
    panels = "".join(render_panel(panel, f"{name}-{number}") for number, panel in enumerate(section.panels))
    before, beside = section.table, ""
    if len(section.panels) == 1:
        before, beside = beside, f'<div class="beside">{before}</div>' if before else ""
    return (
        f'<section id="{name}"><h2>{escape(section.title)}</h2><p class="reading">{escape(section.reading)}</p>\n'
        f'{render_key(section.key)}{before}<div class="panels">{beside}{panels}</div></section>\n'
    )


def render_panel(panel: Panel, name: str) -> str:
    """A panel as HTML; its heading is text of the page, so that it wraps where the screen is narrow."""
    drawing = svg(panel.figure, name, escape(panel.label))
    return f"<figure><figcaption>{escape(panel.heading)}</figcaption>{drawing}</figure>\n"


def render_key(key: Sequence[tuple[str, str]]) -> str:
    """What the colors mean."""
    if not key:
        return ""
    entries = (
        f'<li><span class="swatch" style="background:var(--{style.THEME[color]})"></span>{escape(label)}</li>'
        for color, label in key
    )
    return f'<ul class="key">{"".join(entries)}</ul>'


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], classes: str = "") -> str:
    """A table whose cells are HTML and whose first column names the rows; on a narrow screen each row is a list."""
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    body = ""
    for first, *others in rows:
        cells = zip(columns[1:], others, strict=True)
        body += f'<tr><th scope="row">{first}</th>' + "".join(
            f'<td data-column="{escape(column)}"><span>{cell}</span></td>' for column, cell in cells
        )
        body += "</tr>"
    return f'<table class="{classes}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
