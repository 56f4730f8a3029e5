"""What models and reports look like in a notebook: tables in HTML, all names escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from causalplug.model.model import DCM
    from causalplug.training.report import TrainingReport

__all__ = ["dcm_html", "html_table", "report_html"]


def html_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; cells are escaped."""
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in row)}</tr>" for row in rows
    )
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def dcm_html(dcm: DCM) -> str:
    """Variables with their mechanisms, and what the model was trained on."""
    rows = []
    for name, mechanism in dcm.mechanisms.items():
        confounded = ", ".join(dcm.graph.siblings(name))
        origin = getattr(mechanism, "origin", None)
        size = sum(parameter.numel() for parameter in mechanism.parameters())
        kind = f"{type(mechanism).__name__}, {size:,} weights" + (
            f", {origin}" if origin is not None else ""
        )
        state = (
            "frozen"
            if mechanism.frozen
            else "trained"
            if dcm.sources is not None
            else "not trained yet"
        )
        rows.append(
            (name, dcm.variables[name], ", ".join(dcm.graph.parents(name)), confounded, kind, state)
        )
    if dcm.sources is None:
        note = "Not trained: nothing is known about which questions data determine."
    else:
        note = f"Answers what is identifiable from {', '.join(str(source.name) for source in dcm.sources)}."
    head = ("variable", "kind", "parents", "confounded with", "mechanism", "")
    return f"<p><b>DCM</b> of {len(rows)} variables. {escape(note)}</p>{html_table(head, rows)}"


def report_html(report: TrainingReport) -> str:
    """The modules with their distances."""
    head, *rows = report.rows()
    seconds = ", ".join(f"{phase} {spent:.1f}" for phase, spent in report.seconds.items())
    state = "converged" if report.converged else "NOT all modules are known to have converged"
    return f"<p><b>Training</b>: {state}. Seconds: {escape(seconds) or 'not measured'}.</p>{html_table(head, rows)}"
