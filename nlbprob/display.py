"""Small HTML tables, which notebooks show in place of a `repr`."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

LEFT = 'style="text-align: left"'


class Html(str):
    """Text that is HTML already; any other is escaped."""


def table(caption: str, rows: Iterable[Sequence[Any]], columns: Sequence[str] = ()) -> str:
    """A table whose first column names the rows.

    Args:
        caption: above it.
        rows: cells, as text or `Html`.
        columns: names of the columns; without them the table has no head.

    Returns:
        HTML without scripts, styles of the page, or links.
    """
    head = "".join(f'<th scope="col" {LEFT}>{cell(column)}</th>' for column in columns)
    body = "".join(
        f'<tr><th scope="row" {LEFT}>{cell(first)}</th>'
        + "".join(f"<td {LEFT}>{cell(value)}</td>" for value in others)
        + "</tr>"
        for first, *others in rows
    )
    head = f"<thead><tr>{head}</tr></thead>" if columns else ""
    return f"<table><caption {LEFT}>{cell(caption)}</caption>{head}<tbody>{body}</tbody></table>"


def cell(value: Any) -> str:
    """A value as HTML."""
    return value if isinstance(value, Html) else escape(str(value))
