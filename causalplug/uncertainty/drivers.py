"""What drives an answer: the modules and generators that it rests on, how well each of them fits
the rows, and where the uncertainty comes from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from causalplug.caveats import Caveat
from causalplug.graphs.graph import CausalGraph
from causalplug.identification.query import Query
from causalplug.mechanisms.base import Mechanism
from causalplug.model.asked_values import recorded_overlap
from causalplug.model.caveats import variables_run
from causalplug.model.facts import fit_rows
from causalplug.model.model import Model
from causalplug.notebook import html_paragraph, html_table
from causalplug.sampling.answers import Estimate
from causalplug.values import Json
from causalplug.wording import aligned

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Driver", "Drivers", "drivers_of"]

GIVEN = "taken as given"
_HEAD = ("module", "action", "made by", "fits the rows", "overlap", "share of variance")
_WORDS = {
    "rows": "rows",
    "replicates": "rows and training, by replicates",
    "sampling": "sampling from the model",
}
_OVERLAP = {"weak overlap": "weak", "not checked": "not checked"}


@dataclass(frozen=True)
class Driver:
    """One module that an answer rests on.

    Attributes:
        variables: The variables of the module.
        action: ``"pulled"``, ``"trained"``, ``"code trained, renderer pulled"``, or ``"untrained"``
            where the model has no record of a training.
        made_by: The generator and where it comes from, or the objective and what it was matched to.
        fit: How well it fits the rows, in words.
        overlap: ``"good"``, ``"weak"``, ``"not checked"`` or ``"nothing is set"``: whether the rows
            support what the question asks of the module.
        share: Share of the answer's variance that its rows carry; NaN where that is not known, and
            for a pulled module, whose own error is in no interval.
        caveats: What is known to be doubtful about it.
    """

    variables: tuple[str, ...]
    action: str
    made_by: str
    fit: str
    overlap: str
    share: float
    caveats: tuple[Caveat, ...] = ()

    @property
    def name(self) -> str:
        """The variables joined by ``+``."""
        return "+".join(self.variables)

    @property
    def is_pulled(self) -> bool:
        """Whether the module is frozen, so that its error is in no interval."""
        return self.action == "pulled"

    @property
    def share_in_words(self) -> str:
        """The share as text."""
        if self.is_pulled:
            return GIVEN
        return _percent(self.share)

    def row(self) -> tuple[str, ...]:
        """Its row of the table."""
        words = self.action, self.made_by, self.fit, self.overlap
        return self.name, *words, self.share_in_words


@dataclass(frozen=True, eq=False)
class Drivers:
    """What an answer rests on. Printing it gives a table; a notebook shows it as HTML.

    Attributes:
        answer: The answer.
        graph: The causal graph.
        modules: The modules that were run for the answer, in causal order.
        held: The variables that the question sets in every world, so that they are not run.
        unused: The variables that the answer does not depend on: neither run nor set.
        uncertainty: Where the variance of the answer comes from, as pairs of words and a share;
            pooled over the numbers of the answer, the shares add up to 1. Empty where the answer
            has no interval.
    """

    answer: Estimate
    graph: CausalGraph
    modules: tuple[Driver, ...]
    held: tuple[str, ...]
    unused: tuple[str, ...]
    uncertainty: tuple[tuple[str, float], ...]

    @property
    def warnings(self) -> tuple[Caveat, ...]:
        """What is known to be doubtful about the answer."""
        return self.answer.warnings

    @property
    def numbers(self) -> list[tuple[str, float, float, float]]:
        """Label, estimate, and ends of the interval of every number of the answer."""
        table = self.answer.table
        if "estimate" not in table:
            return []
        names = list(table.columns[: list(table.columns).index("estimate")])
        found = []
        for row in table.to_dict("records"):
            label = ", ".join(f"{name}={row[name]}" for name in names)
            found.append((label, float(row["estimate"]), float(row["low"]), float(row["high"])))
        return found

    def notes(self) -> list[str]:
        """What the tables leave unsaid, as sentences."""
        notes = [self._uncertain()]
        if any(module.is_pulled for module in self.modules):
            notes.append("Pulled generators are taken as they are: no interval holds their error.")
        for title, names in (("Set by the question", self.held), ("Not used", self.unused)):
            if names:
                notes.append(f"{title}: {', '.join(names)}.")
        notes += [f"Assumed: {sentence}" for sentence in self.answer.assumptions]
        notes += [f"Warning: {caveat}" for caveat in self.warnings]
        if not self.warnings:
            notes.append("There are no warnings.")
        return notes

    def _uncertain(self) -> str:
        if not self.uncertainty:
            return self.answer.interval or "The answer has no interval."
        parts = ", ".join(f"{words} {_percent(share)}" for words, share in self.uncertainty)
        return f"Uncertainty: {parts}."

    def __str__(self) -> str:
        lines = [f"What drives {self.answer.query}", *map(_number, self.numbers), ""]
        lines += aligned([_HEAD, *(module.row() for module in self.modules)])
        return "\n".join([*lines, "", *self.notes()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        parts = [html_paragraph("What drives ", self.answer.query)]
        parts += [html_paragraph("", _number(number)) for number in self.numbers]
        parts.append(html_table(_HEAD, (module.row() for module in self.modules)))
        parts += [html_paragraph("", note) for note in self.notes()]
        return "".join(parts)

    def plot(self, *, width: float = 6.9) -> Figure:
        """The picture of :func:`causalplug.plots.plot_drivers`.

        Args:
            width: Width of the figure, in inches.
        """
        from causalplug.plots import plot_drivers

        return plot_drivers(self, width=width)

    def to_dict(self) -> Json:
        """What JSON can hold."""
        modules = []
        for module in self.modules:
            modules.append(
                {
                    "variables": list(module.variables),
                    "action": module.action,
                    "made_by": module.made_by,
                    "fit": module.fit,
                    "overlap": module.overlap,
                    "share": module.share,
                    "warnings": [caveat.to_dict() for caveat in module.caveats],
                }
            )
        return {
            "answer": self.answer.to_dict(),
            "modules": modules,
            "held": list(self.held),
            "unused": list(self.unused),
            "uncertainty": [{"of": words, "share": share} for words, share in self.uncertainty],
        }


def _number(number: tuple[str, float, float, float]) -> str:
    label, estimate, low, high = number
    text = f"{estimate:.4g}"
    if label:
        text = f"{label}: {text}"
    if math.isfinite(low) and math.isfinite(high):
        text += f" ({low:.4g} to {high:.4g})"
    return text


def _percent(share: float) -> str:
    if not math.isfinite(share):
        return "not known"
    return f"{100 * share:.1f} %"


def drivers_of(dcm: Model, answer: Estimate) -> Drivers:
    """What an answer of a model rests on.

    Args:
        dcm: The model.
        answer: The answer that it gave.
    """
    if answer.identification is not None:
        query = answer.identification.query
    else:
        query = Query.parse(answer.query)
    run: set[str] = set()
    for _, term in query.terms:
        for event in term.events:
            run.update(variables_run(dcm, event))
    pooled = _pooled(answer)
    overlap = _overlap_at_large(dcm, answer, query)
    modules = []
    for variables in _modules(dcm):
        if run & set(variables):
            modules.append(_driver(dcm, answer, variables, pooled, overlap))
    held = tuple(sorted(_set(query) - run))
    unused = tuple(n for n in dcm.graph.topological_order() if n not in run and n not in held)
    uncertainty = tuple(_uncertainty(answer, pooled))
    return Drivers(answer, dcm.graph, tuple(modules), held, unused, uncertainty)


def _set(query: Query) -> set[str]:
    """The variables that a question sets."""
    names: set[str] = set()
    for _, term in query.terms:
        for event in term.events:
            names.update(event.do)
    return names


def _modules(dcm: Model) -> list[tuple[str, ...]]:
    """The variables of every module, in causal order: those of the plan, or the c-components."""
    order = {name: place for place, name in enumerate(dcm.graph.topological_order())}
    if dcm.plan is not None:
        found = [module.variables for module in dcm.plan.modules]
    else:
        found = []
        for part in dcm.graph.c_components():
            found.append(tuple(sorted(part, key=order.__getitem__)))
    return sorted(found, key=lambda variables: min(map(order.__getitem__, variables)))


def _pooled(answer: Estimate) -> dict[tuple[str, tuple[str, ...], str], float]:
    """Share of each part in the variance of all numbers together."""
    total = sum(float(part.variance.sum()) for part in answer.variance_parts)
    if not total > 0:
        return {}
    found: dict[tuple[str, tuple[str, ...], str], float] = {}
    for part in answer.variance_parts:
        key = part.kind, part.variables, part.source
        found[key] = found.get(key, 0.0) + float(part.variance.sum()) / total
    return found


def _uncertainty(
    answer: Estimate, pooled: Mapping[tuple[str, tuple[str, ...], str], float]
) -> Iterator[tuple[str, float]]:
    """The shares by data source, the largest first, and that of sampling."""
    shares: dict[str, float] = {}
    for (kind, _, source), share in pooled.items():
        words = _WORDS[kind]
        if source:
            words = f"{words} of {source}"
        shares[words] = shares.get(words, 0.0) + share
    yield from sorted(shares.items(), key=lambda item: -item[1])


def _driver(
    dcm: Model,
    answer: Estimate,
    variables: tuple[str, ...],
    pooled: Mapping[tuple[str, tuple[str, ...], str], float],
    overlap: str,
) -> Driver:
    caveats = tuple(c for c in answer.warnings if set(c.variables) & set(variables))
    own = [m for m in _trained(dcm) if set(m["variables"]) & set(variables)]
    action, made_by, fit = _made(dcm, variables, own)
    return Driver(
        variables,
        action,
        made_by,
        fit,
        _overlap(caveats, overlap),
        _share(variables, action, pooled),
        caveats,
    )


def _share(
    variables: tuple[str, ...],
    action: str,
    pooled: Mapping[tuple[str, tuple[str, ...], str], float],
) -> float:
    """What the rows of a module carry; not known where components are not told apart."""
    if action == "pulled" or not pooled:
        return math.nan
    by_rows = {key: share for key, share in pooled.items() if key[0] != "sampling"}
    if any(not names for _, names, _ in by_rows):
        return math.nan
    return sum(share for (_, names, _), share in by_rows.items() if set(names) <= set(variables))


def _trained(dcm: Model) -> list[Any]:
    modules = dcm.history.get("modules", [])
    return modules if isinstance(modules, list) else []


def _made(dcm: Model, variables: tuple[str, ...], own: list[Any]) -> tuple[str, str, str]:
    """Action, what the module was made by, and how well it fits the rows."""
    fits = [row for row in fit_rows((), dcm.history) if row["variable"] in variables]
    verdict = "; ".join(map(_fit, fits))
    parts = [dcm.mechanisms.unopened()[name] for name in variables]
    if all(part.frozen for part in parts):
        made_by = "; ".join(map(_generator, parts))
        return "pulled", made_by, verdict or "not checked"
    if not own:
        return "untrained", "initial weights", "not checked"
    action = "trained"
    if any(part.frozen_generator is not None for part in parts):
        action = "code trained, renderer pulled"
    words = "; ".join([part for part in [*map(_distance, own), verdict] if part])
    return action, "; ".join(map(_objective, own)), words or "not checked"


def _generator(mechanism: Mechanism) -> str:
    kind = type(mechanism).__name__
    if mechanism.origin is None:
        return f"{kind}, made in memory"
    return f"{kind}, {mechanism.origin}"


def _objective(module: Mapping[str, Any]) -> str:
    targets = ", ".join(distance["target"] for distance in module["distances"])
    if targets:
        return f"{module['objective']} on {targets}"
    return str(module["objective"])


def _fit(row: Mapping[str, Any]) -> str:
    reasons = ", ".join(row["reasons"])
    if reasons and row["verdict"] == "unfit":
        return f"{row['verdict']}: {reasons}"
    return str(row["verdict"])


def _distance(module: Mapping[str, Any]) -> str:
    """The worst distance of a module beside its floor."""
    known = [d for d in module["distances"] if d.get("tvd") is not None]
    if not known:
        return "" if module["converged"] is not False else "not converged"
    worst = max(known, key=lambda d: d["tvd"] - (d.get("floor") or 0.0))
    text = f"TVD {worst['tvd']:.3f}"
    if worst.get("floor") is not None:
        text += f", floor {worst['floor']:.3f}"
    if module["converged"] is False:
        text += ", not converged"
    return text


def _overlap(caveats: Iterable[Caveat], otherwise: str) -> str:
    """What is known of the support of one module."""
    for caveat in caveats:
        if caveat.name in _OVERLAP:
            return _OVERLAP[caveat.name]
    return otherwise


def _overlap_at_large(dcm: Model, answer: Estimate, query: Query) -> str:
    """What is known of the support of modules without a caveat."""
    names = _set(query)
    if not names:
        return "nothing is set"
    recorded = {record.variable for record in recorded_overlap(dcm.history)}
    if answer.overlap is not None or names <= recorded:
        return "good"
    return "not checked"
