"""Which mechanisms the questions that a model is trained for need."""

from __future__ import annotations

from collections.abc import Iterable

from causalplug.arguments import VALUES, read_argument
from causalplug.errors import TrainingError
from causalplug.identification.events import Event
from causalplug.identification.query import Query
from causalplug.model.model import Model
from causalplug.selection import within

__all__ = ["read_by"]


def read_by(dcm: Model, queries: str | Query | Iterable[str | Query]) -> tuple[str, ...]:
    """The variables whose mechanisms the answers to ``queries`` run, or are corrected by.

    Args:
        dcm: The model.
        queries: One question or several.

    Raises:
        TrainingError: No question.
        QuerySyntaxError, QueryError, UnknownVariableError: A question that makes no sense.
    """
    found: set[str] = set()
    if isinstance(queries, str | Query):
        asked_for = [queries]
    else:
        asked_for = read_argument("queries", queries, VALUES, TrainingError, "fit")
    for query in asked_for:
        asked = query
        if isinstance(query, str):
            asked = Query.parse(query)
        if not isinstance(asked, Query):
            raise TrainingError(
                f"queries holds {query!r}, which is no question: give text such as 'P(Y | "
                "do(X=1))', or a Query."
            )
        asked.check(dcm.graph.variables)
        found |= asked.reads(dcm.graph)
        found |= _treatments(dcm, asked)
    if not found:
        raise TrainingError("queries asks nothing of the model: name at least one question.")
    return tuple(within(dcm.graph.variables, found))


def _treatments(dcm: Model, query: Query) -> set[str]:
    """The treatments whose probabilities make an effect doubly robust with rows: categories whose
    causes are all recorded and have no pictures among them, where some of what is read is a
    number. Effects among categories alone are corrected without them."""
    read = query.reads(dcm.graph)
    found = set()
    for name in _set_to_values(query):
        causes = dcm.graph.parents(name)
        plain = not any(dcm.variables[n].needs_encoder for n in (name, *causes))
        alone = not dcm.graph.siblings(name) and dcm.variables[name].is_discrete
        numbers = not all(dcm.variables[n].is_discrete for n in read.union(causes))
        if plain and alone and numbers:
            found.add(name)
    return found


def _set_to_values(query: Query) -> set[str]:
    """The variables that the query sets to a value of its own."""
    found = set()
    for _, term in query.terms:
        for event in term.events:
            found |= {name for name, value in event.do.items() if not isinstance(value, Event)}
    return found
