"""Overlap: identification assumes that every combination of values can occur; do the rows show it?

The identifying formula says which conditional probabilities are needed, and at which values. There
is one rule for all of them: a value is without support on a row where it is less than a tenth as
likely as overall. Where everything is discrete the cells are counted; otherwise boosted trees that
never saw the row estimate the ratio. What chance alone would give is subtracted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from causalplug.arguments import COUNT, DOMAINS, ENCODERS, ROWS, SEED, SHARE, number, takes
from causalplug.checks.density_ratio import Ratios
from causalplug.checks.determinism import Relation, find_relations
from causalplug.checks.source_rows import Encoder, SourceRows, numeric_names
from causalplug.checks.support import Finding, Rule, SupportCheck
from causalplug.errors import DataError
from causalplug.graphs.graph import CausalGraph
from causalplug.identification.estimand import Estimand, Probability
from causalplug.identification.identification import Identification, identify
from causalplug.identification.notation import walk
from causalplug.identification.query import Query
from causalplug.selection import names_of, to_dicts, variables_of
from causalplug.values import Json
from causalplug.wording import check_known, listed

__all__ = ["Finding", "Overlap", "check_overlap", "overlap_of", "rows_of"]

_WITHOUT = 0.95  # share without support from which there is no overlap
_SURE = 1.645  # standard errors by which a share has to lie above the tolerance: one side, 95 %


@dataclass(frozen=True, eq=False)
class Overlap:
    """Whether the rows support the formula of a query.

    Attributes:
        query: The query in words.
        identification: Its identification; nothing but relations is checked if the answer is not
            determined.
        share: The largest share without support of all findings, less what chance would give.
        standard_error: Standard error of the share.
        findings: Where support is missing.
        relations: Discrete variables that others determine in these rows.
        notes: What could not be checked, and why.
        tolerance: Shares up to this count as good overlap.
    """

    query: str
    identification: Identification
    share: float
    findings: tuple[Finding, ...]
    relations: tuple[Relation, ...]
    notes: tuple[str, ...]
    tolerance: float
    standard_error: float = 0.0

    @property
    def status(self) -> str:
        """``"good"``, ``"weak overlap"``, or ``"no overlap"``: more than 0.95 without support,
        or not certainly less."""
        if not self.weak:
            return "good"
        most = self.share + _SURE * self.standard_error
        if most <= _WITHOUT:
            return "weak overlap"
        return "no overlap"

    @property
    def weak(self) -> bool:
        """Whether an answer should be marked: the share lies above the tolerance by more than
        its standard error explains."""
        return self.share - _SURE * self.standard_error > self.tolerance

    def __bool__(self) -> bool:
        return not self.weak

    def __str__(self) -> str:
        head = f"{self.query}: {self.status}"
        if self.weak:
            error = ""
            if self.standard_error >= 5e-4:
                error = f" (± {self.standard_error:.1%})"
            head += f", {self.share:.0%}{error} of what it rests on is hardly ever observed"
        lines = [f"- {finding.text}" for finding in self.findings]
        lines += [f"    {example}" for finding in self.findings for example in finding.examples[:5]]
        lines += [f"- {relation.text}" for relation in self.relations]
        lines += [f"- not checked: {note}" for note in self.notes]
        return "\n".join([head, *lines])

    def to_dict(self) -> Json:
        """What JSON can hold."""
        return {
            "query": self.query,
            "status": self.status,
            "share": self.share,
            "standard_error": self.standard_error,
            "findings": to_dicts(self.findings),
            "relations": [relation.text for relation in self.relations],
            "notes": list(self.notes),
        }


@takes(
    DataError,
    data=ROWS,
    encoders=ENCODERS.or_none("none"),
    domains=DOMAINS.or_none("what occurs"),
    threshold=SHARE,
    tolerance=number(low=0, below=1),
    fewest=COUNT,
    most_rows=COUNT,
    seed=SEED,
)
def check_overlap(
    graph: CausalGraph,
    query: Query | str,
    data: object,
    encoders: Mapping[str, Encoder] | None = None,
    *,
    sources: Any = None,
    domains: Mapping[str, Sequence[object]] | None = None,
    threshold: float = 0.1,
    tolerance: float = 0.05,
    fewest: int = 5,
    most_rows: int = 5000,
    seed: int = 0,
) -> Overlap:
    """Whether ``data`` supports what the formula of ``query`` rests on.

    Args:
        graph, query, sources, domains: As for :func:`identify`.
        data: One table of rows per source, in their order (a single one for one source): DataFrames
            or dicts of arrays.
        encoders: Per image (or other vector) variable, a function from its column to projections
            ``(n, d)``, or the projections themselves. Columns with more than one axis, or of many
            different floats, need one; a numeric column without one stands for itself.
        threshold: A value is without support on a row where it is less than ``threshold`` times as
            likely as overall, that is, if the row would need an importance weight above
            ``1 / threshold``.
        tolerance: Share without support up to which overlap counts as good.
        fewest: Number of rows on which a value has to stand, effectively. A combination of discrete
            values in fewer rows than this is without support, if more were to be expected.
        most_rows: Number of rows that stand for all in a classifier, besides all that have the
            value in question.
        seed: Seed of the choice of rows and of the classifiers.

    Raises:
        DataError: A table per source is missing, or a column that the formula needs, or a
            projection does not fit its rows.
        UnknownVariableError: Encoders or domains of what is not a variable.
    """
    result = identify(graph, query, sources, domains=domains)
    if isinstance(data, list | tuple):
        tables = list(data)
    else:
        tables = [data]
    _check_tables(tables, result)
    check_known(encoders or {}, graph.index, "encoders= cannot be used")
    _check_columns(tables, result, encoders or {})
    rows = rows_of(graph, tables, encoders or {})
    relations = tuple(r for table in rows for r in find_relations(graph, table.discrete))
    rule = Rule(threshold, tolerance, fewest, most_rows, seed)
    return overlap_of(result, rows, rule, relations=relations)


def rows_of(
    graph: CausalGraph, tables: Sequence[object], encoders: Mapping[str, Encoder]
) -> list[SourceRows]:
    """The tables as :func:`overlap_of` reads them; arguments as for :func:`check_overlap`."""
    numeric = numeric_names(tables, set(graph.variables) - set(encoders))
    return [SourceRows(graph, table, encoders, numeric) for table in tables]


def overlap_of(
    result: Identification,
    rows: Sequence[SourceRows],
    rule: Rule,
    *,
    relations: Sequence[Relation] = (),
    ratios: Ratios | None = None,
) -> Overlap:
    """Whether rows support an identified formula.

    Args:
        result: The identification of the query.
        rows: Rows by source.
        rule: When a value is without support.
        relations: Discrete variables that others determine in these rows.
        ratios: Density ratios that are known from other formulas on the same rows, and how many
            more may be computed.

    Raises:
        OverBudget: ``ratios`` allows no more.
    """
    findings: list[Finding] = []
    notes: dict[str, None] = {}
    if result.estimand is not None:
        check = SupportCheck(result.estimand, rows, rule, ratios)
        findings = check.findings()
        notes = check.notes
    else:
        notes[f"the query is {result.status}, so there is no formula to support"] = None
    worst = max(findings, key=lambda finding: finding.share, default=None)
    if worst is not None:
        share, error = (worst.share, worst.standard_error)
    else:
        share, error = (0.0, 0.0)
    unique = {relation.text: relation for relation in relations}
    name = result.query.name or str(result.query)
    facts = tuple(findings), tuple(unique.values()), tuple(notes)
    return Overlap(name, result, share, *facts, rule.tolerance, error)


@runtime_checkable
class _Columns(Protocol):
    """What is read of a table: whether it has a column, and the column."""

    def __contains__(self, name: object, /) -> bool: ...
    def __getitem__(self, name: str, /) -> object: ...


def _check_tables(tables: Sequence[object], result: Identification) -> None:
    """Raise unless there is a table of columns for every source."""
    for table in tables:
        if isinstance(table, list | tuple | str) or not isinstance(table, _Columns):
            raise DataError(
                f"overlap cannot be checked on a {type(table).__name__}: give a DataFrame or a "
                "dict of arrays; DCM.estimate(data=…) takes a DataSource, too"
            )
    if len(tables) != len(result.sources):
        names = listed(names_of(result.sources))
        raise DataError(
            f"overlap cannot be checked: {len(tables)} tables for the sources {names}; give one "
            "for each"
        )


def _check_columns(
    tables: Sequence[Any], result: Identification, encoders: Mapping[str, Encoder]
) -> None:
    """Raise unless every table has the columns that its part of the formula is about."""
    if result.estimand is None:
        return
    for place, (table, source) in enumerate(zip(tables, result.sources, strict=True)):
        given = {*encoders, *source.do}
        needed = _variables_of(result.estimand, place) & source.recorded - given
        missing = [n for n in result.graph.variables if n in needed and n not in table]
        if missing:
            label = source.name or source.describe()
            raise DataError(
                f"overlap cannot be checked: the table of {label} has no column {listed(missing)}, "
                "which the formula is about. Declare in sources= what was recorded"
            )


def _variables_of(estimand: Estimand, source: int) -> set[str]:
    """The variables of the probabilities that are read off a source."""
    found: set[str] = set()
    for _, term in estimand.terms:
        for node in walk(term.formula):
            if isinstance(node, Probability) and source in node.sources:
                found.update(variables_of(node.of + node.given + node.do))
    return found
