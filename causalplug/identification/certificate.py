"""What stands in the way of identification, in the graph's own variables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from causalplug.graphs.bits import BitGraph, bits, mask_of
from causalplug.graphs.graph import CausalGraph
from causalplug.identification.c_factor import Obstacle, identify_c_factor
from causalplug.identification.ctf_graph import Clash, Factor
from causalplug.identification.decide import Refusal
from causalplug.identification.estimand import Atom, Constant
from causalplug.selection import positions_of, values_at
from causalplug.values import Json
from causalplug.wording import listed

__all__ = ["Certificate", "Hedge", "certify"]


@dataclass(frozen=True)
class Hedge:
    """Why one source does not give the c-factor of ``root`` (Shpitser & Pearl 2006).

    ``forest`` is a c-component that properly contains ``root``, and all of it are ancestors of
    ``root`` inside it, in the graph without what the source sets.
    """

    source: str
    forest: frozenset[str]
    root: frozenset[str]


@dataclass(frozen=True, eq=False)
class Certificate:
    """What stands in the way.

    Attributes:
        kind: ``"hedge"`` (one source), ``"thicket"`` (one obstacle per source), ``"inconsistent"``
            (a c-factor that needs one variable at two values at once), ``"values"`` (only other
            values were set), ``"unrecorded"`` (variables that no source has), ``"partial"`` (what
            the sources record cannot be pieced together) or ``"contradiction"``.
        variables: The variables of the c-factor that is not identifiable, or those in the way.
        sentence: The same in words.
        hedges: One per source in which there is one.
        graph: The graph that the hedges are in: the query's, or its projection on what is recorded.
        obstacles: A line per source.
    """

    kind: str
    variables: frozenset[str]
    sentence: str
    hedges: tuple[Hedge, ...] = ()
    graph: CausalGraph | None = None
    obstacles: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.sentence

    def plot(self, ax: object = None) -> Any:
        """A matplotlib figure of the graph with the hedge in colour; see
        :func:`causalplug.plots.plot_certificate`."""
        from causalplug.plots import plot_certificate

        return plot_certificate(self, ax=ax)

    def to_dict(self) -> Json:
        """What JSON can hold."""
        hedges = []
        for h in self.hedges:
            hedges.append({"source": h.source, "forest": sorted(h.forest), "root": sorted(h.root)})
        return {
            "kind": self.kind,
            "variables": sorted(self.variables),
            "sentence": self.sentence,
            "hedges": hedges,
        }


def _hedges(
    graph: BitGraph, obstacles: Iterable[Obstacle], source_names: tuple[str, ...]
) -> tuple[Hedge, ...]:
    found = []
    for obstacle in obstacles:
        if obstacle.kind == "hedge":
            around = frozenset(graph.named(_smallest(graph, obstacle)))
            root = frozenset(graph.named(obstacle.root))
            found.append(Hedge(_source(obstacle, source_names), around, root))
    return tuple(found)


def _are(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def certify(graph: CausalGraph, refusal: Refusal, source_names: tuple[str, ...]) -> Certificate:
    """The certificate of a refused term."""
    bit_graph = refusal.graph
    own = _own_graph(graph, bit_graph)
    if refusal.unrecorded:
        names = bit_graph.named(refusal.unrecorded)
        sentence = f"{_and(names)} {_are(names)} recorded in no source that bears on the question"
        return Certificate("unrecorded", frozenset(names), sentence, graph=own)
    if refusal.clash is not None:
        clash = refusal.clash
        names = bit_graph.named(clash.inside)
        return Certificate(
            "inconsistent", frozenset(names), _clash_sentence(bit_graph, clash), graph=own
        )
    factor, obstacles = _clearest(refusal)
    target = frozenset(bit_graph.named(factor.inside))
    hedges = _hedges(bit_graph, obstacles, source_names)
    lines = tuple(_line(bit_graph, factor, obstacle, source_names) for obstacle in obstacles)
    kinds = {obstacle.kind for obstacle in obstacles}
    if "values" in kinds:
        kind, sentence = "values", _values_sentence(bit_graph, factor, obstacles)
    elif kinds & {"unrecorded", "changed"}:
        kind, sentence = "partial", _partial_sentence(factor, bit_graph, lines)
    elif len(obstacles) == 1 and hedges:
        kind, sentence = "hedge", _hedge_sentence(bit_graph, hedges[0])
    else:
        kind, sentence = "thicket", _thicket_sentence(bit_graph, factor, hedges, lines)
    return Certificate(kind, target, sentence, hedges, own, lines)


def _own_graph(graph: CausalGraph, bit_graph: BitGraph) -> CausalGraph:
    """The certificate's graph: all of the query's where nothing was projected out."""
    present = bit_graph.named(bit_graph.present)
    if graph.ancestors(present) == frozenset(present):
        return graph
    return graph.latent_projection(present)


def _clearest(refusal: Refusal) -> tuple[Factor, tuple[Obstacle, ...]]:
    """The failed c-factor with the fewest variables in its smallest obstacle."""
    if not refusal.failed:
        raise ValueError("a refusal without a failed factor has no hedge")
    return min(refusal.failed, key=lambda pair: (pair[0].inside.bit_count(), pair[0].inside))


def _smallest(graph: BitGraph, obstacle: Obstacle) -> int:
    """A hedge inside the one found from which no variable can be left out."""
    forest = obstacle.inside
    if forest.bit_count() > 64:
        return forest
    for v in list(bits(forest & ~obstacle.root)):
        if forest >> v & 1:
            found = identify_c_factor(graph, obstacle.root, forest & ~(1 << v))
            if isinstance(found, int):
                forest = found
    return forest


def _source(obstacle: Obstacle, source_names: tuple[str, ...]) -> str:
    return " and ".join(values_at(source_names, obstacle.regime.sources))


def _hedge_sentence(graph: BitGraph, hedge: Hedge) -> str:
    root = _and(sorted(hedge.root))
    others = sorted(hedge.forest - hedge.root)
    return (
        f"{_edges(graph, hedge)}: no data of these kinds can tell the confounder's effect on "
        f"{root} from {_and(others)}'s"
    )


def _thicket_sentence(
    graph: BitGraph, factor: Factor, hedges: tuple[Hedge, ...], lines: tuple[str, ...]
) -> str:
    target = _and(graph.named(factor.inside))
    if not lines:
        return f"no source says anything about {target}"
    return f"no source gives the distribution of {target} under do() on its parents: " + "; ".join(
        lines
    )


def _partial_sentence(factor: Factor, graph: BitGraph, lines: tuple[str, ...]) -> str:
    target = _and(graph.named(factor.inside))
    return (
        "the sources record only part of the variables, and no combination that was tried gives "
        f"{target} under do() on its parents: " + "; ".join(lines)
    )


def _values_sentence(graph: BitGraph, factor: Factor, obstacles: tuple[Obstacle, ...]) -> str:
    target = _and(graph.named(factor.inside))
    known, needed = [], []
    for obstacle in obstacles:
        if obstacle.kind != "values":
            continue
        for box in obstacle.regime.boxes:
            known += [f"{graph.names[v]}={value}" for v in box for value in sorted(box[v], key=str)]
        needed += [_needed(graph, v, factor.atoms[v]) for v in bits(obstacle.inside)]
    return (
        f"{target} is needed under {_and(dict.fromkeys(needed))}, and the experiments have only "
        f"{_and(dict.fromkeys(known))}"
    )


def _needed(graph: BitGraph, v: int, atom: Atom) -> str:
    if isinstance(atom, Constant):
        return f"{graph.names[v]}={atom.value}"
    return f"every value of {graph.names[v]}"


def _clash_sentence(graph: BitGraph, clash: Clash) -> str:
    together = _and(graph.named(clash.inside))
    name = graph.names[clash.variable]
    first, second = map(_value, clash.atoms)
    shared = "share hidden causes"
    if clash.inside.bit_count() == 1:
        shared = "shares its own noise across worlds"
    if clash.inside >> clash.variable & 1 and first == second:
        return (
            f"{together} {shared}, and {name} is needed in two worlds at once: no unit is ever "
            "seen in both"
        )
    if first == second:
        needed = "two values"
    else:
        needed = f"{first} and at {second}"
    return (
        f"{together} {shared}, and {name} is needed at {needed} at once: no experiment shows one "
        "unit under both"
    )


def _value(atom: Atom) -> str:
    if isinstance(atom, Constant):
        return str(atom.value)
    return "another value"


def _line(
    graph: BitGraph, factor: Factor, obstacle: Obstacle, source_names: tuple[str, ...]
) -> str:
    name = _source(obstacle, source_names)
    names = _and(graph.named(obstacle.inside))
    match obstacle.kind:
        case "hedge":
            hedge = Hedge(
                name,
                frozenset(graph.named(_smallest(graph, obstacle))),
                frozenset(graph.named(obstacle.root)),
            )
            return f"in {name}, {_edges(graph, hedge)}"
        case "set":
            return f"{name} sets {names} itself"
        case "unrecorded":
            return f"{name} does not record {names}"
        case "changed":
            return f"{name} also sets {names}"
        case _:
            return f"{name} sets {names} to other values only"


def _edges(graph: BitGraph, hedge: Hedge, most: int = 8) -> str:
    """The edges that make the hedge: a bidirected tree over it, and one edge from each member
    towards the root."""
    index = positions_of(graph.names)
    forest, root = mask_of(index[n] for n in hedge.forest), mask_of(index[n] for n in hedge.root)
    edges = []
    reached, frontier = root & -root, [next(bits(root))]
    while frontier:
        v = frontier.pop(0)
        for s in bits(graph.siblings[v] & forest & ~reached):
            reached |= 1 << s
            frontier.append(s)
            edges.append(f"{graph.names[min(s, v)]} <-> {graph.names[max(s, v)]}")
    reached, waiting = root, list(bits(root))
    while waiting:
        v = waiting.pop(0)
        for p in bits(graph.parents[v] & forest & ~reached):
            reached |= 1 << p
            waiting.append(p)
            edges.append(f"{graph.names[p]} -> {graph.names[v]}")
    if len(edges) <= most:
        return _and(edges)
    return listed(edges, most=most)


def _and(names: Any) -> str:
    names = list(names)
    if len(names) == 1:
        return names[0]
    if names:
        return ", ".join(names[:-1]) + " and " + names[-1]
    return "nothing"
