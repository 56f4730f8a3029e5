"""The words of the page: what was asked, how the answer comes about, and what is doubtful."""

from __future__ import annotations

from typing import TYPE_CHECKING

from causalplug.demo.answer import Answer
from causalplug.demo.question import Question
from causalplug.values import Named

if TYPE_CHECKING:
    from causalplug.dcm import DCM

__all__ = ["about", "asked", "explained", "refused"]


def about(dcm: DCM) -> str:
    """What the page is about, as Markdown."""
    return (
        f"A causal model of {len(dcm.variables)} variables. {dcm.basis} Click a variable in the "
        "graph, set it or say what was seen, and ask. Dashed arcs are hidden causes."
    )


def asked(question: Question) -> str:
    """The question in words, as Markdown."""
    parts = []
    if question.seen:
        parts.append(f"of units with {_listed(question.seen)}")
    if question.do:
        whom = "" if question.seen else " for everybody"
        parts.append(f"if {_listed(question.do)} were set{whom}")
    text = ", ".join(parts) or "as things are"
    return f"**{question.outcome}**, {text}"


def _listed(values: Named) -> str:
    return " and ".join(f"{name} = {_written(value)}" for name, value in values.items())


def _written(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)


def explained(answer: Answer) -> str:
    """How an answer comes about and what is doubtful, as Markdown."""
    lines = [f"**{answer.verdict}** `{answer.query}`", answer.reason]
    if answer.bounds is not None:
        lines.append("The picture shows bounds: the least and the greatest answer that they allow.")
    notes = [f"- {note}" for note in answer.notes]
    return "\n\n".join([line for line in lines if line] + ["\n".join(notes)]).strip()


def refused(error: Exception) -> str:
    """Why a question has no answer, as Markdown."""
    return f"**There is no answer.** {error}"
