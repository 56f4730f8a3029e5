"""Tables in HTML for notebooks; all names are escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

__all__ = ["html_paragraph", "html_table"]


def html_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table whose cells are escaped."""
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join(_row(row) for row in rows)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def html_paragraph(title: str, text: str) -> str:
    """A paragraph that begins with a title in bold; both are escaped."""
    return f"<p><b>{escape(title)}</b>{escape(text)}</p>"


def _row(cells: Sequence[object]) -> str:
    return "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in cells) + "</tr>"
