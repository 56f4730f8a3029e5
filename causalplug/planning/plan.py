"""Plans: which mechanisms are trained together, in which order, from which data, and which are
pulled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from causalplug.arguments import FLAG, MAPPING, NAMES, instance, mapping_to, takes
from causalplug.errors import PlanError
from causalplug.graphs.graph import CausalGraph, expect_graph
from causalplug.graphs.source import Source, as_sources
from causalplug.planning.asked_images import COUNTERFACTUALS, counterfactual_images
from causalplug.planning.candidates import CandidateFit, judge_candidates, wanted_model
from causalplug.planning.making import Making
from causalplug.planning.module import Action, Module, Variables
from causalplug.planning.objectives import (
    OBJECTIVE,
    Objective,
    choose_objectives,
    module_key,
    open_objectives,
)
from causalplug.planning.pulling import Pull, check_pull, judge_available, pullable
from causalplug.planning.targets import Target, Targets
from causalplug.planning.ways import with_known_ways
from causalplug.selection import names_of, to_dicts, without
from causalplug.values import Json, Named
from causalplug.wording import check_known, listed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Module", "Plan", "Pull", "Target", "check_pull", "plan"]


@dataclass(frozen=True, repr=False)
class Plan:
    """The whole way from a graph and its data sources to trained mechanisms. Printing it gives a
    table.

    Attributes:
        graph: The causal graph.
        sources: The data sources, each with a name of its own.
        modules: Every variable in exactly one, in a training order: what a module needs frozen
            comes before it.
        edges: Pairs ``(earlier, later)`` of modules' variables, the transitive reduction of the
            order to be kept.
        pulls: The verdict on every generator that was available.
        asked: Whether ``available=`` was given; if not, ``action`` says what could be pulled.
        strategy: ``"modular"``, or ``"joint"`` where training puts everything into one module for
            comparison.
        fits: Pulled variable -> whether its generator fits the rows, in words, once that was
            checked.
        candidates: Whether each pretrained model of ``candidates=`` fits each variable of its kind.
    """

    graph: CausalGraph
    sources: tuple[Source, ...]
    modules: tuple[Module, ...]
    edges: tuple[tuple[Variables, Variables], ...]
    pulls: tuple[Pull, ...] = ()
    asked: bool = False
    strategy: str = "modular"
    fits: Mapping[str, str] = field(default_factory=dict, hash=False)
    candidates: tuple[CandidateFit, ...] = ()

    @cached_property
    def generations(self) -> tuple[tuple[Module, ...], ...]:
        """The modules by generation: those of one generation are independent and may be trained
        in parallel."""
        earlier: dict[Variables, list[Variables]] = {}
        for before, after in self.edges:
            earlier.setdefault(after, []).append(before)
        depth: dict[Variables, int] = {}
        rows: list[list[Module]] = []
        for module in self.modules:
            depth[module.variables] = 1 + max(
                (depth[v] for v in earlier.get(module.variables, ())), default=-1
            )
            if depth[module.variables] == len(rows):
                rows.append([])
            rows[depth[module.variables]].append(module)
        return tuple(map(tuple, rows))

    @property
    def pullable(self) -> tuple[Pull, ...]:
        """What could be pulled if a generator were available: variables, whole modules, and
        renderers for the rest."""
        return pullable(self.graph, (module.variables for module in self.modules))

    def module(self, name: str | Iterable[str]) -> Module:
        """The module that holds a variable, or that has the name ``"C+N"``.

        Raises:
            UnknownVariableError: A variable that the graph does not have.
            PlanError: Variables of different modules.
        """
        variables = module_key(self.graph, name, "the module cannot be looked up")
        left_out = without(variables, self._owner)
        if left_out:
            raise PlanError(
                f"the plan has no module of {listed(left_out)}: the questions that it was made for "
                "do not read it; plan without only= to have it"
            )
        found = {}
        for variable in variables:
            found[self._owner[variable].variables] = self._owner[variable]
        if len(found) != 1:
            raise PlanError(
                f"no module holds {listed(variables)}: these variables are in "
                f"{listed(names_of(found.values()))}; ask for one of those"
            )
        return next(iter(found.values()))

    def source(self, name: str) -> Source:
        """The source called ``name``, as :attr:`Target.source` names it."""
        check_known(
            [name], [str(source.name) for source in self.sources], "the source cannot be looked up"
        )
        return next(source for source in self.sources if source.name == name)

    def requires(self, module: str | Iterable[str]) -> tuple[Module, ...]:
        """The modules that have to be there before this one is trained, in training order."""
        chosen = self.module(module)
        if chosen.action == Action.PULL:
            return ()
        needed = {self._owner[variable].variables for variable in chosen.ancestors}
        return tuple(other for other in self.modules if other.variables in needed)

    def fit_target(self, variable: str | Iterable[str]) -> Target:
        """A target for a pulled module, to measure whether its generator fits the data.

        Raises:
            PlanError: No source gives the module's own c-factor.
        """
        module, targets = self.module(variable), Targets(self.graph, self.sources)
        found = targets.of(self.graph.positions(module.variables))
        if not found:
            raise PlanError(
                targets.complaint(self.graph.positions(module.variables)).replace(
                    "trained", "checked", 1
                )
            )
        return next(target for target in found if target.role == "own")

    def explain(self, name: str | Iterable[str]) -> str:
        """Sentences on one variable's module: why these variables, why after those, why from
        these sources."""
        from causalplug.planning.reasons import explain_module

        return explain_module(self, name)

    def plot(self, *, causal: bool = True, legend: bool = True, ax: Axes | None = None) -> Figure:
        """A matplotlib figure of the modules and what waits for what; see
        :func:`causalplug.plots.plot_plan`."""
        from causalplug.plots import plot_plan

        return plot_plan(self, causal=causal, legend=legend, ax=ax)

    def to_dict(self) -> Json:
        """What JSON can hold; equal plans give equal text."""
        return {
            "version": 1,
            "graph": self.graph.to_dict(),
            "sources": to_dicts(self.sources),
            "asked": self.asked,
            "strategy": self.strategy,
            "pulls": to_dicts(self.pulls),
            "modules": to_dicts(self.modules),
            "edges": [[list(before), list(after)] for before, after in self.edges],
            **({"fits": dict(self.fits)} if self.fits else {}),
            **({"candidates": to_dicts(self.candidates)} if self.candidates else {}),
        }

    @classmethod
    def from_dict(cls, data: Named) -> Plan:
        """The inverse of :meth:`to_dict`.

        Raises:
            PlanError: Keys are missing or unknown, or the version is not known.
        """
        if not isinstance(data, Mapping):
            raise PlanError(f"a plan is read from a mapping, not from {type(data).__name__}")
        data = {"strategy": "modular", **data}
        keys = {"version", "graph", "sources", "asked", "strategy", "pulls", "modules", "edges"}
        given = set(data) - {"fits", "candidates"}
        if given != keys or data["version"] != 1:
            if given != keys:
                wrong = listed(sorted(keys ^ given))
            else:
                wrong = f"version {data['version']}"
            raise PlanError(
                f"the plan cannot be read: {wrong} is missing or unknown; make it again with "
                "plan(graph, …)"
            )
        return cls(
            graph=CausalGraph.from_dict(data["graph"]),
            sources=tuple(map(Source.from_dict, data["sources"])),
            modules=tuple(map(Module.from_dict, data["modules"])),
            edges=tuple((tuple(before), tuple(after)) for before, after in data["edges"]),
            pulls=tuple(map(Pull.from_dict, data["pulls"])),
            asked=data["asked"],
            strategy=data["strategy"],
            fits=dict(data.get("fits", {})),
            candidates=tuple(map(CandidateFit.from_dict, data.get("candidates", ()))),
        )

    def to_dot(self) -> str:
        """Graphviz text: modules as clusters, confounders dashed, the training order between the
        clusters."""
        from causalplug.planning.render import plan_dot

        return plan_dot(self)

    def to_markdown(self) -> str:
        """A table for a model card."""
        from causalplug.planning.render import plan_markdown

        return plan_markdown(self)

    def __str__(self) -> str:
        from causalplug.planning.render import plan_text

        return plan_text(self)

    def __repr__(self) -> str:
        return f"<Plan of {len(self.modules)} modules over {len(self.graph.variables)} variables>"

    def _repr_markdown_(self) -> str:
        return self.to_markdown()

    def _repr_html_(self) -> str:
        from causalplug.planning.render import plan_html
        from causalplug.plots.inline import as_svg

        return plan_html(self) + (
            as_svg(self.plot) or "" if len(self.graph.variables) <= 30 else ""
        )

    @cached_property
    def _owner(self) -> dict[str, Module]:
        found = {}
        for module in self.modules:
            for variable in module.variables:
                found[variable] = module
        return found


@takes(
    PlanError,
    available=instance("a mapping from variables to generators", Mapping).or_none("none"),
    objective=OBJECTIVE,
    kinds=MAPPING.or_none("unknown"),
    explicit=mapping_to(FLAG, "{'X': True}").or_none("what the kinds say"),
    counterfactuals=COUNTERFACTUALS,
    do=NAMES,
    only=NAMES.or_none("all"),
)
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
            an image, adversarial elsewhere. Where the kinds are not known, the module says
            ``"adversarial"``, which works for every kind, and ``objectives`` lists what training
            may choose from.
        kinds: Variable -> ``"image"``, ``"discrete"``, ``"continuous"`` or its declaration, where
            known.
        explicit: Whether the mechanism of a variable has an explicit density, for mechanisms of
            one's own; by default the kind decides, and the mechanism of an image has none.
        counterfactuals: Images whose counterfactuals are wanted, as for :class:`causalplug.DCM`:
            they get a mechanism that recovers its noise, and by default the objective that trains
            it to. True for all images that ``kinds`` names.
        do: Plan the mutilated graph, in which these variables are set from outside.
        only: Plan the modules of these variables, and those that they are trained through, and
            leave the others untrained; None for all. ``cp.fit(queries=…)`` names those that
            questions read.
        candidates: Pretrained models that may fit: mechanisms, or what
            :func:`causalplug.hub.candidates.read_candidate` says of a repository. The plan says
            what each generates, on which conditions, which variable it fits and which map it needs;
            where nothing is ``available``, it says ``"pull"`` where one of them fits.

    Raises:
        PlanError: No source gives the own c-factor of some module, or a generator does not fit its
            place.
        SourceError: A source contradicts the graph or another source.
        UnknownVariableError: A name that is not a variable.
        VariableError: ``counterfactuals`` names what is no image.
    """
    expect_graph(graph, "the graph cannot be planned")
    if do:
        graph = graph.do(do)
    checked = as_sources(graph, sources)
    images = counterfactual_images(graph, counterfactuals, kinds)
    pulls = judge_available(graph, available or {}, kinds=kinds)
    judged = judge_candidates(graph, candidates or (), kinds)
    offered: dict[str, str] = {}
    if available is None:
        offered = _offered(graph, kinds, judged if candidates is not None else None)
    making = Making(graph, checked, pulls, offered, only)
    trained = {name for module in making.trained for name in module}
    wanted = [name for name in images if name in trained]
    explicit = {**dict.fromkeys(wanted, True), **(explicit or {})}
    chosen = choose_objectives(
        graph,
        making.trained,
        objective=objective,
        kinds=kinds,
        explicit=explicit,
        renderers=making.renderers,
        counterfactuals=wanted,
    )
    undecided = open_objectives(
        graph,
        making.trained,
        objective=objective,
        kinds=kinds,
        explicit=explicit,
        renderers=making.renderers,
        counterfactuals=wanted,
    )
    modules = making.modules(dict(zip(making.trained, chosen, strict=True)), undecided)
    return Plan(
        graph,
        checked,
        with_known_ways(graph, modules, kinds, explicit),
        making.edges(),
        pulls,
        available is not None,
        candidates=judged,
    )


def _offered(
    graph: CausalGraph, kinds: Named | None, judged: Sequence[CandidateFit] | None
) -> dict[str, str]:
    """Variables that a pretrained model could be the mechanism of, with what would do, in words."""
    found: dict[str, str] = {}
    for name in graph.variables:
        if graph.siblings(name):
            continue
        wanted = wanted_model(graph, name, kinds)
        if judged is None:
            if wanted or name not in (kinds or {}):
                found[name] = wanted or "any generator of its conditional distribution"
            continue
        fitting = [one.candidate for one in judged if one.variable == name and one.fits]
        if fitting:
            found[name] = listed(fitting)
    return found
