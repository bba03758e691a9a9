"""Lay out older docstrings for the reference: plain prose in which an argument is `name: what it is`.

Docstrings with sections of Google style (Args, Returns, Raises, ...) stay as they are: mkdocstrings lays them out.
In the others an argument may begin a line or follow the end of a sentence. Each becomes an item of a list; "Raises",
"Returns" and "Sites" begin a paragraph; doctests become blocks of code.
"""

import re

import griffe

#: The head of a section of Google style.
SECTION = re.compile(r"^(Args|Attributes|Examples?|Raises|Returns|Sites|Yields):$", re.MULTILINE)
#: What begins a paragraph of its own.
OPENINGS = re.compile(r"^(Raises |Returns |Sites?[ :]|Coordinates: |Groups?[ ,:])")
#: Names of arguments with their shapes, at the beginning of a line or of a sentence: "counts [trial, time], seen: ".
ARGUMENT = r"\w+(?:=[^ :,]+)?(?: \[[^\]]*\])?"
ARGUMENTS = re.compile(rf"(?:^|(?<=[.;)\]] ))({ARGUMENT}(?:, {ARGUMENT})*): ")


def laid_out(text: str, known: set[str]) -> str:
    """Markdown of a docstring; known: the names of the arguments and fields that it may explain."""
    if SECTION.search(text):
        return text
    blocks = re.split(r"\n\s*\n", text.strip("\n"))
    return "\n\n".join(doctest(block) if block.startswith(">>>") else prose(block, known) for block in blocks)


def doctest(block: str) -> str:
    """A doctest as code."""
    return f"```pycon\n{block}\n```"


def prose(block: str, known: set[str]) -> str:
    """A paragraph whose explained arguments are items of a list."""
    parts: list[str] = []
    for line in map(str.strip, block.splitlines()):
        pieces = split_arguments(line, known)
        for place, piece in enumerate(pieces):
            begins = place > 0 or piece.startswith("- ") or OPENINGS.match(piece)
            if begins or not parts:
                parts.append(piece)
            else:
                parts[-1] += " " + piece
    text = ""
    for part in parts:
        both = part.startswith("- ") and text.rpartition("\n")[2].startswith("- ")
        text += ("\n" if both else "\n\n") * bool(text) + part
    return text


def split_arguments(line: str, known: set[str]) -> list[str]:
    """A line cut before each explained argument, which becomes "- `name`: ..."."""
    cuts = [match for match in ARGUMENTS.finditer(line) if names(match[1]) <= known]
    if not cuts:
        return [line]
    edges = [match.start() for match in cuts] + [len(line)]
    found = [line[: edges[0]].strip()] if line[: edges[0]].strip() else []
    for match, end in zip(cuts, edges[1:], strict=True):
        found.append(f"- **{match[1]}**: {line[match.end() : end].strip()}")
    return found


def names(listed: str) -> set[str]:
    """The names in "counts [trial, time], causal=True"."""
    return {name.strip() for name in re.sub(r" \[[^\]]*\]|=[^ :,]+", "", listed).split(",")}


class HouseStyle(griffe.Extension):
    """Replaces the docstring of everything that is shown."""

    def on_function(self, *, func: griffe.Function, **kwargs) -> None:
        """Lay out a function's docstring."""
        if func.docstring is not None:
            func.docstring.value = laid_out(func.docstring.value, {one.name.strip("*") for one in func.parameters})

    def on_class(self, *, cls: griffe.Class, **kwargs) -> None:
        """Lay out a class's docstring, which explains its fields."""
        if cls.docstring is not None:
            fields = {name for name, member in cls.members.items() if member.is_attribute}
            cls.docstring.value = laid_out(cls.docstring.value, fields)
