"""Refutation: what an answer becomes when the data or the model are changed in a known way.

As in DoWhy (Sharma & Kiciman 2020): a treatment that was shuffled can have no effect; another
seed, a part of the rows, and a recorded common cause of random numbers should change nothing but
the noise.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from causalplug.checks.bound_data import columns_of
from causalplug.data.source import DataSource
from causalplug.errors import ConvergenceWarning, GraphWarning, QueryError
from causalplug.graphs.graph import CausalGraph
from causalplug.identification.query import Query, as_query
from causalplug.training.fit import fit
from causalplug.values import Named
from causalplug.variables import Continuous
from causalplug.wording import listed

if TYPE_CHECKING:
    import pandas as pd

    from causalplug.model.model import Model
    from causalplug.sampling.answers import Estimate

__all__ = ["Refutation", "refute"]

_SHARE = 0.8  # of the rows, in the subset
_WIDTH = 3.0  # standard errors of a difference

_M = TypeVar("_M", bound="Model")


@dataclass(frozen=True, eq=False)
class Refutation:
    """What became of an answer; true in a condition if nothing refutes it.

    Attributes:
        query: The query in words.
        table: One row per check: ``estimate``, what was ``expected``, the ``tolerance`` (three
            standard errors of the difference), and whether it ``passed``.
        notes: Checks that were left out, and why.
    """

    query: str
    table: pd.DataFrame
    notes: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.table["passed"].all())

    def __str__(self) -> str:
        verdict = "the answer is refuted"
        if self:
            verdict = "nothing refutes the answer"
        lines = [f"{self.query}: {verdict}", self.table.to_string(index=False)]
        return "\n".join([*lines, *(f"not checked: {note}" for note in self.notes)])


def refute(
    dcm: _M,
    query: str | Query,
    data: object,
    ask: Callable[[_M, Query], Estimate],
    *,
    seed: int,
    settings: Named,
) -> Refutation:
    """Refit copies of a model on changed rows, and ask them the same; documented at
    :meth:`causalplug.DCM.refute`."""
    import pandas as pd

    asked = as_query(query)
    treatments = _treatments(asked)
    columns = _columns(dcm, data)
    random = np.random.default_rng(seed)
    first = ask(dcm, asked)
    count = len(next(iter(columns.values())))
    some = np.sort(random.permutation(count)[: round(_SHARE * count)])
    shuffled = dict(columns)
    for name in sorted(treatments & set(columns)):
        shuffled[name] = columns[name][random.permutation(count)]
    subset = {name: column[some] for name, column in columns.items()}
    cases = [
        ("placebo treatment", shuffled, 0.0, seed),
        ("subset of the rows", subset, first.value, seed),
        ("another seed", columns, first.value, (seed + 1) % 2**63),
    ]
    rows = [("as it is", first.value, first.value, 0.0, True)]
    for name, changed, expected, number in cases:
        found = _refitted(copy.deepcopy(dcm), changed, asked, ask, number, settings)
        rows.append(_judged(name, found, first, expected))
    wider, notes = _with_cause(dcm, asked, treatments)
    if wider is not None:
        more = {**columns, wider.graph.variables[-1]: random.normal(size=count)}
        found = _refitted(wider, more, asked, ask, seed, settings)
        rows.append(_judged("random common cause", found, first, first.value))
    names = ["check", "estimate", "expected", "tolerance", "passed"]
    return Refutation(str(asked.name or asked), pd.DataFrame(rows, columns=names), notes)


def _columns(dcm: _M, data: object) -> dict[str, Any]:
    """The columns of rows in users' values; words of a text file mean what is declared.

    Raises:
        QueryError: The rows come from an experiment, whose treatment cannot be shuffled, or in
            clusters.
    """
    if not isinstance(data, DataSource):
        return dict(columns_of(data))
    if data.do:
        raise QueryError(
            f"The answer cannot be refuted on rows in which {listed(data.do)} was set: the checks "
            "train on observed rows. Give a table without do=."
        )
    if data.clustered:
        raise QueryError(
            "The answer cannot be refuted on rows that come in clusters: the refits take rows as "
            "independent. Give one row of each cluster."
        )
    encoded = data.encode(dcm.variables).values
    return {name: dcm.variables[name].decode(codes[:]) for name, codes in encoded.items()}


def _with_cause(dcm: _M, query: Query, treatments: set[str]) -> tuple[_M | None, tuple[str, ...]]:
    """An untrained model with one more recorded cause of treatments and outcomes, the last of its
    variables; None with a note where a frozen mechanism cannot have one more cause."""
    outcomes = set()
    for _, term in query.terms:
        for event in term.outcomes:
            outcomes.add(event.variable)
    frozen = {n: dcm.mechanism(n) for n in dcm.graph.variables if dcm.mechanism(n).frozen}
    kept = sorted((treatments | outcomes) & set(frozen))
    if kept:
        return None, (f"random common cause: the mechanism of {listed(kept)} is frozen",)
    name = "random cause"
    while name in dcm.graph:
        name += "'"
    graph = CausalGraph(
        (*dcm.graph.variables, name),
        (*dcm.graph.directed, *((name, of) for of in sorted(treatments | outcomes))),
        dcm.graph.bidirected,
    )
    model = type(dcm)(
        graph,
        {**dcm.variables, name: Continuous()},
        mechanisms=copy.deepcopy(frozen),
        encoders=copy.deepcopy(dict(dcm.encoders)),
        confounder_size=dcm.confounder_size,
    )
    return model.to(dcm.device), ()


def _treatments(query: Query) -> set[str]:
    """What is set in the query.

    Raises:
        QueryError: If nothing is set, or the query is no contrast, which has to be 0 without
            effect.
    """
    found: set[str] = set()
    for _, term in query.terms:
        for world in term.worlds:
            found.update(world)
    total = sum(weight for weight, _ in query.terms)
    if not found or abs(total) > 1e-9 or query.formula is not None:
        raise QueryError(
            f"{query} cannot be refuted: a placebo has to make it 0, which holds for effects such "
            "as ATE(Y, X)"
        )
    return found


def _refitted(
    dcm: _M,
    columns: Named,
    query: Query,
    ask: Callable[[_M, Query], Estimate],
    seed: int,
    settings: Named,
) -> Estimate:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", GraphWarning)
        fit(dcm, dict(columns), seed=seed, progress=False, **settings)
    return ask(dcm, query)


def _judged(
    name: str, found: Estimate, first: Estimate, expected: float
) -> tuple[str, float, float, float, bool]:
    errors = []
    for e in (found, first):
        errors.append(e.standard_error if np.isfinite(e.standard_error) else e.monte_carlo_error)
    width = _WIDTH * float(np.hypot(errors[0], errors[1]) if expected else errors[0])
    return name, found.value, expected, width, abs(found.value - expected) <= width
