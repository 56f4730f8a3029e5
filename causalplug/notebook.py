"""Tables in HTML for notebooks, all names escaped; and bars that show without ipywidgets."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tqdm import tqdm

__all__ = ["bar_type", "html_paragraph", "html_table"]


def bar_type() -> type[tqdm]:
    """The class of progress bars: widgets where a notebook can show them, text otherwise.

    ``tqdm.auto`` by itself warns in a notebook without ipywidgets, on every bar.
    """
    if importlib.util.find_spec("ipywidgets") is None:
        from tqdm import tqdm

        return tqdm
    from tqdm.auto import tqdm as chosen

    return chosen


def html_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table whose cells are escaped."""
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join(map(_row, rows))
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def html_paragraph(title: str, text: str) -> str:
    """A paragraph that begins with a title in bold; both are escaped."""
    return f"<p><b>{escape(title)}</b>{escape(text)}</p>"


def _row(cells: Sequence[object]) -> str:
    return "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in cells) + "</tr>"
