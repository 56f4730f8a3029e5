"""Answers under declared assumptions: what is asked, in terms that the data determine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from causalplug.caveats import Caveat, unique_caveats
from causalplug.errors import QueryError
from causalplug.identification.assumptions import (
    IDENTIFYING,
    INVERTIBLE,
    KINDS,
    RECOVERING,
    Assume,
    as_assumptions,
)
from causalplug.identification.identification import Identification, identify
from causalplug.identification.query import Query, as_query
from causalplug.sampling.answers import Estimate
from causalplug.sampling.terms import normalised
from causalplug.selection import within

if TYPE_CHECKING:
    from causalplug.graphs.source import Source
    from causalplug.model.model import Model

__all__ = [
    "Assumed",
    "assumption_caveats",
    "by_mechanism",
    "check_mechanisms",
    "under_assumptions",
]


@dataclass(frozen=True, eq=False)
class Assumed:
    """A query under assumptions.

    Attributes:
        query: What the model is asked: the query in other terms where these are determined.
        identification: The decision by the assumptions; None where they were not needed.
    """

    query: Query | str
    identification: Identification | None = None

    def told(self, answer: Estimate, doubts: Sequence[Caveat] = ()) -> Estimate:
        """The answer with what it rests on.

        Args:
            answer: The answer.
            doubts: What is doubtful of what was declared.
        """
        found = self.identification
        if found is None:
            return answer
        caveats = unique_caveats((*answer.warnings, *assumption_caveats(found), *doubts))
        return replace(
            answer, identification=found, warnings=caveats, assumptions=found.assumptions
        )


def under_assumptions(
    dcm: Model,
    query: Query | str,
    assume: Sequence[Assume],
    sources: Sequence[Source] | None,
    *,
    bounds: bool,
) -> Assumed:
    """A query in terms that the data determine, where the assumptions give them.

    Args:
        dcm: The model.
        query: What is asked.
        assume: The assumptions.
        sources: What the model was trained on; None if it does not know.
        bounds: Whether assumptions that narrow bounds are of use as well.

    Raises:
        QueryError: An assumption that does not fit, or a model that does not know its sources.
    """
    if not assume:
        return Assumed(query)
    asked = _normalised(dcm, query)
    kinds = tuple(KINDS) if bounds else IDENTIFYING
    declared = as_assumptions(dcm.graph, assume, kinds=kinds)
    if sources is None:
        raise QueryError(
            f"{asked.name or asked} cannot be answered under assumptions: the model does not know "
            "what it was trained on, so that what they add cannot be decided; train it with cp.fit"
        )
    check_mechanisms(dcm, declared)
    domains = {name: v.categories for name, v in dcm.variables.items() if v.is_discrete}
    useful = [a for a in declared if a.kind in IDENTIFYING]
    found = identify(dcm.graph, asked, sources, domains=domains, assume=useful)
    if not found.assumptions:
        return Assumed(query)
    return Assumed(found.query, found)


def _normalised(dcm: Model, query: Query | str) -> Query:
    asked = as_query(query)
    asked.check(dcm.graph.variables)
    return normalised(dcm, asked)


def check_mechanisms(dcm: Model, assumptions: Sequence[Assume]) -> None:
    """Refuse recovered noise of mechanisms that cannot be turned round, and monotone noise of those
    that are not monotone in one number.

    Raises:
        QueryError: With the variable and its mechanism.
    """
    for assumption in assumptions:
        if assumption.kind not in RECOVERING:
            continue
        mechanism = dcm.mechanism(assumption.effect)
        one = set(mechanism.noise) == {"normal"} and mechanism.noise["normal"].shape == ()
        wanted = "map from one number of noise that can be turned round"
        if assumption.kind == INVERTIBLE:
            one, wanted = True, "map from noise that can be turned round exactly"
        if not one or mechanism.abduction != "exact":
            raise QueryError(
                f"{assumption} cannot be used: its mechanism, {type(mechanism).__name__}, is no "
                f"{wanted}{_turned_round(dcm, assumption.effect)}"
            )


def _turned_round(dcm: Model, name: str) -> str:
    """The way out for an image whose mechanism does not recover its noise exactly; nothing for
    other variables, and where it does."""
    if not dcm.variables[name].is_image or dcm.mechanism(name).abduction == "exact":
        return ""
    return (
        "; build the model with counterfactuals=True, or with "
        f"mechanisms={{{name!r}: causalplug.InvertibleImage()}}, and train it, for a mechanism of "
        "the image that does"
    )


def by_mechanism(dcm: Model, query: Query) -> str:
    """How images that a question has in several worlds can be answered by their mechanisms, as
    sentences after a refusal; nothing where there are none, or hidden causes of them."""
    worlds: dict[str, set[object]] = {}
    for _, term in query.terms:
        for event in term.events:
            worlds.setdefault(event.variable, set()).add(event.do)
    ways = []
    for name in within(dcm.graph.variables, worlds):
        seen_twice = len(worlds[name]) > 1 and dcm.variables[name].is_image
        if seen_twice and not dcm.graph.siblings(name):
            ways.append(
                f" To take the trained mechanism of {name} for the true one, declare "
                f'assume=causalplug.Assume("invertible", effect={name!r})'
                f"{_turned_round(dcm, name)}."
            )
    return "".join(ways)


def assumption_caveats(identification: Identification) -> tuple[Caveat, ...]:
    """What an answer rests on beside the graph, as caveats."""
    asked = str(identification.query.name or identification.query)
    items = []
    for sentence in identification.assumptions:
        items.append(
            Caveat("assumption", asked, f"The answer rests on what was declared: {sentence}.")
        )
    return tuple(items)
