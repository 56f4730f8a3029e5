"""How a module is fitted: adversarially, by the likelihood of its c-factors, or by the one and
then the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from causalplug.errors import PlanError
from causalplug.graphs.graph import CausalGraph
from causalplug.wording import as_names, check_known, did_you_mean, listed

__all__ = ["OBJECTIVES", "choose_objectives", "kind_of", "module_key"]

OBJECTIVES = {
    "adversarial": "a critic compares generated with real rows, through whatever is frozen",
    "likelihood": "the c-factor's log-likelihood, with the parents' values from the data",
    "warm": "likelihood first, then adversarially through the plugged generators",
}

Objective = str | Mapping[Any, str]


def kind_of(declaration: Any) -> str:
    """``"image"``, ``"discrete"`` or ``"continuous"``, for such a word or for the declaration of
    a variable."""
    kind = (
        declaration
        if isinstance(declaration, str)
        else getattr(declaration, "kind", type(declaration).__name__)
    )
    return str(kind).lower()


def module_key(graph: CausalGraph, key: Any, what: str) -> tuple[str, ...]:
    """The variables that a key such as ``"I"``, ``"C+N"`` or ``("C", "N")`` names, in the declared
    order.

    Raises:
        UnknownVariableError: a name that the graph does not have.
    """
    names = (
        (key,)
        if isinstance(key, str) and key in graph
        else key.split("+")
        if isinstance(key, str)
        else key
    )
    names = [name.strip() for name in as_names(names)]
    check_known(names, graph.index, what)
    return graph.named(graph.positions(names))


def choose_objectives(
    graph: CausalGraph,
    modules: Mapping[tuple[str, ...], Sequence[str]],
    *,
    objective: Objective | None = None,
    kinds: Mapping[str, Any] | None = None,
    renderers: Iterable[str] = (),
) -> list[str]:
    """The objective of each module.

    Where nobody asks for another one it is, by the measurement in ``docs/training.md``: the
    likelihood, where all that is generated while the module trains is known to be discrete or
    continuous; first that and then adversarial, where the module is trained through an image;
    adversarial everywhere else, which always works.

    Args:
        graph: the causal graph.
        modules: the variables of each module that is trained, with the variables that it is trained
            through.
        objective: one word for all, or a mapping from a variable or module to its objective.
        kinds: variable -> ``"image"``, ``"discrete"``, ``"continuous"`` or its declaration, where
            known.
        renderers: variables whose frozen generator is used behind a trained code.

    Raises:
        PlanError: an unknown objective, two for one module, or a likelihood for an image, which has
            no explicit density.
    """
    check_known(sorted(kinds or {}), graph.index, "kinds= cannot be used")
    known = {name: kind_of(kind) for name, kind in (kinds or {}).items()}
    defaults = [_default(module, through, known) for module, through in modules.items()]
    wanted = _wanted(graph, list(modules), objective, defaults)
    behind_code = set(renderers)
    images = {name for name, kind in known.items() if kind == "image"}
    for module, chosen in zip(modules, wanted, strict=True):
        blocked = [name for name in module if name in images and name not in behind_code]
        if chosen != "adversarial" and blocked:
            name = blocked[0]
            tie = (
                f"{name} <-> {graph.siblings(name)[0]}: a confounded"
                if graph.siblings(name)
                else "an"
            )
            rest = listed(
                f'"{"+".join(m)}"' for m in modules if m != module and not images.intersection(m)
            )
            raise PlanError(
                f'module {"+".join(module)} cannot be trained with objective "{chosen}": {tie} image has no explicit '
                f'density; use objective="adversarial" for it (likelihood can be asked for {rest}, with a mapping), or '
                f"plug in a pretrained generator for {name}"
                + (", which then renders a trained code" if graph.siblings(name) else "")
            )
    return wanted


def _default(module: Sequence[str], through: Sequence[str], kinds: Mapping[str, str]) -> str:
    explicit = {"discrete", "continuous"}
    if not all(kinds.get(name) in explicit for name in module):
        return "adversarial"
    if all(kinds.get(name) in explicit for name in through):
        return "likelihood"
    return "warm" if all(name in kinds for name in through) else "adversarial"


def _wanted(
    graph: CausalGraph,
    modules: Sequence[tuple[str, ...]],
    objective: Objective | None,
    defaults: Sequence[str],
) -> list[str]:
    if objective is None:
        return list(defaults)
    if isinstance(objective, str):
        return [_checked(objective)] * len(modules)
    place = {name: number for number, module in enumerate(modules) for name in module}
    given: dict[int, str] = {}
    for key, value in objective.items():
        chosen = _checked(value)
        for name in module_key(graph, key, "objective= cannot be used"):
            number = place.get(name)
            if number is not None and given.setdefault(number, chosen) != chosen:
                raise PlanError(
                    f"module {'+'.join(modules[number])} cannot be trained with two objectives: objective= asks for "
                    f'"{given[number]}" and "{chosen}"; its variables are trained together, so give it one'
                )
    return [given.get(number, default) for number, default in enumerate(defaults)]


def _checked(objective: str) -> str:
    if objective not in OBJECTIVES:
        hint = did_you_mean(objective, OBJECTIVES)
        raise PlanError(
            f"objective {objective!r} cannot be used: it is none of {listed(OBJECTIVES)}{hint}; "
            "leave it out for the default of each module"
        )
    return objective
