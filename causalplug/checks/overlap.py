"""Overlap: identification assumes that every combination of values can occur; do the rows show it?

The identifying formula says which conditional probabilities are needed, and at which values. Where
these are discrete, cells without rows are counted with the weight that the formula gives them.
Where an image (or another vector) is conditioned on together with a discrete variable whose other
values the formula needs as well, a classifier in the encoder's space says how far the image gives
that variable away. A formula is then an extrapolation on the rows where it does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from causalplug.checks.determinism import Relation, find_relations
from causalplug.checks.propensity import held_out_probabilities
from causalplug.errors import DataError
from causalplug.graphs.graph import CausalGraph
from causalplug.identification.estimand import (
    Atom,
    Constant,
    Estimand,
    Expression,
    Probability,
    Product,
    Symbol,
    apart,
)
from causalplug.identification.evaluate import Evaluator
from causalplug.identification.identification import Identification, identify
from causalplug.identification.notation import walk
from causalplug.identification.query import Query
from causalplug.identification.tables import Table, common_categories
from causalplug.wording import listed

__all__ = ["Finding", "Overlap", "check_overlap"]

Encoder = Callable[[Any], Any] | np.ndarray


@dataclass(frozen=True)
class Finding:
    """One place where the formula needs what the rows do not show.

    Attributes:
        variables: the variables whose combinations are missing; an image first.
        share: of the rows (or of the formula's weight, for discrete cells) without support, 0 to 1.
        text: the same in a sentence.
        examples: some of the combinations.
    """

    variables: tuple[str, ...]
    share: float
    text: str
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Overlap:
    """Whether the rows support the formula of a query.

    Attributes:
        query: the query in words.
        identification: its identification; nothing but relations is checked if the answer is not
            determined.
        share: the largest share without support of all findings.
        findings: where support is missing.
        relations: discrete variables that others determine in these rows.
        notes: what could not be checked, and why.
        tolerance: shares up to this count as good overlap.
    """

    query: str
    identification: Identification
    share: float
    findings: tuple[Finding, ...]
    relations: tuple[Relation, ...]
    notes: tuple[str, ...]
    tolerance: float

    @property
    def status(self) -> str:
        """``"good"``, ``"weak overlap"``, or ``"no overlap"`` (more than 0.95 without support)."""
        return (
            "good"
            if self.share <= self.tolerance
            else "weak overlap"
            if self.share <= 0.95
            else "no overlap"
        )

    @property
    def weak(self) -> bool:
        """Whether an answer should be marked."""
        return self.share > self.tolerance

    def __bool__(self) -> bool:
        return not self.weak

    def __str__(self) -> str:
        head = f"{self.query}: {self.status}"
        if self.findings:
            head += f", {self.share:.0%} of what it rests on is never observed" if self.weak else ""
        lines = [f"- {finding.text}" for finding in self.findings]
        lines += [f"    {example}" for finding in self.findings for example in finding.examples[:5]]
        lines += [f"- {relation.text}" for relation in self.relations]
        lines += [f"- not checked: {note}" for note in self.notes]
        return "\n".join([head, *lines])

    def to_dict(self) -> dict[str, Any]:
        """What JSON can hold."""
        return {
            "query": self.query,
            "status": self.status,
            "share": self.share,
            "findings": [
                {
                    "variables": list(f.variables),
                    "share": f.share,
                    "text": f.text,
                    "examples": list(f.examples),
                }
                for f in self.findings
            ],
            "relations": [relation.text for relation in self.relations],
            "notes": list(self.notes),
        }


def check_overlap(
    graph: CausalGraph,
    query: Query | str,
    data: Any,
    encoders: Mapping[str, Encoder] | None = None,
    *,
    sources: Any = None,
    domains: Mapping[str, Sequence[Any]] | None = None,
    threshold: float = 0.1,
    tolerance: float = 0.05,
    fewest: int = 5,
    most_rows: int = 5000,
    seed: int = 0,
) -> Overlap:
    """Whether ``data`` supports what the formula of ``query`` rests on.

    Args:
        graph, query, sources, domains: as for :func:`identify`.
        data: one table of rows per source, in their order (a single one for one source): DataFrames
            or dicts of arrays.
        encoders: per image (or other vector) variable, a function from its column to projections
            ``(n, d)``, or the projections themselves. Columns with more than one axis, or of many
            different floats, need one; a numeric column without one stands for itself.
        threshold: a value is without support on a row if the classifier's probability there is less
            than ``threshold`` times its overall share, that is, if the row would need an importance
            weight above ``1 / threshold``.
        tolerance: the share of rows without support up to which overlap counts as good.
        fewest: a combination of discrete values is without support in fewer rows than this: a share
            of three rows is hardly better known than one of none.
        most_rows: rows that a classifier is fitted on, drawn at random if there are more.
        seed: of that draw and of the classifier.

    Raises:
        DataError: a table per source is missing, or a projection does not fit its rows.
    """
    result = identify(graph, query, sources, domains=domains)
    tables = list(data) if isinstance(data, list | tuple) else [data]
    if wrong := [
        table
        for table in tables
        if not hasattr(table, "__getitem__") or not hasattr(table, "__contains__")
    ]:
        raise DataError(
            f"overlap cannot be checked on a {type(wrong[0]).__name__}: give a DataFrame or a dict "
            "of arrays; DCM.estimate(data=…) takes a DataSource, too"
        )
    if len(tables) != len(result.sources):
        names = listed(source.name for source in result.sources)
        raise DataError(
            f"overlap cannot be checked: {len(tables)} tables for the sources {names}; give one for each"
        )
    rows = [_Rows(graph, table, encoders or {}) for table in tables]
    relations = tuple(r for table in rows for r in find_relations(graph, table.discrete))
    findings: list[Finding] = []
    notes: dict[str, None] = {}
    if result.estimand is not None:
        checker = _Checker(result.estimand, rows, threshold, fewest, most_rows, seed)
        findings = checker.findings()
        notes = checker.notes
    else:
        notes[f"the query is {result.status}, so there is no formula to support"] = None
    share = max((finding.share for finding in findings), default=0.0)
    unique = {relation.text: relation for relation in relations}
    name = result.query.name or str(result.query)
    return Overlap(
        name, result, share, tuple(findings), tuple(unique.values()), tuple(notes), tolerance
    )


class _Rows:
    """The rows of one source: discrete columns as a table, the others as projections."""

    def __init__(self, graph: CausalGraph, data: Any, encoders: Mapping[str, Encoder]):
        names = [name for name in graph.variables if name in data]
        self.projections: dict[str, np.ndarray] = {}
        discrete = []
        for name in names:
            column = data[name]
            if name in encoders:
                self.projections[name] = _projected(name, column, encoders[name])
            elif _is_discrete(column):
                discrete.append(name)
            elif np.ndim(column) == 1:
                self.projections[name] = np.asarray(column, float)[:, None]
        self.count = len(data[names[0]]) if names else 0
        for name, encoder in encoders.items():
            if name not in names and isinstance(encoder, np.ndarray) and len(encoder) == self.count:
                self.projections[name] = _projected(name, None, encoder)
        self.discrete = Table.from_rows(data, discrete)


def _projected(name: str, column: Any, encoder: Encoder) -> np.ndarray:
    encoder = getattr(
        encoder, "project_column", encoder
    )  # a causalplug.Encoder reads tensors otherwise
    values = np.asarray(encoder(column) if callable(encoder) else encoder, float)
    if values.ndim < 2:
        raise DataError(
            f"the projections of {name!r} have shape {values.shape}; an encoder gives (rows, dimensions)"
        )
    values = values.reshape(len(values), -1)
    if column is not None and len(values) != len(column):
        raise DataError(
            f"the encoder of {name!r} gave {len(values)} projections for {len(column)} rows"
        )
    return values


def _is_discrete(column: Any, most: int = 50) -> bool:
    array = np.asarray(column)
    if array.ndim != 1:
        return False
    return array.dtype.kind != "f" or len(np.unique(array)) <= most


class _Checker:
    """Goes through the conditional probabilities of a formula."""

    def __init__(
        self,
        estimand: Estimand,
        rows: list[_Rows],
        threshold: float,
        fewest: int,
        most_rows: int,
        seed: int,
    ):
        self.estimand = estimand
        self.rows = rows
        self.threshold = threshold
        self.fewest = fewest
        self.most_rows = most_rows
        self.fitted: dict[tuple[Any, ...], np.ndarray] = {}
        self.seed = seed
        self.notes: dict[str, None] = {}
        constants: dict[str, list[Any]] = {}
        for leaf in self._leaves():
            for atom in leaf.of + leaf.given + leaf.do:
                if isinstance(atom, Constant):
                    constants.setdefault(atom.variable, []).append(atom.value)
        tables = [r.discrete for r in rows]
        self.domains = common_categories(tables, constants)
        self.tables = [table.recoded(self.domains) for table in tables]

    def _leaves(self) -> list[Probability]:
        nodes = [node for _, term in self.estimand.terms for node in walk(term.formula)]
        return [node for node in nodes if isinstance(node, Probability)]

    def findings(self) -> list[Finding]:
        """All places without support, the same cells or the same image once."""
        found: dict[tuple[str, ...], Finding] = {}
        for _, term in self.estimand.terms:
            for leaf, others in _leaves_in_context(apart(term.formula, everywhere=True)):
                finding = self._check(leaf, others)
                if finding is not None:
                    old = found.get(finding.variables)
                    if old is None or old.share < finding.share:
                        found[finding.variables] = finding
        return list(found.values())

    def _check(self, leaf: Probability, others: list[Probability]) -> Finding | None:
        known = leaf.given + leaf.do
        vectors = [a.variable for a in known if a.variable not in self.domains]
        if not vectors:
            return self._check_cells(leaf, others)
        return self._check_vector(leaf, others, vectors)

    # --- discrete cells ---

    def _check_cells(self, leaf: Probability, others: list[Probability]) -> Finding | None:
        """The weight that the rest of the product puts on values of ``given`` and ``do`` that
        hardly a row has."""
        known = leaf.given + leaf.do
        if not known:
            return None
        below = np.sum(
            [self.tables[i].margin([a.variable for a in known]) for i in leaf.sources], axis=0
        )
        discrete = [
            o for o in others if all(a.variable in self.domains for a in o.of + o.given + o.do)
        ]
        evaluator = Evaluator(self.tables, self.domains)
        symbols, weights = evaluator.weights(discrete, known)
        index = tuple(
            self.domains[a.variable].index(a.value) if isinstance(a, Constant) else slice(None)
            for a in known
        )
        counts = np.asarray(below[index])
        missing = np.where(counts < self.fewest, weights, 0.0)
        if not missing.any():
            return None
        share = float(missing.sum() / weights.sum())
        cells = sorted(np.argwhere(missing > 0).tolist(), key=lambda cell: -missing[tuple(cell)])
        found = [int(np.broadcast_to(counts, missing.shape)[tuple(cell)]) for cell in cells]
        examples = [
            self._cell(known, symbols, cell, count)
            for cell, count in zip(cells[:20], found, strict=False)
        ]
        names = tuple(a.variable for a in known)
        where = f"fewer than {self.fewest} rows" if any(found) else "no row"
        text = (
            f"{listed(names)}: {len(cells)} combination{'s' * (len(cells) > 1)} that the formula "
            f"needs {'are' if len(cells) > 1 else 'is'} in {where} ({share:.1%} of its weight)"
        )
        return Finding(names, share, text, tuple(examples))

    def _cell(
        self, known: tuple[Atom, ...], symbols: tuple[Symbol, ...], cell: Sequence[int], count: int
    ) -> str:
        at = dict(zip(symbols, cell, strict=True))
        values = [
            a.value if isinstance(a, Constant) else self.domains[a.variable][at[a]] for a in known
        ]
        rows = f"{count or 'no'} row{'s' * (count != 1)} with "
        return rows + ", ".join(
            f"{a.variable}={value}" for a, value in zip(known, values, strict=True)
        )

    # --- images and other vectors ---

    def _check_vector(
        self, leaf: Probability, others: list[Probability], vectors: list[str]
    ) -> Finding | None:
        """How far the vectors give away the discrete variables whose other values are needed at
        the same vectors."""
        known = leaf.given + leaf.do
        holders = [i for i in leaf.sources if all(v in self.rows[i].projections for v in vectors)]
        if not holders:
            self.notes[f"{listed(vectors)}: no projections; pass encoders={{...}}"] = None
            return None
        # What the vectors were drawn for: a variable read there under the same symbol varies along
        # with them.
        drawn = {
            a for o in others for a in o.given + o.do if any(b.variable in vectors for b in o.of)
        }
        discrete = [a for a in known if a.variable in self.domains]
        varied = [a for a in discrete if a not in drawn]
        tied = [a for a in discrete if a in drawn]
        if not varied:
            return None
        features, labels, names = self._rows_of(holders, vectors, varied, tied)
        needed = self._needed(varied, labels)
        probabilities = self._probabilities(
            (tuple(holders), tuple(vectors), *names_of(varied, tied)), features, labels
        )
        overall = np.bincount(labels, minlength=probabilities.shape[1]) / len(labels)
        ratio = probabilities[:, needed] / np.maximum(overall[needed], 1e-12)
        without = (ratio < self.threshold).any(1)
        share = float(without.mean())
        if share == 0:
            return None
        what = listed(a.variable for a in varied)
        values = listed(names[i] for i in needed)
        text = (
            f"on {share:.1%} of the rows {listed(vectors)} gives {what} away: some value that the "
            f"formula needs there ({what} = {values}) is less than {self.threshold:g} times as "
            "likely as overall"
        )
        return Finding((*vectors, *(a.variable for a in varied)), share, text)

    def _probabilities(
        self, key: tuple[Any, ...], features: np.ndarray, labels: np.ndarray
    ) -> np.ndarray:
        if key not in self.fitted:
            self.fitted[key] = held_out_probabilities(features, labels, seed=self.seed)
        return self.fitted[key]

    def _rows_of(
        self, holders: list[int], vectors: list[str], varied: list[Atom], tied: list[Atom]
    ) -> tuple[np.ndarray, np.ndarray, list[str]]:
        """Features (projections, and tied variables one-hot), joint codes of the varied
        variables, their names."""
        features, labels = [], []
        for i in holders:
            table = self.tables[i]
            column = {name: table.codes[:, j] for j, name in enumerate(table.categories)}
            parts = [self.rows[i].projections[v] for v in vectors]
            parts += [np.eye(len(self.domains[a.variable]))[column[a.variable]] for a in tied]
            code = np.zeros(len(table.codes), int)
            for a in varied:
                code = code * len(self.domains[a.variable]) + column[a.variable]
            features.append(np.concatenate(parts, 1))
            labels.append(code)
        whole, codes = np.concatenate(features), np.concatenate(labels)
        if len(codes) > self.most_rows:
            chosen = np.random.default_rng(self.seed).choice(
                len(codes), self.most_rows, replace=False
            )
            whole, codes = whole[chosen], codes[chosen]
        sizes = [len(self.domains[a.variable]) for a in varied]
        names = [
            "/".join(str(self.domains[a.variable][c]) for a, c in zip(varied, cell, strict=True))
            for cell in np.ndindex(*sizes)
        ]
        return whole, codes, names

    def _needed(self, varied: list[Atom], labels: np.ndarray) -> list[int]:
        """Codes of the combinations that the formula needs: constants as they are, symbols at
        every observed value."""
        sizes = [len(self.domains[a.variable]) for a in varied]
        observed = set(np.unique(labels).tolist())
        needed = []
        for code, cell in enumerate(np.ndindex(*sizes)):
            fits = all(
                not isinstance(a, Constant) or self.domains[a.variable][c] == a.value
                for a, c in zip(varied, cell, strict=True)
            )
            constant = all(isinstance(a, Constant) for a in varied)
            if fits and code <= labels.max() and (code in observed or constant):
                needed.append(code)
        return needed


def names_of(*groups: list[Atom]) -> tuple[tuple[str, ...], ...]:
    """The variables of each group."""
    return tuple(tuple(atom.variable for atom in group) for group in groups)


def _leaves_in_context(formula: Expression) -> list[tuple[Probability, list[Probability]]]:
    """Every probability with the others that it is multiplied by, those inside nested sums
    included."""
    found: list[tuple[Probability, list[Probability]]] = []

    def visit(node: Expression, around: list[Probability]) -> None:
        if isinstance(node, Probability):
            found.append((node, around))
            return
        children = node.children
        for child in children:
            beside: list[Probability] = []
            if isinstance(node, Product):
                beside = [
                    leaf
                    for other in children
                    if other is not child
                    for leaf in walk(other)
                    if isinstance(leaf, Probability)
                ]
            visit(child, [*around, *beside])

    visit(formula, [])
    return found
