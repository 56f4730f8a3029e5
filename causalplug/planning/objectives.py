"""How a module is fitted: adversarially, by the likelihood of its c-factors, or by the one and
then the other."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from causalplug.arguments import Rule, choice
from causalplug.errors import PlanError
from causalplug.graphs.graph import CausalGraph
from causalplug.selection import map_values, values_at
from causalplug.values import Named, Word
from causalplug.wording import as_names, check_known, did_you_mean, listed

if TYPE_CHECKING:
    from causalplug.variables import Variable

__all__ = [
    "OBJECTIVE",
    "OBJECTIVES",
    "ObjectiveName",
    "ObjectiveRule",
    "choose_objectives",
    "kind_of",
    "module_key",
    "open_objectives",
]


class ObjectiveName(Word):
    """The words for an objective, and for a phase of one."""

    ADVERSARIAL = "adversarial"
    LIKELIHOOD = "likelihood"
    WARM = "warm"
    COUNTERFACTUAL = "counterfactual"


@dataclass(frozen=True)
class ObjectiveRule:
    """What an objective does, for planner and trainer alike.

    Attributes:
        what: What it does, in words.
        suits: What it is chosen for, in words.
        phases: The phases of training, one after another.
        needs_density: Every mechanism of the module must have an explicit density.
        draws: Frozen generators are drawn from while the module trains.
        recovers: What recovers the noise of an image is trained to the end.
    """

    what: str
    suits: str
    phases: tuple[ObjectiveName, ...]
    needs_density: bool
    draws: bool
    recovers: bool


OBJECTIVES: Mapping[str, ObjectiveRule] = {
    ObjectiveName.ADVERSARIAL.value: ObjectiveRule(
        "a critic compares generated with real rows, through whatever is frozen",
        "a module with an image or a text of its own",
        (ObjectiveName.ADVERSARIAL,),
        needs_density=False,
        draws=True,
        recovers=False,
    ),
    ObjectiveName.LIKELIHOOD.value: ObjectiveRule(
        "the c-factor's log-likelihood, with the parents' values from the data",
        "numbers and categories",
        (ObjectiveName.LIKELIHOOD,),
        needs_density=True,
        draws=False,
        recovers=True,
    ),
    ObjectiveName.WARM.value: ObjectiveRule(
        "likelihood first, then adversarially through the plugged generators",
        "a module that is trained through an image or a text",
        (ObjectiveName.LIKELIHOOD, ObjectiveName.ADVERSARIAL),
        needs_density=True,
        draws=True,
        recovers=False,
    ),
    ObjectiveName.COUNTERFACTUAL.value: ObjectiveRule(
        "likelihood first, then counterfactuals of rows against real rows with the same parents",
        "an image",
        (ObjectiveName.LIKELIHOOD, ObjectiveName.COUNTERFACTUAL),
        needs_density=True,
        draws=False,
        recovers=True,
    ),
}
"""Every objective, by its word: the one table that the planner and the trainer share."""

Objective = str | Mapping[Any, str]


def _objective(value: object) -> object:
    known = choice(*OBJECTIVES)
    if isinstance(value, str):
        return known.read(value)
    if not isinstance(value, Mapping):
        raise TypeError
    return map_values(known.read, value)


OBJECTIVE = Rule(
    f"{choice(*OBJECTIVES).wanted}, or a mapping from variables to them",
    _objective,
    known=tuple(OBJECTIVES),
).or_none("what the kinds say")
"""What ``objective=`` may be."""


def kind_of(declaration: object) -> str:
    """The kind of a variable, ``"discrete"`` for example, for such a word or for a declaration.

    Raises:
        PlanError: It is neither, or a word that names no kind.
    """
    if isinstance(declaration, str):
        return _known_kind(declaration)
    from causalplug.variables import Variable

    if not isinstance(declaration, Variable):
        raise PlanError(
            f"{declaration!r} is not the kind of a variable: write a word such as "
            '"discrete", or its declaration'
        )
    return declaration.kind


def _known_kind(word: str) -> str:
    from causalplug.variables.kinds import VARIABLES

    kind = word.lower()
    if not kind or VARIABLES.knows(kind):  # an empty word: the kind is not known yet
        return kind
    known = VARIABLES.kinds()
    raise PlanError(
        f'"{word}" is not a kind of variable{did_you_mean(kind, known)}; the kinds are '
        f"{', '.join(known)}"
    )


def _class_of(kind: str) -> type[Variable] | None:
    """The class of a kind; None for a word that is not known."""
    from causalplug.variables import variable_class

    return variable_class(kind)


def module_key(graph: CausalGraph, key: Any, what: str) -> tuple[str, ...]:
    """The variables that a key such as ``"I"``, ``"C+N"`` or ``("C", "N")`` names, in the declared
    order.

    Raises:
        UnknownVariableError: A name that the graph does not have.
    """
    if isinstance(key, str) and key in graph:
        names: str | Iterable[str] = (key,)
    elif isinstance(key, str):
        names = key.split("+")
    else:
        names = key
    stripped = [name.strip() for name in as_names(names)]
    check_known(stripped, graph.index, what)
    return graph.named(graph.positions(stripped))


def choose_objectives(
    graph: CausalGraph,
    modules: Mapping[tuple[str, ...], Sequence[str]],
    *,
    objective: Objective | None = None,
    kinds: Named | None = None,
    explicit: Mapping[str, bool] | None = None,
    renderers: Iterable[str] = (),
    counterfactuals: Iterable[str] = (),
) -> list[str]:
    """The objective of each module.

    Where nobody asks for another one it is, by the measurement in ``docs/training_results.md``: the
    likelihood, where all that is generated while the module trains is known to be discrete or
    continuous; first that and then adversarial, where the module is trained through an image;
    adversarial everywhere else, which always works. An image whose counterfactuals are wanted is
    trained by counterfactuals, or by likelihood where it has hidden causes or no parents.

    Args:
        graph: The causal graph.
        modules: The variables of each module that is trained, with the variables that it is trained
            through.
        objective: One word for all, or a mapping from a variable or module to its objective.
        kinds: Variable -> ``"image"``, ``"discrete"``, ``"continuous"`` or its declaration, where
            known.
        explicit: Whether the mechanism of a variable has an explicit density, where that is known;
            by default the kind decides, and the mechanism of an image has none.
        renderers: Variables whose frozen generator is used behind a trained code.
        counterfactuals: Images whose counterfactuals are wanted.

    One word for all reaches the modules that it can be used for, ``"counterfactual"`` those of
    images. The mechanism of a variable by itself, and the code of a renderer, are trained
    adversarially where they have no density and another word was given; a module that an image
    shares with other variables is refused, because those would lose it, too.

    Raises:
        PlanError: An unknown objective, two for one module, a likelihood where a mechanism has
            no explicit density, such as that of an image, or an objective that does not train what
            recovers the noise of an image whose counterfactuals are wanted.
    """
    check_known(sorted(kinds or {}), graph.index, "kinds= cannot be used")
    check_known(sorted(explicit or {}), graph.index, "explicit= cannot be used")
    known = map_values(kind_of, kinds or {})
    behind_code = set(renderers)
    classes = map_values(_class_of, known)
    dense = _densities(classes, explicit, behind_code)
    recovering = {name for name in counterfactuals if dense.get(name, False)}
    defaults = []
    for module, through in modules.items():
        if recovering.isdisjoint(module):
            defaults.append(_default(module, through, classes, dense))
        else:
            defaults.append(_recovering(graph, module))
    paints = objective == ObjectiveName.COUNTERFACTUAL
    if paints:
        wanted = _of_images(list(modules), classes, defaults)
    else:
        wanted = _wanted(graph, list(modules), objective, defaults)
    falls_back = isinstance(objective, str) and not paints
    for number, module in enumerate(modules):
        _check_recovering(module, wanted[number], recovering)
        blocked = _without_density(module, dense)
        if not OBJECTIVES[wanted[number]].needs_density or not blocked:
            continue
        if falls_back and (len(module) == 1 or behind_code.issuperset(blocked)):
            wanted[number] = "adversarial"
            continue
        rest = _dense(modules, module, dense)
        raise PlanError(_no_density(graph, module, wanted[number], blocked[0], known, rest))
    return wanted


def open_objectives(
    graph: CausalGraph,
    modules: Mapping[tuple[str, ...], Sequence[str]],
    *,
    objective: Objective | None = None,
    kinds: Named | None = None,
    explicit: Mapping[str, bool] | None = None,
    renderers: Iterable[str] = (),
    counterfactuals: Iterable[str] = (),
) -> dict[tuple[str, ...], tuple[str, ...]]:
    """The objectives that each module may get once all kinds are known, where several are possible.

    Only kinds that are not known leave an objective open. :func:`choose_objectives` then names the
    one that works for every kind; training knows all kinds, and may choose another one.

    Args:
        graph: The causal graph.
        modules: The variables of each module that is trained, with the variables that it is trained
            through.
        objective: What was asked for, as in :func:`choose_objectives`.
        kinds: Variable -> its kind or declaration, where known.
        explicit: Whether the mechanism of a variable has an explicit density, where that is known.
        renderers: Variables whose frozen generator is used behind a trained code.
        counterfactuals: Images whose counterfactuals are wanted; they leave nothing open.

    Returns:
        Module -> its possible objectives; modules whose objective is certain are left out.
    """
    classes = map_values(_class_of, map_values(kind_of, kinds or {}))
    dense = _densities(classes, explicit, renderers)
    asked = {name for name in counterfactuals if dense.get(name, False)}
    if isinstance(objective, Mapping):
        for key in objective:
            asked.update(module_key(graph, key, "objective= cannot be used"))
    found = {}
    for module, through in modules.items():
        if not asked.isdisjoint(module):
            continue
        possible = _possible(module, through, classes, dense)
        if isinstance(objective, str):
            possible = _possible_where_asked(objective, module, possible, dense)
        if len(possible) > 1:
            found[module] = possible
    return found


def _possible(
    module: Sequence[str],
    through: Sequence[str],
    classes: Mapping[str, type[Variable] | None],
    dense: Mapping[str, bool],
) -> tuple[str, ...]:
    """What :func:`_default` may say once all kinds are known."""
    if _without_density(module, dense):
        return (ObjectiveName.ADVERSARIAL.value,)
    paints = any(name in classes and not _is_plain(classes[name]) for name in through)
    found = []
    if not paints:
        found.append(ObjectiveName.LIKELIHOOD.value)
    if paints or not all(map(classes.__contains__, through)):
        found.append(ObjectiveName.WARM.value)
    if not all(map(dense.__contains__, module)):
        found.append(ObjectiveName.ADVERSARIAL.value)
    return tuple(found)


def _possible_where_asked(
    objective: str, module: Sequence[str], possible: tuple[str, ...], dense: Mapping[str, bool]
) -> tuple[str, ...]:
    """What one word for all modules may come to in a module whose kinds are not all known."""
    unknown = [name for name in module if name not in dense]
    if objective == ObjectiveName.COUNTERFACTUAL:
        return (objective, *possible) if len(unknown) == len(module) else possible
    if OBJECTIVES[objective].needs_density and unknown and len(module) == 1:
        return (objective, ObjectiveName.ADVERSARIAL.value)
    return (objective,)


def _densities(
    classes: Mapping[str, type[Variable] | None],
    explicit: Mapping[str, bool] | None,
    renderers: Iterable[str],
) -> dict[str, bool]:
    """Whether the mechanism of a variable has an explicit density, where that is known."""
    found = map_values(_has_density, classes)
    return found | dict.fromkeys(renderers, False) | dict(explicit or {})


def _has_density(kind: type[Variable] | None) -> bool:
    return kind is not None and kind.has_density


def _dense(
    modules: Iterable[tuple[str, ...]], but: tuple[str, ...], dense: Mapping[str, bool]
) -> list[tuple[str, ...]]:
    """The other modules all of whose mechanisms have a density."""
    return [m for m in modules if m != but and not _without_density(m, dense)]


def _without_density(module: Iterable[str], dense: Mapping[str, bool]) -> list[str]:
    """Variables of a module whose mechanism has no density."""
    return [name for name in module if not dense.get(name, True)]


def _of_images(
    modules: Sequence[tuple[str, ...]],
    classes: Mapping[str, type[Variable] | None],
    defaults: Sequence[str],
) -> list[str]:
    """The counterfactual objective for modules of images, the default for all others."""
    images = {n for n, cls in classes.items() if cls is not None and cls.is_image}
    found = []
    for module, default in zip(modules, defaults, strict=True):
        found.append(ObjectiveName.COUNTERFACTUAL.value if images.issuperset(module) else default)
    return found


def _no_density(
    graph: CausalGraph,
    module: Sequence[str],
    chosen: str,
    name: str,
    kinds: Mapping[str, str],
    rest: Sequence[Sequence[str]],
) -> str:
    """The message for a module that cannot be trained by likelihood because of one variable."""
    siblings = graph.siblings(name)
    what = f"the mechanism of {name}"
    if kinds.get(name) == "image":
        what = "an image"
        if siblings:
            what = f"{name} <-> {siblings[0]}: a confounded image"
    other = listed(f'"{"+".join(m)}"' for m in rest)
    renders = ""
    if siblings:
        renders = ", which then renders a trained code"
    return (
        f'module {"+".join(module)} cannot be trained with objective "{chosen}": {what} has no '
        f'explicit density; use objective="adversarial" for it (likelihood can be asked for '
        f"{other}, with a mapping), plug in a pretrained generator for {name}{renders}, or give it "
        "a mechanism with an explicit density, such as cp.InvertibleImage() for an image, which "
        "DCM(…, counterfactuals=True) gives it"
    )


def _recovering(graph: CausalGraph, module: Sequence[str]) -> str:
    """The default of a module with an image whose counterfactuals are wanted."""
    if len(module) == 1 and graph.parents(module[0]):
        return ObjectiveName.COUNTERFACTUAL.value
    return ObjectiveName.LIKELIHOOD.value


def _check_recovering(module: Sequence[str], chosen: str, recovering: Collection[str]) -> None:
    """Refuse an objective that leaves untrained what recovers the noise of an image.

    Raises:
        PlanError: With the image.
    """
    images = [name for name in module if name in recovering]
    if not images or OBJECTIVES[chosen].recovers:
        return
    ways = listed(f'"{name}"' for name, rule in OBJECTIVES.items() if rule.recovers)
    raise PlanError(
        f'module {"+".join(module)} cannot be trained with objective "{chosen}": counterfactuals= '
        f"asks for those of {listed(images)}, and this objective does not train what recovers an "
        f"image's noise; leave it out, or use one of {ways}"
    )


def _default(
    module: Sequence[str],
    through: Sequence[str],
    classes: Mapping[str, type[Variable] | None],
    explicit: Mapping[str, bool],
) -> str:
    if not all(explicit.get(name, False) for name in module):
        return "adversarial"
    if not all(map(classes.__contains__, through)):
        return "adversarial"
    if all(map(_is_plain, values_at(classes, through))):
        return "likelihood"
    return "warm"


def _is_plain(kind: type[Variable] | None) -> bool:
    """Whether values of a kind are compared as they are, without an encoder."""
    return kind is not None and not kind.needs_encoder


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
                    f"module {'+'.join(modules[number])} cannot be trained with two objectives: "
                    f'objective= asks for "{given[number]}" and "{chosen}"; its variables are '
                    "trained together, so "
                    "give it one"
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
