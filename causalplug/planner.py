"""``plan``: what is pulled and what is trained, with candidates looked up by their names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from causalplug.arguments import Rule, read_argument, several
from causalplug.errors import PlanError
from causalplug.graphs.graph import CausalGraph
from causalplug.planning.objectives import Objective
from causalplug.planning.plan import Plan
from causalplug.planning.plan import plan as arrange
from causalplug.values import Named

__all__ = ["plan"]

_CANDIDATES = several(Rule("a repository, a folder or a mechanism", lambda value: value))


def plan(
    graph: CausalGraph,
    sources: object = None,
    *,
    available: Mapping[Any, object] | None = None,
    objective: Objective | None = None,
    kinds: Named | None = None,
    explicit: Mapping[str, bool] | None = None,
    counterfactuals: bool | str | Iterable[str] = False,
    do: str | Iterable[str] = (),
    only: str | Iterable[str] | None = None,
    candidates: Sequence[object] | None = None,
) -> Plan:
    """Plan the training of a deep causal generative model.

    Modules are merged c-components; every one comes after what it is trained through. Each trained
    module gets the targets that the sources can give, of which at least one is its own c-factor.

    Args:
        graph: The causal graph.
        sources: What was recorded and what was set: None for one observational source of all
            variables, a :class:`Source`, a list of them, or a mapping from names to them.
        available: Pretrained mechanisms: a variable, or several as ``"C+N"`` or a tuple, ->
            repository, adapter or DCM. Without it the plan says ``"pull"`` for every module that
            could be pulled, and gives its targets as well.
        objective: ``"adversarial"``, ``"likelihood"``, ``"warm"`` or ``"counterfactual"``, for all
            modules or by variable or module. By default it depends on the kinds: likelihood where
            all that a module generates is discrete or continuous, warm where it is trained through
            an image, adversarial elsewhere and where the kinds are not known.
        kinds: Variable -> ``"image"``, ``"discrete"``, ``"continuous"``, ``"vector"``, ``"text"``,
            ``"count"`` or its declaration, where known. A module is then offered to be pulled only
            where there are pretrained models of its kind, and the plan says which kind would do.
        explicit: Whether the mechanism of a variable has an explicit density, for mechanisms of
            one's own; by default the kind decides, and the mechanism of an image has none.
        counterfactuals: Images whose counterfactuals are wanted, as for :class:`causalplug.DCM`:
            they get a mechanism that recovers its noise, and by default the objective that trains
            it to. True for all images that ``kinds`` names.
        do: Plan the mutilated graph, in which these variables are set from outside.
        only: Plan the modules of these variables, and those that they are trained through, and
            leave the others untrained; None for all. ``cp.fit(queries=…)`` names those that
            questions read.
        candidates: Repositories, folders or mechanisms that may fit. Of a repository only the
            configuration is read. ``plan.candidates`` says what each generates, on which
            conditions, which variable it fits and which map it needs; where nothing is
            ``available``, the plan says ``"pull"`` where one of them fits.

    Raises:
        PlanError: No source gives the own c-factor of some module, or a generator does not fit its
            place.
        SourceError: A source contradicts the graph or another source.
        UnknownVariableError: A name that is not a variable.
        VariableError: ``counterfactuals`` names what is no image.
        RepositoryError: A candidate is not there, or its configuration is malformed.
    """
    found = None
    if candidates is not None:
        given = read_argument("candidates", candidates, _CANDIDATES, PlanError, "plan")
        found = list(map(_known, given))
    return arrange(
        graph,
        sources,
        available=available,
        objective=objective,
        kinds=kinds,
        explicit=explicit,
        counterfactuals=counterfactuals,
        do=do,
        only=only,
        candidates=found,
    )


def _known(candidate: object) -> object:
    """A candidate itself, or what its repository says of it."""
    from os import PathLike

    if isinstance(candidate, str | PathLike):
        from causalplug.hub.candidates import read_candidate

        return read_candidate(candidate)
    return candidate
