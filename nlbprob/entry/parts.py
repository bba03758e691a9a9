"""What a model card is made of, and how it is written: as Markdown, and as a page in the style of the report."""

import dataclasses
import io
import re
from collections.abc import Sequence
from html import escape

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure

from nlbprob.blocks.formula import formula
from nlbprob.plot.style import RC
from nlbprob.reporting.page import plain
from nlbprob.reporting.svg import svg

#: The folder of the pictures, and pixels to a point on the page.
PICTURES, ZOOM = "pictures", 1.75
#: What Markdown would take for signs of its own: an underscore within a word is none.
SIGNS = re.compile(r"[\\`*<]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")


@dataclasses.dataclass(frozen=True)
class Text:
    """A paragraph."""

    words: str

    def markdown(self) -> str:
        """As Markdown."""
        return marked(self.words)

    def html(self) -> str:
        """As HTML."""
        return f'<p class="reading">{escape(self.words)}</p>'


@dataclasses.dataclass(frozen=True)
class Heading(Text):
    """What the items below it are of."""

    def markdown(self) -> str:
        """As Markdown."""
        return f"### {marked(self.words)}"

    def html(self) -> str:
        """As HTML."""
        return f"<h3>{escape(self.words)}</h3>"


@dataclasses.dataclass(frozen=True)
class Points:
    """Sentences of equal rank."""

    sentences: Sequence[str]

    def markdown(self) -> str:
        """As Markdown."""
        return "\n".join(f"- {marked(each)}" for each in self.sentences)

    def html(self) -> str:
        """As HTML."""
        return "<ul>" + "".join(f"<li>{escape(each)}</li>" for each in self.sentences) + "</ul>"


@dataclasses.dataclass(frozen=True)
class Formulas:
    """Plain-text mathematics, each with what it is of."""

    lines: Sequence[tuple[str, str]]

    def markdown(self) -> str:
        """As Markdown; mathematics as it stands in the documentation."""
        return "\n".join(f"- **{marked(name)}**: `{text}`" for name, text in self.lines)

    def html(self) -> str:
        """As HTML."""
        lines = (
            f'<li><b>{escape(name)}</b><span class="formula">{formula(text)}</span></li>' for name, text in self.lines
        )
        return f'<ul class="blocks">{"".join(lines)}</ul>'


@dataclasses.dataclass(frozen=True)
class Table:
    """Text in rows, the first cell of which names the row; words: the other cells are words, not numbers."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: bool = False

    def markdown(self) -> str:
        """As Markdown."""
        lines = [self.columns, ["---"] * len(self.columns), *self.rows]
        return "\n".join("| " + " | ".join(marked(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)

    def html(self) -> str:
        """As HTML."""
        head = Markup("").join(Markup('<th scope="col">{}</th>').format(column) for column in self.columns)
        one = Markup('<td data-column="{}"><span>{}</span></td>')
        body = Markup("").join(
            Markup('<tr><th scope="row">{}</th>{}</tr>').format(
                first, Markup("").join(one.format(*pair) for pair in zip(self.columns[1:], others, strict=True))
            )
            for first, *others in self.rows
        )
        whole = Markup('<table class="{}"><thead><tr>{}</tr></thead><tbody>{}</tbody></table>')
        return whole.format("words" * self.words, head, body)


@dataclasses.dataclass(frozen=True)
class Code:
    """Lines for a shell."""

    lines: str

    def markdown(self) -> str:
        """As Markdown."""
        return f"```sh\n{self.lines}\n```"

    def html(self) -> str:
        """As HTML."""
        return f"<pre><code>{escape(self.lines)}</code></pre>"


@dataclasses.dataclass(frozen=True)
class Picture:
    """A figure: drawn into the page, and a file for Markdown.

    Attributes:
        name: of the file, without its ending.
        figure: the drawing.
        label: what it shows, for those who cannot see it.
    """

    name: str
    figure: Figure
    label: str

    @property
    def path(self) -> str:
        """Where the file lies."""
        return f"{PICTURES}/{self.name}.svg"

    def file(self) -> bytes:
        """Its content."""
        memory = io.BytesIO()
        with mpl.rc_context(RC):
            self.figure.savefig(memory, format="svg", facecolor="white", metadata={"Date": None})
        return memory.getvalue()

    def markdown(self) -> str:
        """As Markdown."""
        return f"![{marked(self.label)}]({self.path})"

    def html(self) -> str:
        """As HTML, its text about as large as that of the page."""
        width = self.figure.get_size_inches()[0] * 72 * ZOOM
        drawing = svg(self.figure, self.name, self.label)
        return f'<figure style="max-width: {width:.0f}px">{drawing}</figure>'


Item = Text | Points | Formulas | Table | Code | Picture


@dataclasses.dataclass(frozen=True)
class Part:
    """A section of a card."""

    title: str
    items: Sequence[Item]


@dataclasses.dataclass(frozen=True)
class Card:
    """A model card."""

    title: str
    headline: str
    parts: Sequence[Part]

    def markdown(self) -> str:
        """The whole card as Markdown."""
        parts = [f"## {part.title}\n\n" + "\n\n".join(item.markdown() for item in part.items) for part in self.parts]
        return "\n\n".join([f"# {marked(self.title)}", marked(self.headline), *parts]) + "\n"

    def html(self) -> str:
        """The whole card as a page in the style of the report."""
        bodies = [(part.title, Markup("\n".join(item.html() for item in part.items))) for part in self.parts]
        return plain(self.title, self.headline, bodies)


def marked(text: str) -> str:
    """Text in one line, in which Markdown sees no signs of its own."""
    return SIGNS.sub(r"\\\g<0>", text.replace("\n", " "))
