"""Why a plan is as it is, in sentences: the paths behind every module, every wait and every
source."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from causalplug.graphs.graph import CausalGraph
from causalplug.graphs.search import components, reach
from causalplug.planning.closure import Closures, bits
from causalplug.planning.gradients import sentence
from causalplug.planning.module import Action
from causalplug.planning.pulling import pullable
from causalplug.planning.targets import Offer, Target, Targets
from causalplug.selection import values_at, within, without
from causalplug.wording import as_names, listed

if TYPE_CHECKING:
    from causalplug.planning.module import Module, PlanLike

__all__ = ["confounding_paths", "explain_module", "returning_path"]

_MOST = 6


def explain_module(plan: PlanLike, name: str | Iterable[str]) -> str:
    """Sentences on the module of ``name``: why these variables, why after those, why pulled, why
    from these sources."""
    module = plan.module(name)
    graph = plan.graph
    if plan.strategy == "joint" and module.action == Action.TRAIN:
        return "\n".join([_heading(plan, module), f"{module.why}."])
    asked = next(iter(as_names(name)))
    if asked in graph:
        focus = asked
    else:
        focus = module.variables[0]
    sentences = [_heading(plan, module), *_together(graph, module, focus), *_waits(plan, module)]
    sentences += [*_pulling(plan, module, focus), *_sources(plan, module)]
    return "\n".join(sentences)


def confounding_paths(graph: CausalGraph, start: str, inside: Collection[str]) -> list[str]:
    """Paths of bidirected edges from ``start`` that reach its c-component inside ``inside``, as
    ``X <-> Y <-> Z``."""
    allowed = set(graph.positions(inside))
    came: dict[int, int] = {}
    found = {graph.index[start]}
    queue = deque(found)
    ends: set[int] = set()
    while queue:
        v = queue.popleft()
        fresh = [s for s in graph.sibling_lists[v] if s in allowed and s not in found]
        if not fresh:
            ends.add(v)
        for s in fresh:
            found.add(s)
            came[s] = v
            queue.append(s)
    paths = (_upwards(end, came) for end in sorted(ends) if end in came)
    return [" <-> ".join(values_at(graph.variables, reversed(path))) for path in paths]


def returning_path(graph: CausalGraph, members: Iterable[str], through: Iterable[str]) -> str:
    """The shortest path that leaves ``members``, meets ``through`` and returns, drawn as ``14 <- 8
    <-> 10 <- 16``.

    It shows why closure(members) meets ``through``: read from the right, it leaves along directed
    or bidirected edges and stays among the ancestors of ``members``; the last part is a directed
    path back.
    """
    inside, wanted = set(graph.positions(members)), set(graph.positions(through))
    above = reach(inside, graph.parent_lists)
    came, arrow = _search(inside, lambda v: _forward(graph, v, above), wanted)
    met = next(v for v in came if v in wanted)
    upper = _upwards(met, came)
    back, _ = _search(
        [met], lambda v: ((c, "") for c in graph.child_lists[v] if c in above), inside
    )
    lower = _upwards(next(v for v in back if v in inside), back)
    drawn = " <- ".join(values_at(graph.variables, lower))
    for v, before in pairwise(upper):
        drawn += f" {arrow[v]} {graph.variables[before]}"
    return drawn


def _forward(graph: CausalGraph, v: int, above: Collection[int]) -> Iterator[tuple[int, str]]:
    yield from ((c, "<-") for c in graph.child_lists[v] if c in above)
    yield from ((s, "<->") for s in graph.sibling_lists[v] if s in above)


def _search(
    start: Iterable[int], step: Callable[[int], Iterable[tuple[int, str]]], wanted: Collection[int]
) -> tuple[dict[int, int], dict[int, str]]:
    """Breadth first until one of ``wanted`` is met, which is then the only one of them in what
    is returned."""
    came: dict[int, int] = {}
    kind: dict[int, str] = {}
    seen = set(start)
    queue = deque(sorted(seen))
    while queue:
        v = queue.popleft()
        for w, arrow in step(v):
            if w not in seen:
                seen.add(w)
                came[w], kind[w] = v, arrow
                if w in wanted:
                    return came, kind
                queue.append(w)
    return came, kind


def _upwards(v: int, came: dict[int, int]) -> list[int]:
    path = [v]
    while path[-1] in came:
        path.append(came[path[-1]])
    return path


def _heading(plan: PlanLike, module: Module) -> str:
    number = plan.modules.index(module) + 1
    generation = next(i for i, row in enumerate(plan.generations, start=1) if module in row)
    variables = listed(module.variables, most=_MOST)
    return (
        f"Module {number} of {len(plan.modules)}, generation {generation} ({module.label}): "
        f"{variables}."
    )


def _together(graph: CausalGraph, module: Module, focus: str) -> list[str]:
    if len(module.variables) == 1:
        return [f"{focus} is a module of its own: no bidirected edge touches it."]
    paths = confounding_paths(graph, focus, module.variables)
    sentences = []
    if paths:
        drawn = listed(paths, most=_MOST)
        sentences.append(
            f"{focus} is trained together with what hidden confounders tie to it: {drawn}."
        )
    return [*sentences, *_circles(graph, module, focus)]


def _circles(graph: CausalGraph, module: Module, focus: str) -> list[str]:
    """One sentence for each merge of c-components inside the module, the ones around ``focus``
    first."""
    inside = set(graph.positions(module.variables))
    units = [frozenset(c) for c in components(graph.sibling_lists) if inside.issuperset(c)]
    if len(units) < 2:
        return []
    closures = Closures(graph)
    sentences: list[str] = []
    while len(units) > 1 and len(sentences) < _MOST:
        units.sort(key=lambda unit: graph.index[focus] not in unit)
        circle = _first_circle(closures, units)
        sentences.append(_merge(graph, units, circle))
        merged = frozenset().union(*values_at(units, circle))
        rest = without(range(len(units)), circle)
        units = [merged, *values_at(units, rest)]
    if len(units) > 1:
        sentences.append(f"{len(units) - 1} further c-components join in the same way.")
    return sentences


def _first_circle(closures: Closures, units: Sequence[frozenset[int]]) -> list[int]:
    """Numbers of units each of which is trained through the next, and the last through the
    first."""
    owner = {}
    for number, unit in enumerate(units):
        for v in unit:
            owner[v] = number
    needs = [_needs(closures, unit, owner) for unit in units]
    circles = (_circle(needs, number) for number in range(len(units)))
    return next(filter(None, circles))


def _merge(graph: CausalGraph, units: Sequence[frozenset[int]], circle: Sequence[int]) -> str:
    """Why the units of a circle are one module."""
    steps = []
    for number, needed in zip(circle, [*circle[1:], circle[0]], strict=True):
        ends = [graph.named(units[i]) for i in (number, needed)]
        path = returning_path(graph, *ends)
        steps.append(
            f"{{{listed(ends[0], most=_MOST)}}} is trained through "
            f"{{{listed(ends[1], most=_MOST)}}} ({path})"
        )
    return f"Neither can come first, so they are merged: {', and '.join(steps)}."


def _needs(closures: Closures, unit: frozenset[int], owner: dict[int, int]) -> list[int]:
    inside = within(unit, closures.bit)
    if len(inside) < len(unit):
        return []
    met = (closures.core[bit] for bit in bits(closures.closure(closures.mask(inside))))
    return sorted({owner[v] for v in met if v in owner and v not in unit})


def _circle(needs: list[list[int]], start: int) -> list[int]:
    came, _ = _search(needs[start], lambda v: ((w, "") for w in needs[v]), [start])
    if start in needs[start]:
        return [start]
    if start in came:
        return [start, *_upwards(start, came)[:0:-1]]
    return []


def _waits_for(plan: PlanLike, module: Module, other: Module) -> str:
    met = within(module.ancestors, other.variables)
    path = returning_path(plan.graph, module.variables, met)
    part = f"{listed(met, most=_MOST)} of them"
    if len(met) == len(other.variables):
        part = "all of it"
    return (
        f"It waits for {{{listed(other.variables, most=_MOST)}}} and is trained through "
        f"{part}, frozen: {path} leaves it and returns."
    )


def _waits(plan: PlanLike, module: Module) -> list[str]:
    sentences = []
    if module.action == Action.TRAIN:
        for other in plan.requires(module.variables):
            sentences.append(_waits_for(plan, module, other))
        if module.gradients:
            sentences.append(sentence(listed(module.variables, most=_MOST), module.gradients))
        if not module.ancestors:
            sentences.append("It waits for nothing: no path leaves it and returns.")
    later = [after for before, after in plan.edges if before == module.variables]
    if later:
        names = listed((f"{{{listed(after, most=_MOST)}}}" for after in later), most=_MOST)
        sentences.append(f"It has to be there before {names}.")
    return sentences


def _pulling(plan: PlanLike, module: Module, focus: str) -> list[str]:
    if plan.asked:
        done = {
            "pull": "pulled",
            "renderer": "trained behind a code, with the generator as renderer",
            "refused": "refused",
        }
        mine = [pull for pull in plan.pulls if set(pull.variables) & set(module.variables)]
        found = []
        for p in mine:
            found.append(
                f"{'+'.join(p.variables)} from {p.generator}: {done[p.verdict]}, for {p.why}."
            )
        return found
    places = pullable(plan.graph, [module.variables])
    whole, single = places[0], [pull for pull in places[1:] if focus in pull.variables]
    sentences = [f"{listed(whole.variables, most=_MOST)} could be pulled: {whole.why}."]
    renderers = []
    for pull in single:
        renderers.append(f"{focus} alone could use a generator only as a renderer: {pull.why}.")
    return sentences + renderers


def _sources(plan: PlanLike, module: Module) -> list[str]:
    if not module.targets:
        return ["It is not trained, so it needs no data."]
    targets = {target.source: target for target in module.targets}
    offers = Targets(plan.graph, plan.sources).offers(plan.graph.positions(module.variables))
    found = []
    for offer in offers:
        found.append(_source(plan.graph, module, offer, targets.get(str(offer.source.name))))
    return found


def _parts(target: Target) -> list[str]:
    """What is compared, frozen and set for a target."""
    parts = [f"compared: {listed(target.variables, most=_MOST)}"]
    if target.frozen:
        parts.append(f"frozen: {listed(target.frozen, most=_MOST)}")
    if target.given:
        parts.append(f"set from the row: {listed(target.given, most=_MOST)}")
    return parts


def _source(graph: CausalGraph, module: Module, offer: Offer, target: Target | None) -> str:
    name = offer.source.name
    members = set(graph.positions(module.variables))
    set_there = listed(graph.named(offer.within), most=_MOST)
    if target is not None:
        kind = "its own c-factor"
        if offer.within:
            kind = f"a further c-factor, since {set_there} was set there"
        parts = "; ".join(_parts(target))
        return f"Source {name} gives {target.describe(most=_MOST)}, {kind} ({parts})."
    if not offer.reach:
        return (
            f"Source {name} is not used: it sets {set_there} and records nothing else of the "
            "module."
        )
    if offer.missing:
        return (
            f"Source {name} is not used: it does not record "
            f"{listed(graph.named(offer.missing), most=_MOST)}."
        )
    if offer.fixed:
        fixed = listed(graph.named(offer.fixed), most=_MOST)
        return (
            f"Source {name} is not used: it sets {fixed} to certain values only, and another "
            "source does not."
        )
    best = min(len(t.frozen) for t in module.targets if t.role == "own")
    count = len(offer.reach - members)
    variables = "variables"
    if count == 1:
        variables = "variable"
    return (
        f"Source {name} is not used: {count} {variables} would have to be frozen instead of {best}."
    )
