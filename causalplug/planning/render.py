"""A plan as text: a table for the terminal, Markdown, HTML and Graphviz."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING

from causalplug.planning.gradients import sentence
from causalplug.planning.module import Action
from causalplug.planning.objectives import OBJECTIVES
from causalplug.planning.pulling import PullVerdict
from causalplug.selection import values_at
from causalplug.wording import aligned, listed

if TYPE_CHECKING:
    from causalplug.planning.module import Module, PlanLike

__all__ = ["plan_dot", "plan_html", "plan_markdown", "plan_text"]

_HEAD = ("", "action", "module", "trained through", "matches", "objective")
_MOST = 6


def plan_text(plan: PlanLike) -> str:
    """A table with one line per module and target, and a line on how to read it."""
    rows = [_HEAD, *(row for _, row in _rows(plan))]
    used = []
    for column in range(len(_HEAD)):
        if any(row[column] for row in rows[1:]):
            used.append(column)
    lines = aligned([values_at(row, used) for row in rows])
    return "\n".join([_title(plan), "", *lines, "", *_notes(plan)])


def plan_markdown(plan: PlanLike) -> str:
    """The same table for a model card, with the reason for every line."""
    head = [*_HEAD[1:], "why"]
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    for module, row in _rows(plan):
        cells = [*row[1:], module.why if row[2] else ""]
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join([f"**{_title(plan)}**", "", *lines, "", *_notes(plan), ""])


def plan_html(plan: PlanLike) -> str:
    """The same table for notebooks."""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in _HEAD)
    body = "".join(_html_row(module, row) for module, row in _rows(plan))
    notes = "".join(f"<p>{escape(note)}</p>" for note in _notes(plan))
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f"<p><b>{escape(_title(plan))}</b></p>{table}{notes}"


def _html_row(module: Module, row: tuple[str, ...]) -> str:
    cells = "".join(f"<td>{escape(cell)}</td>" for cell in row)
    return f'<tr title="{escape(module.why)}">{cells}</tr>'


def plan_dot(plan: PlanLike) -> str:
    """Graphviz text: modules as clusters, confounders dashed, the training order in bold between
    the clusters."""
    place = {module.variables: number for number, module in enumerate(plan.modules)}
    node = {name: f"v{number}" for number, name in enumerate(plan.graph.variables)}
    lines = ["digraph plan {", "  compound=true; rankdir=LR; node [shape=ellipse];"]
    for number, module in enumerate(plan.modules):
        colour = "#FBE5D0"
        if module.action == Action.PULL:
            colour = "#D9EAF7"
        label = f"{number + 1}. {module.label}"
        lines += [
            f"  subgraph cluster_{number} {{",
            f'    label="{label}"; style="rounded,filled"; fillcolor="{colour}";',
            *(f'    {node[name]} [label="{_quoted(name)}"];' for name in module.variables),
            "  }",
        ]
    lines += [f"  {node[a]} -> {node[b]};" for a, b in plan.graph.directed]
    found = []
    for a, b in plan.graph.bidirected:
        found.append(f"  {node[a]} -> {node[b]} [dir=both, style=dashed, constraint=false];")
    lines += found
    for before, after in plan.edges:
        ends = f"ltail=cluster_{place[before]}, lhead=cluster_{place[after]}"
        lines.append(f"  {node[before[0]]} -> {node[after[0]]} [{ends}, style=bold, color=gray40];")
    return "\n".join([*lines, "}", ""])


def _rows(plan: PlanLike) -> Iterator[tuple[Module, tuple[str, ...]]]:
    for number, module in enumerate(plan.modules, start=1):
        matched = [
            f"{target.describe(most=_MOST)} of {target.source}"
            if len(plan.sources) > 1
            else target.describe(most=_MOST)
            for target in module.targets
        ] or [f"from {module.generator}" if module.generator else ""]
        first = (
            str(number),
            module.label,
            listed(module.variables, most=_MOST),
            _through(module),
            matched[0],
            _objective(module),
        )
        yield module, first
        for target in matched[1:]:
            yield module, ("", "", "", "", target, "")


def _title(plan: PlanLike) -> str:
    sources = listed((str(source.name) for source in plan.sources), most=4)
    count = f"{len(plan.modules)} module{'s' * (len(plan.modules) != 1)}"
    return f"Plan: {count}, {len(plan.graph.variables)} variables, from {sources}"


def _notes(plan: PlanLike) -> list[str]:
    depth = len(plan.generations)
    if depth == 1:
        order = "all modules are independent"
    else:
        order = f"{depth} generations: modules come after those that they are trained through"
    notes = [f"{order[0].upper()}{order[1:]}."]
    if not plan.asked and any(module.action == Action.PULL for module in plan.modules):
        notes.append(
            "PULL: a pretrained generator can be used here. Name yours to plan with it "
            "(available=, or --available)."
        )
    for pull in plan.pulls:
        if pull.verdict != PullVerdict.PULL:
            what = "+".join(pull.variables)
            notes.append(f"{what} from {pull.generator}: {pull.verdict}: {pull.why}.")
    notes += _open(plan)
    notes += [sentence(m.name, m.gradients) for m in plan.modules if m.gradients]
    return [
        *notes,
        *(f"The generator of {name} is {verdict}." for name, verdict in plan.fits.items()),
        *(f"{candidate}." for candidate in plan.candidates),
    ]


def _objective(module: Module) -> str:
    """The objective, or the objectives that the kinds may lead to."""
    if module.objectives:
        return f"{', '.join(module.objectives[:-1])} or {module.objectives[-1]}"
    return module.objective or ""


def _open(plan: PlanLike) -> list[str]:
    """What objectives depend on, where kinds that the plan does not know leave several."""
    found = {name for module in plan.modules for name in module.objectives}
    if not found:
        return []
    last = sorted(OBJECTIVES, key=lambda name: not OBJECTIVES[name].needs_density)
    clauses = [f"{name} for {OBJECTIVES[name].suits}" for name in last if name in found]
    return [
        f"The objective depends on the kinds of variables: {'; '.join(clauses)}. Name the kinds "
        "to see which it is (kinds=, or --kind)."
    ]


def _through(module: Module) -> str:
    """What a module is trained through: nothing where its objective draws from nothing upstream."""
    rule = OBJECTIVES.get(module.objective or "")
    if not module.ancestors or (rule is not None and not rule.draws):
        return ""
    return listed(module.ancestors, most=_MOST)


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
