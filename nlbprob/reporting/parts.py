"""What the page is made of: sections, each with one way to read it, tables and a few panels."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nlbprob.plot import style
from nlbprob.reporting.svg import svg, swatch


@dataclasses.dataclass(frozen=True)
class Panel:
    """One small figure.

    Attributes:
        heading: above it.
        figure: of matplotlib, or SVG.
        label: what is drawn, for those who cannot see it.
        seen: what is to be seen in it, from its numbers; below it.
    """

    heading: str
    figure: Figure | Markup
    label: str
    seen: str = ""

    @staticmethod
    def of(axes: Axes, label: str, seen: str = "") -> "Panel":
        """The figure of these axes, whose title becomes the heading, which wraps where the screen is narrow."""
        heading = axes.get_title(loc="left")
        axes.set_title("", loc="left")
        return Panel(heading, style.figure_of(axes), label, seen)

    def drawing(self, name: str) -> Markup:
        """The figure as SVG; name: prefix of the ids inside, unique on the page."""
        return self.figure if isinstance(self.figure, Markup) else svg(self.figure, name, self.label)


class Cell(NamedTuple):
    """What a table holds in one place.

    Attributes:
        text: of the value; a dash where there is none.
        interval: in brackets behind it.
        value: by which its column is sorted; None comes last. Without it the text sorts.
    """

    text: str
    interval: str = ""
    value: float | str | None = None


class Row(NamedTuple):
    """A row of a table: its name, the other cells, and whether it is emphasized."""

    name: str
    cells: Sequence[Cell]
    marked: bool = False


@dataclasses.dataclass(frozen=True)
class Table:
    """A table, which a reader can sort; on a narrow screen each row is a list.

    Attributes:
        caption: what it lists.
        columns: headings, that of the rows' names first.
        rows: in the order in which they are shown first.
        folded: whether it is closed at first, since it is long.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Row]
    folded: bool = False


class Key(NamedTuple):
    """What a color means in the drawings of a section.

    Attributes:
        color: of the palette.
        label: what has it.
        mark: how it is drawn there: "area", "dot", "ring", "triangle", "line", or several, with commas.
        place: of a line or area among those of several colors, by which lines are dashed and areas are hatched.
    """

    color: str
    label: str
    mark: str = "line"
    place: int = 0

    @property
    def drawing(self) -> Markup:
        """A small picture of it."""
        return swatch(self.color, self.mark.split(", "), self.place)


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of the report.

    Attributes:
        reading: one to three plain sentences on how to read it.
        panels: laid out side by side as the screen allows.
        key: what colors mean.
        tables: before the panels, or beside the panel if there is one.
        notes: small print below the tables.
    """

    title: str
    reading: str
    panels: Sequence[Panel] = ()
    key: Sequence[Key] = ()
    tables: Sequence[Table] = ()
    notes: Sequence[str] = ()

    @property
    def id(self) -> str:
        """The anchor of the section: its title in small letters with hyphens."""
        return "-".join("".join(c if c.isalnum() else " " for c in self.title.lower()).split())


@dataclasses.dataclass(frozen=True)
class Absent:
    """A part that this fit does not have, and why."""

    title: str
    reason: str
