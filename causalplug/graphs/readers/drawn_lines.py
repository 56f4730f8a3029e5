"""How lines are drawn: drawings tell what is hidden apart by dashes and dots."""

from __future__ import annotations

from causalplug.graphs.readers.mark_texts import mark_text
from causalplug.graphs.readers.mark_words import NO, NOTHING, SUSPECT_STYLE

__all__ = ["draws_another_line", "is_line_style"]


def is_line_style(plain: str) -> bool:
    """Whether an attribute says how a line is drawn, as ``style`` or ``strokeDasharray``."""
    return plain.endswith("style") or plain == "linetype" or "dash" in plain


def draws_another_line(plain: str, value: object) -> bool:
    """Whether a line is drawn dashed, dotted or not at all."""
    text = mark_text(value)
    if "dash" in plain and text not in NO | NOTHING | {"solid"}:
        return True
    return bool(SUSPECT_STYLE.search(text))
