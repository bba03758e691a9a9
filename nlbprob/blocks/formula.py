"""A model in words and formulas: what its blocks' docstrings say, as HTML."""

import dataclasses
import inspect
import re
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

from nlbprob import display
from nlbprob.blocks import readers
from nlbprob.blocks.base import Block
from nlbprob.blocks.shrinkage.shrinkage import Shrinkage
from nlbprob.display import Html

#: Greek letters by name.
GREEK = {"alpha": "α", "beta": "β", "gamma": "γ", "eta": "η", "theta": "θ", "kappa": "κ", "lambda": "λ", "mu": "μ"}
GREEK |= {"pi": "π", "sigma": "σ", "tau": "τ", "phi": "φ", "omega": "ω", "Omega": "Ω"}
#: A power; or a letter or a Greek letter's name by itself, with what is below it.
MATHEMATICS = re.compile(
    rf"\^(?P<power>\{{[^}}]*\}}|\([^)]*\)|\w+)|(?<![\w&’])(?P<base>{'|'.join(GREEK)}|[A-Za-z])"
    r"(?:_(?P<below>\{[^}]*\}|\w+)|(?P<digit>\d))?(?!\w)"
)
#: A letter or a name in a power, without what is below it.
WORD = re.compile(r"[A-Za-z]+")
#: A name in a docstring, and the first line of a section.
SETTING = re.compile(r"`(\w+)`")
SECTION = re.compile(r"(Args|Attributes|Raises|Returns|Sites|Yields):\n")
#: Letters that stand alone without being variables: the article, and the normal distribution.
UPRIGHT = {"a", "N"}


def blocks(model: Any) -> Iterator[tuple[str, Block]]:
    """The blocks among a model's fields, with the name of the field; none for a plain function."""
    if not dataclasses.is_dataclass(model):
        return
    for field in dataclasses.fields(model):
        value = getattr(model, field.name)
        for one in value if isinstance(value, Sequence) else [value]:
            if isinstance(one, Block):
                yield field.name, one


def model_table(model: Any) -> str:
    """A model's blocks, each with its options and its formula, as an HTML table below the formula of the whole."""
    rows = [(role, Html(described(block)), Html(formula(said(block)))) for role, block in blocks(model)]
    whole = Html(formula(first_paragraph(getattr(model, "function", model))))
    return display.table(whole, rows, ("part", "block", "formula"))


def described(block: Block) -> str:
    """A block's kind and options as HTML."""
    return f"<b>{escape(type(block).__name__)}</b>{options(block)}"


def chosen(block: Any) -> dict[str, Any]:
    """A block's settings that are not what they are by default, by name; its own name is none."""
    fields = dataclasses.fields(block) if dataclasses.is_dataclass(block) else ()
    kinds = bool | int | float | str | Shrinkage
    values = {field.name: (getattr(block, field.name), field.default) for field in fields if field.name != "name"}
    return {name: value for name, (value, default) in values.items() if isinstance(value, kinds) and value != default}


def options(block: Any) -> str:
    """A block's settings that are not what they are by default, and the names of priors that were replaced."""
    shown = [f"{name} {value}" for name, value in chosen(block).items()]
    if isinstance(priors := getattr(block, "priors", None), dict) and priors:
        shown.append("own priors of " + ", ".join(priors))
    if of := readers.words(block):
        shown.append(f"read by neurons of {of}")
    return escape(f" ({', '.join(shown)})" if shown else "")


def first_paragraph(thing: Any) -> str:
    """What comes before the first empty line of a docstring: by the house's custom, a block's formula."""
    described = thing if inspect.isroutine(thing) else type(thing)
    return " ".join((inspect.getdoc(described) or "").partition("\n\n")[0].split())


def explained(block: Block) -> Iterator[tuple[str, str]]:
    """What a block's docstring says below its formula, and of the settings that are not what they are by default.

    Returns:
        Pairs of what is explained and the words; the first is explained as "".
    """
    text = inspect.getdoc(type(block)) or ""
    _, *below = text.split("\n\n")
    if below and not SECTION.match(below[0]):
        yield "", SETTING.sub(lambda name: valued(block, name), " ".join(below[0].split()))
    for name, value in chosen(block).items():
        if argument := re.search(rf"^    {re.escape(name)}: (.*?)(?=^    \S|\n\n|\Z)", text, re.M | re.S):
            yield f"{name} {value}", " ".join(argument[1].split())


def valued(block: Block, name: re.Match) -> str:
    """A setting that a docstring names, with its value."""
    value = getattr(block, name[1], None)
    return f"{name[1]} ({value:g})" if isinstance(value, int | float) else name[0]


def said(block: Block) -> str:
    """A block's formula with what its options settle: the link, the inputs, the form that was chosen."""
    whole, text = first_paragraph(block), inspect.getdoc(type(block)) or ""
    if (link := getattr(block, "link", None)) is not None:
        whole = whole.replace("link(", f"{link}(")
    if not getattr(block, "inputs", ()):
        whole = whole.replace(" + B u_t", "")
    for field in dataclasses.fields(block) if dataclasses.is_dataclass(block) else ():
        value = getattr(block, field.name)
        if chosen := re.search(rf'^ *- "{re.escape(str(value))}": (.*?)(?=^ *- "|\n\n)', text, re.M | re.S):
            whole += f" Here {field.name} is {value}: " + " ".join(chosen[1].split())
    return whole


def formula(text: str) -> str:
    """Plain-text mathematics as HTML: x_{t-1} with a subscript, N(0, s^2) with an exponent, eta as a Greek letter."""
    words = re.sub(r"'s\b", "’s", escape(text, quote=False))
    return MATHEMATICS.sub(typeset, words).replace(" ~ ", " ∼ ").replace("'", "′")


def typeset(match: re.Match) -> str:
    """One piece of mathematics as HTML."""
    if match["power"]:
        inside = WORD.sub(lambda word: GREEK.get(word[0], word[0]), match["power"].strip("{}()"))
        return f"<sup>{inside.replace('-', '−')}</sup>"
    base = GREEK.get(match["base"], match["base"])
    below = (match["below"] or match["digit"] or "").strip("{}").replace("-", "−")
    base = base if base in UPRIGHT and not below else f"<i>{base}</i>"
    return base + (f"<sub>{below}</sub>" if below else "")
