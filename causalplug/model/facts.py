"""The facts of a model's card, read off the model: what it is, how it was made and how close it
came."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = [
    "dcm_facts",
    "fit_rows",
    "identified",
    "plan_rows",
    "training_rows",
    "warning_rows",
]

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from causalplug.hub.part_facts import describe_values
from causalplug.model.asked_values import recorded_overlap
from causalplug.model.caveats import recorded_caveats
from causalplug.selection import pick, to_dicts
from causalplug.values import Json, Named

if TYPE_CHECKING:
    from causalplug.checks.fit import FitReport
    from causalplug.hub.part import Part
    from causalplug.identification.identification import Identification
    from causalplug.identification.query import Query
    from causalplug.model.model import Model
    from causalplug.planning.plan import Plan

    Queries = Iterable[str | Query | Identification] | Mapping[str, str | Query | Identification]


def dcm_facts(
    dcm: Model,
    *,
    title: str,
    queries: Queries | None = None,
    fits: Iterable[FitReport] = (),
    frozen: str = "reference",
    **more: Any,
) -> Json:
    """Collect what :func:`~causalplug.hub.card.render_card` writes about a model.

    Args:
        dcm: The model; its plan, sources and history are used where it has them.
        title: Title of the card.
        queries: Questions to tell the status of, as for :func:`identified`; by default those that
            it was saved with.
        fits: What was found about its generators; by default what training found.
        frozen: Whether its generators are referred to ("reference") or copied ("copy").
        more: Further facts of a "dcm" card: ``repo_id``, ``license``, ``summary``, ``datasets``,
            ``uses``, ``limits``, ``assumptions``, ``tags``, ``example``.

    Returns:
        facts for ``render_card("dcm", …)``.

    Raises:
        QueryError: A question is malformed or does not fit the graph.
    """
    kinds = set()
    for variable in dcm.variables.values():
        kinds.add("image" if variable.is_image else "tabular")
    parts = []
    for row in identified(dcm, queries):
        parts.append(pick(row, ("name", "query", "status", "reason")))
    by_name = {}
    for name in dcm.graph.variables:
        by_name[name] = describe_values(dcm.variables[name])
    facts: Json = {
        "title": title,
        "graph": {
            "variables": by_name,
            "directed": list(map(list, dcm.graph.directed)),
            "bidirected": list(map(list, dcm.graph.bidirected)),
        },
        "queries": parts,
        "fits": fit_rows(fits, dcm.history),
        "parts": _parts(dcm, frozen == "copy"),
        "training": training_rows(dcm.history),
        "warnings": warning_rows(dcm.history),
    }
    if dcm.plan is not None:
        facts["plan"] = plan_rows(dcm.plan)
    if dcm.sources is not None:
        facts["sources"] = _source_rows(dcm)
    return {**facts, **more, "tags": [*sorted(kinds), *more.get("tags", [])]}


def _source_rows(dcm: Model) -> list[Json]:
    """One row per data source, with its number of rows where training noted it."""
    counts = dcm.history.get("sources", [])
    if not isinstance(counts, list):
        counts = []
    found: list[Json] = []
    for number, source in enumerate(dcm.sources or ()):
        row: Json = {"distribution": source.describe(), "name": source.name}
        noted = None
        if len(counts) > number:
            noted = counts[number]
        if isinstance(noted, Mapping) and isinstance(noted.get("rows"), int):
            row["rows"] = noted["rows"]
        found.append(row)
    return found


def plan_rows(plan: Plan) -> list[Json]:
    """One row per module, in training order."""
    found = []
    for module in plan.modules:
        found.append(
            {
                "module": module.name,
                "action": module.label,
                "objective": module.objective,
                "matches": [target.describe() for target in module.targets],
                "why": module.why,
            }
        )
    return found


def identified(dcm: Model, queries: Queries | None = None) -> list[Json]:
    """What ``config.json`` and the card say of a model's questions.

    Args:
        dcm: The model; its sources decide.
        queries: Questions, or name to question; by default those that the model was saved with.

    Returns:
        One entry each: ``name`` (or None), ``query``, ``status``, ``reason`` and ``estimand`` (None
            if there is none).

    Raises:
        QueryError: A question is malformed or does not fit the graph.
    """
    from causalplug.identification.identification import Identification, identify

    if queries is None:
        pairs: list[tuple[str | None, Any]] = [(row["name"], row["query"]) for row in dcm.queries]
    else:
        if isinstance(queries, Mapping):
            pairs = list(queries.items())
        else:
            pairs = [(None, query) for query in queries]
    found = []
    for name, query in pairs:
        is_known = isinstance(query, Identification)
        if is_known:
            known = query
        else:
            known = identify(dcm.graph, query, dcm.sources)
        if known.estimand is None:
            estimand = None
        else:
            estimand = str(known.estimand)
        row = {
            "query": str(known.query),
            "status": known.status,
            "reason": known.reason,
            "estimand": estimand,
        }
        found.append({"name": name or known.query.name, **row})
    return found


def fit_rows(fits: Iterable[FitReport], history: Named) -> list[Json]:
    """Variable, verdict and reasons of every fit check."""
    found = to_dicts(fits) or history.get("fits", [])
    verdicts = []
    for f in found:
        verdicts.append(
            {"variable": f["name"], "verdict": f["verdict"], "reasons": list(f["reasons"])}
        )
    return verdicts


def warning_rows(history: Named) -> list[Json]:
    """Name, subject and text of everything that training recorded as doubtful."""
    rows = []
    for c in recorded_caveats(history):
        rows.append({"name": c.name, "subject": c.subject, "text": c.text})
    for record in recorded_overlap(history):
        if record.of and record.checked:
            what = f"do({record.variable}={record.value})"
            rows.append({"name": "weak overlap", "subject": what, "text": record.text})
    return rows


def _parts(dcm: Model, copied: bool) -> list[Json]:
    """One row per frozen part, a module of another model being one part."""
    found: dict[tuple[str, str], Json] = {}
    for role, variable, part, of_module in _pulled(dcm):
        if part is None or part.origin is None:
            continue
        name = of_module or variable
        known = part.origin.reference or part.origin
        found[role, name] = {
            "name": name,
            "role": "module" if of_module else role,
            "repo_id": known.repo_id,
            "revision": known.revision,
            "subfolder": known.subfolder,
            "license": part.license or known.license,
            "copied": copied,
        }
    return list(found.values())


def _pulled(dcm: Model) -> Iterator[tuple[str, str, Part | None, str | None]]:
    """Role, variable, part and module of every part that may have been pulled."""
    for variable, mechanism in dcm.mechanisms.unopened().items():
        inner: Part | None = mechanism
        if not mechanism.frozen:
            inner = mechanism.frozen_generator
        yield "generator", variable, inner, mechanism.part_of
    for variable, encoder in dcm.encoders.unopened().items():
        yield "encoder", variable, encoder, None


def training_rows(history: Named) -> list[Json]:
    """One row per matched distribution of a training report.

    Raises:
        KeyError, TypeError: The history is not that of a training.
    """
    rows = []
    nothing_held_out = {}
    if history.get("settings", {}).get("held_out") == 0:
        nothing_held_out = {"on": "training rows"}
    for module in history.get("modules", []):
        for distance in module["distances"]:
            kept = {}
            for key in ("rows", "tvd", "floor", "mmd", "mmd_floor"):
                if key in distance:
                    kept[key] = distance[key]
            name = "+".join(module["variables"])
            rows.append(
                {
                    "module": name,
                    "target": distance["target"],
                    "converged": module["converged"],
                    **kept,
                    **nothing_held_out,
                }
            )
    return rows
