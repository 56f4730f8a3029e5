"""What may be pulled from the Hub: which mechanisms a frozen, pretrained generator can stand in
for."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from causalplug.errors import FrozenConfounderError, PlanError
from causalplug.graphs.graph import CausalGraph
from causalplug.planning.generator_facts import GeneratorFacts, facts_of
from causalplug.planning.objectives import kind_of, module_key
from causalplug.selection import without
from causalplug.values import Json, Named, Word
from causalplug.wording import listed

__all__ = ["Pull", "PullVerdict", "check_pull", "confounded_by", "judge_available", "pullable"]


class PullVerdict(Word):
    """What a generator may be used for.

    Attributes:
        PULL: It replaces the mechanism(s).
        RENDERER: It renders what a trained code says.
        REFUSED: It cannot be used here.
    """

    PULL = "pull"
    RENDERER = "renderer"
    REFUSED = "refused"


@dataclass(frozen=True)
class Pull:
    """The verdict on one generator, or on the place where one could go.

    Attributes:
        variables: What it generates.
        verdict: ``"pull"``: it replaces the mechanism(s); ``"renderer"``: it renders what a trained
            code says; ``"refused"``: it cannot be used here.
        why: The reason, with the bidirected edge if there is one.
        generator: Its repository or class, None where only the place is judged.
    """

    variables: tuple[str, ...]
    verdict: PullVerdict
    why: str
    generator: str | None = None

    def to_dict(self) -> Json:
        """What JSON can hold, one entry per attribute."""
        return {
            "variables": list(self.variables),
            "verdict": self.verdict,
            "why": self.why,
            "generator": self.generator,
        }

    @classmethod
    def from_dict(cls, data: Named) -> Pull:
        """The inverse of :meth:`to_dict`."""
        verdict = PullVerdict(data["verdict"])
        return cls(tuple(data["variables"]), verdict, data["why"], data["generator"])


def check_pull(graph: CausalGraph, variable: str) -> None:
    """Raise if no frozen generator can be the mechanism of ``variable``.

    Raises:
        FrozenConfounderError: ``variable`` has a bidirected edge; the message names it and the ways
            out.
        UnknownVariableError: It is not in the graph.
    """
    if graph.siblings(variable):
        raise FrozenConfounderError(
            f'"{variable}" cannot be pulled: {confounded_by(graph, variable)}. Train it with its '
            "module, use the "
            "generator as a renderer, or drop the edge."
        )


def pullable(graph: CausalGraph, modules: Iterable[tuple[str, ...]]) -> tuple[Pull, ...]:
    """What could be pulled if a generator were there: plain variables, whole modules, and
    renderers for the rest."""
    return tuple(_places(graph, modules))


def _places(graph: CausalGraph, modules: Iterable[tuple[str, ...]]) -> Iterator[Pull]:
    for module in modules:
        if len(module) == 1:
            yield Pull(module, PullVerdict.PULL, _free(graph, module[0]))
            continue
        yield Pull(
            module,
            PullVerdict.PULL,
            "as a whole, from another DCM with the same edges among them and the same parents",
        )
        for variable in module:
            yield Pull((variable,), PullVerdict.RENDERER, confounded_by(graph, variable))


def judge_available(
    graph: CausalGraph, available: Mapping[Any, object], *, kinds: Named | None = None
) -> tuple[Pull, ...]:
    """The verdict on every generator in ``available``.

    Args:
        graph: The causal graph.
        available: ``"I"``, ``"C+N"`` or ``("C", "N")`` -> a repository's name, an adapter, or
            another DCM, or :class:`~causalplug.planning.generator_facts.GeneratorFacts` that say
            which labels it reads. A repository is taken at its word until it is loaded.
        kinds: Variable -> ``"image"``, ``"discrete"``, ``"continuous"`` or its declaration, where
            known.

    Raises:
        PlanError: Two generators for one variable; labels that are not the parents, with the label
            map that would mend it; a DCM whose module has other edges or parents.
        UnknownVariableError: A key that names a variable the graph does not have.
    """
    verdicts: list[Pull] = []
    owner: dict[str, str] = {}
    for key, generator in available.items():
        variables = module_key(graph, key, "available= cannot be used")
        facts = facts_of(generator)
        label = facts.label
        for variable in variables:
            if variable in owner:
                raise PlanError(
                    f'"{variable}" cannot be pulled twice: available= offers {owner[variable]} '
                    f"and {label} for it; "
                    "keep one of them"
                )
            owner[variable] = label
        if len(variables) == 1 and facts.graph is None:
            kind = kind_of((kinds or {}).get(*variables, ""))
            verdicts.append(_judge_variable(graph, variables[0], generator, facts, kind))
        else:
            verdicts.append(_judge_module(graph, variables, generator, facts))
    return tuple(verdicts)


def _judge_variable(
    graph: CausalGraph, variable: str, generator: object, facts: GeneratorFacts, kind: str
) -> Pull:
    label = facts.label
    if not graph.siblings(variable):
        _check_labels(graph, variable, facts)
        checked = ""
        if isinstance(generator, str):
            checked = "; its labels are checked when it is loaded"
        return Pull((variable,), PullVerdict.PULL, _free(graph, variable) + checked, label)
    why = confounded_by(graph, variable)
    if kind == "discrete":
        return Pull(
            (variable,),
            PullVerdict.REFUSED,
            f"{why}; and a discrete variable has nothing to render",
            label,
        )
    return Pull(
        (variable,), PullVerdict.RENDERER, f"{why}; it can render what a trained code says", label
    )


def _judge_module(
    graph: CausalGraph, variables: tuple[str, ...], generator: object, facts: GeneratorFacts
) -> Pull:
    name, label = "+".join(variables), facts.label
    inside = set(variables)
    leaving = [(v, s) for v in variables for s in graph.siblings(v) if s not in inside]
    if leaving:
        v, s = leaving[0]
        why = (
            f"{v} <-> {s} leaves the module, so its mechanisms cannot be taken without that of {s}"
        )
        return Pull(variables, PullVerdict.REFUSED, why, label)
    if isinstance(generator, str):
        why = "a whole module from another DCM; its edges and parents are checked when it is loaded"
        return Pull(variables, PullVerdict.PULL, why, label)
    other = facts.graph
    if other is None:
        raise PlanError(
            f"module {name} cannot be pulled from {label}: several variables can only be pulled as "
            "a whole from another DCM, and it has no graph; give a DCM or its repository, or one "
            "generator per unconfounded variable"
        )
    difference = next(_differences(graph, other, variables), None)
    if difference:
        raise PlanError(
            f"module {name} cannot be pulled from {label}: {difference}; a module can be moved "
            "only between models that agree on its edges and parents, so correct one of the "
            "graphs or train the module"
        )
    return Pull(
        variables,
        PullVerdict.PULL,
        "a whole module from another DCM with the same edges and the same parents",
        label,
    )


def _differences(
    graph: CausalGraph, other: CausalGraph, variables: tuple[str, ...]
) -> Iterator[str]:
    for variable in variables:
        if variable not in other:
            yield f"it has no variable {variable!r}"
            return
    for variable in variables:
        for kind, here, there in (
            ("parents", graph.parents(variable), other.parents(variable)),
            ("confounders shared", graph.siblings(variable), other.siblings(variable)),
        ):
            if set(here) != set(there):
                between = ""
                if kind != "parents":
                    between = " with"
                yield (
                    f"{variable} has the {kind}{between} {listed(there)} there and {listed(here)} "
                    "here"
                )


def _check_labels(graph: CausalGraph, variable: str, facts: GeneratorFacts) -> None:
    """Raise unless the labels that a generator declares are the parents, or a label map leads
    from these to them."""
    labels, parents = facts.conditions_on, graph.parents(variable)
    reads = parents if facts.parents is None else facts.parents
    if facts.unbound and (facts.makes_map or len(reads) == len(parents) == 1):
        return
    refusal = f'"{variable}" cannot be pulled from {facts.label}'
    own = f"the parents of {variable} are ({listed(parents)})"
    if facts.mapped_from is not None:
        if set(facts.mapped_from) != set(parents):
            raise PlanError(
                f"{refusal}: its label map reads ({listed(facts.mapped_from)}) and {own}; "
                f"{_mend(labels, parents)}, or correct the graph"
            )
    elif labels is not None and labels != parents:
        raise PlanError(
            f"{refusal}: it conditions on ({listed(labels)}) and {own}, in this order; "
            f"{_mend(labels, parents)}, or correct the graph"
        )
    elif labels is None and set(reads) != set(parents):
        raise PlanError(
            f"{refusal}: it reads ({listed(reads)}) and {own}; {_mend(None, parents)}, or correct "
            "the graph"
        )


def _mend(labels: Sequence[str] | None, parents: tuple[str, ...]) -> str:
    if labels is not None:
        wanted = tuple(labels)
    else:
        wanted = ("label",)
    if len(wanted) == len(parents) and wanted:
        pairs = ", ".join(f'"{label}": "{parent}"' for label, parent in _paired(wanted, parents))
        return f"the label map {{{pairs}}} mends it if the values agree"
    if len(wanted) != 1:
        into = f"({listed(wanted)})"
    else:
        into = wanted[0]
    if len(parents) != 1:
        outof = f"({listed(parents)})"
    else:
        outof = parents[0]
    return (
        f"a label map mends it: LabelMap.from_table({{{outof}: {into}, …}}) with one entry for "
        f"each value of {outof}"
    )


def _nearest(label: str, names: Iterable[str], cutoff: float) -> str | None:
    """The name that is most like a label, whatever the case of its letters."""
    folded: dict[str, str] = {}
    for name in names:
        folded.setdefault(name.casefold(), name)
    near = difflib.get_close_matches(label.casefold(), list(folded), n=1, cutoff=cutoff)
    return folded[near[0]] if near else None


def _paired(labels: Sequence[str], parents: Sequence[str]) -> list[tuple[str, str]]:
    """Each label with the parent of the same or nearest name, the others in the order given."""
    left = list(parents)
    found: dict[str, str] = {}
    for cutoff in (1.0, 0.6):
        for label in without(labels, found):
            near = _nearest(label, left, cutoff)
            if near is not None:
                found[label] = near
                left.remove(near)
    for label in labels:
        if label not in found:
            found[label] = left.pop(0)
    return [(label, found[label]) for label in labels]


def _free(graph: CausalGraph, variable: str) -> str:
    parents = graph.parents(variable)
    if parents:
        factor = f"P({variable} | {listed(parents)})"
    else:
        factor = f"P({variable})"
    return (
        f"no hidden confounder touches {variable}, so its mechanism is {factor} and any generator "
        "of that will do"
    )


def confounded_by(graph: CausalGraph, variable: str) -> str:
    """Why no frozen generator can be the mechanism of a confounded variable, in words."""
    edges = [f"{variable} <-> {sibling}" for sibling in graph.siblings(variable)]
    if len(edges) == 1:
        says, both = ("says", "both")
    else:
        says, both = ("say", "both ends of each")
    if len(edges) < 3:
        shown = " and ".join(edges)
    else:
        shown = listed(edges, most=4)
    return (
        f"{shown} {says} that something unobserved affects {both}, and a frozen generator has no "
        "input for it"
    )
