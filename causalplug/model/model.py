"""The deep causal generative model: a graph, one mechanism per variable, and one forward pass
from noise to values."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from causalplug.arguments import MAPPING, SEED, WIDTHS, read_argument, takes, whole
from causalplug.errors import (
    DataError,
    MechanismError,
    SamplingError,
    UnknownVariableError,
    VariableError,
)
from causalplug.files.weights import refuse_infinite
from causalplug.graphs.graph import CausalGraph, expect_graph
from causalplug.graphs.source import Source
from causalplug.mechanisms.base import MECHANISMS, Mechanism
from causalplug.mechanisms.trainable.conditioner import ParentSpec
from causalplug.model.confounders import ConfounderSpec, check_readers, confounder_layout
from causalplug.model.deferred import DeferredEncoder, DeferredMechanism, Parts
from causalplug.model.named import NamedModules, module_key, named_by
from causalplug.model.trained_module import TrainedModule, expand_modules, pretrained
from causalplug.networks import freeze, initialised
from causalplug.noise import Noise, NoiseSpec
from causalplug.planning.asked_images import COUNTERFACTUALS, counterfactual_images
from causalplug.planning.generator_facts import GeneratorFacts
from causalplug.planning.plan import check_pull
from causalplug.selection import by_name, pick, without
from causalplug.values import Json, Named
from causalplug.variables import Variable
from causalplug.wording import listed

if TYPE_CHECKING:
    from causalplug.encoders.encoders import Encoder
    from causalplug.hub.snapshot import Snapshot
    from causalplug.planning.plan import Plan

__all__ = ["Model"]

_MOST_NUMBERS = 65_536  # of one confounder noise


class Model(nn.Module):
    """Graph, mechanisms and encoders as one torch module; :class:`causalplug.DCM` asks it
    questions.

    The arguments, attributes and errors are those of :class:`causalplug.DCM`.
    """

    @takes(
        MechanismError,
        mechanisms=MAPPING.or_none("trainable ones"),
        encoders=MAPPING.or_none("untrained ones"),
        confounder_size=whole(0, _MOST_NUMBERS),
        counterfactuals=COUNTERFACTUALS,
        hidden=WIDTHS,
        seed=SEED.raising(SamplingError),
    )
    def __init__(
        self,
        graph: CausalGraph,
        variables: Mapping[str, Variable],
        *,
        mechanisms: Mapping[str, Mechanism | TrainedModule] | None = None,
        encoders: Mapping[str, Encoder] | None = None,
        confounder_size: int = 2,
        confounders: ConfounderSpec = "cliques",
        counterfactuals: bool | str | Iterable[str] = False,
        hidden: Sequence[int] = (64, 64),
        seed: int = 0,
    ):
        super().__init__()
        expect_graph(graph, "the model cannot be built")
        self.graph = graph
        self.variables: dict[str, Variable] = _checked_variables(graph, variables)
        self.confounder_size = _checked_size(confounder_size, graph)
        self.counterfactuals = counterfactual_images(graph, counterfactuals, self.variables)
        self.plan: Plan | None = None
        self.sources: tuple[Source, ...] | None = None
        self.queries: tuple[Named, ...] = ()
        self.history: Json = {}
        self.replicates: tuple[Mapping[str, Tensor], ...] = ()
        self.origin: Snapshot | None = None
        self._mechanisms = NamedModules()
        self._encoders = NamedModules()
        given, encoders = expand_modules(
            graph, self.variables, confounder_size, mechanisms or {}, encoders or {}
        )
        for name in given:
            self._known(name, "mechanism")
        for name in encoders:
            self._known(name, "encoder")
        for name, encoder in encoders.items():
            self._check_encoder(name, encoder)
        self.confounders = confounder_layout(graph, confounders, given)
        self._fill(given, encoders, hidden, seed)
        for name in self.counterfactuals:
            self._check_recovers(name, self.mechanism(name))
        check_readers(graph, self.confounders, self.mechanisms.unopened())
        for mechanism in self._mechanisms.values():
            if mechanism.frozen:
                freeze(mechanism)
        self._order = graph.topological_order()

    def _fill(
        self,
        given: dict[str, Mechanism],
        encoders: dict[str, Encoder],
        hidden: Sequence[int],
        seed: int,
    ) -> None:
        """Bind what was given, and make the mechanisms and encoders that were not."""
        waiting = {}
        for name, mechanism in list(given.items()):
            if isinstance(mechanism, Mechanism) and mechanism.awaits_model:
                waiting[name] = given.pop(name)
        for name, mechanism in given.items():
            given[name] = self._bound(name, mechanism)
        self._add_encoders(given, encoders, seed)
        for index, name in enumerate(self.graph.variables):
            if name not in given:
                build: Callable[[], Mechanism] = partial(
                    self._default, name, hidden, waiting.get(name)
                )
                given[name] = initialised(build, seed * 100_003 + index)
            self._mechanisms[module_key(name)] = given[name]

    # -- parts

    def mechanism(self, name: str) -> Mechanism:
        """The mechanism of a variable; a frozen one of a loaded model is fetched when it is
        first asked for."""
        self._known(name, "mechanism")
        found = self._mechanisms[module_key(name)]
        if isinstance(found, DeferredMechanism):
            found = self._mechanisms[module_key(name)] = self._bound(name, found.open())  # type: ignore[arg-type]
        return found  # type: ignore[return-value]

    def encoder(self, name: str) -> Encoder:
        """The encoder of an image variable; a frozen one of a loaded model is fetched when it is
        first asked for.

        Raises:
            KeyError: It has none.
        """
        found = self._encoders[module_key(name)]
        if isinstance(found, DeferredEncoder):
            found = self._encoders[module_key(name)] = found.open()
            self._check_encoder(name, found)  # type: ignore[arg-type]
        return found  # type: ignore[return-value]

    @property
    def mechanisms(self) -> Parts[Mechanism]:
        """Every mechanism by variable, in the graph's order."""
        return Parts(
            {name: self._mechanisms[module_key(name)] for name in self.graph.variables},
            self.mechanism,
        )

    @property
    def encoders(self) -> Parts[Encoder]:
        """The encoder of every image variable that has one."""
        names = sorted(map(named_by, self._encoders), key=self.graph.index.__getitem__)
        return Parts({name: self._encoders[module_key(name)] for name in names}, self.encoder)

    @property
    def pulled(self) -> dict[str, Mechanism | TrainedModule]:
        """What is frozen, by variable or by module (``"C+N"``), as the planner's ``available=``
        takes it."""
        frozen = {name: part for name, part in self.mechanisms.items() if part.frozen}
        found = {}
        for name, m in frozen.items():
            found[m.part_of or name] = m.module if m.part_of else m
        return found

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        first = next(chain(self.parameters(), self.buffers()), None)
        if first is None:
            return torch.device("cpu")
        return first.device

    def replace_mechanism(self, name: str, mechanism: Mechanism) -> None:
        """Put another mechanism in place, after the same checks as at construction."""
        self._known(name, "mechanism")
        mechanism = self._bound(name, mechanism).to(self.device)
        self._check_recovers(name, mechanism)
        held = {**self.mechanisms.unopened(), name: mechanism}
        check_readers(self.graph, self.confounders, held)
        if mechanism.frozen:
            self._mechanisms[module_key(name)] = freeze(mechanism)
        else:
            self._mechanisms[module_key(name)] = mechanism

    def licensed_parts(self) -> list[Any]:
        """The pretrained parts of the model, each with ``origin`` and ``license``."""
        return pretrained(self.mechanisms.unopened(), self.encoders.unopened())

    def generator_facts(self) -> GeneratorFacts:
        """What the planner is told where this model is offered for modules of another."""
        origin = self.origin
        if origin is None:
            label = type(self).__name__
        else:
            label = origin.repo_id or type(self).__name__
        return GeneratorFacts(label, graph=self.graph)

    def trained_tensors(self) -> dict[str, Tensor]:
        """Weights and buffers of everything that is trained: mechanisms and encoders that are
        not frozen references."""
        frozen = self.frozen_names()
        found = {}
        for key, value in self.state_dict().items():
            if not key.startswith(frozen):
                found[key] = value
        return found

    def frozen_names(self) -> tuple[str, ...]:
        """How the names of the weights begin that were pulled and have repositories of their
        own."""
        pulled = [
            f"_encoders.{module_key(name)}."
            for name, e in self.encoders.unopened().items()
            if e.origin is not None or e.copied_with_model
        ]
        for name, mechanism in self.mechanisms.unopened().items():
            generator = mechanism.frozen_generator
            if mechanism.frozen and not (mechanism.saved_with_model and mechanism.origin is None):
                pulled.append(f"_mechanisms.{module_key(name)}.")
            elif generator is not None and generator.origin is not None:
                pulled.append(f"_mechanisms.{module_key(name)}.generator.")
        return tuple(pulled)

    def load_trained(self, tensors: Mapping[str, Tensor]) -> None:
        """Inverse of :meth:`trained_tensors`.

        Raises:
            MechanismError: Names or shapes differ from the model's, or weights are NaN or
                infinite.
        """
        refuse_infinite(tensors, "the file")
        own = self.trained_tensors()
        reshaped = []
        for k in own:
            if k in tensors and own[k].shape != tensors[k].shape:
                reshaped.append(k)
        wrong = sorted(set(own) ^ set(tensors)) + reshaped
        if wrong:
            raise MechanismError(
                f"The weights do not fit this model: {', '.join(wrong[:5])} missing, unexpected or "
                "of another shape."
            )
        with torch.no_grad():
            for key, value in own.items():
                value.copy_(tensors[key])

    def _known(self, name: str, what: str) -> None:
        if name not in self.variables:
            near = difflib.get_close_matches(name, self.variables, n=1)
            hint = ""
            if near:
                hint = f"Did you mean {near[0]!r}? "
            raise UnknownVariableError(
                f"No {what} for {name!r}: the graph has no such variable. {hint}Variables: "
                f"{', '.join(self.variables)}."
            )

    def _check_encoder(self, name: str, encoder: Encoder) -> None:
        from causalplug.encoders.encoders import Encoder

        variable = self.variables[name]
        if not isinstance(encoder, Encoder | DeferredEncoder):
            raise MechanismError(
                f"{type(encoder).__name__} cannot be the encoder of {name!r}: it is not a "
                "causalplug.Encoder."
            )
        if not variable.needs_encoder or encoder.variable.event_shape != variable.event_shape:
            raise MechanismError(
                f"The encoder of {name!r} cannot be used: it reads values of shape "
                f"{encoder.variable.event_shape}, and {name!r} is {variable}. Train one on this "
                "variable, or leave it out to have it trained."
            )

    def _bound(self, name: str, mechanism: Mechanism) -> Mechanism:
        """The mechanism, checked against the graph and bound to its parents."""
        if not isinstance(mechanism, Mechanism):
            raise MechanismError(
                f"{type(mechanism).__name__} cannot be the mechanism of {name!r}: it is not a "
                "causalplug.Mechanism. Wrap it in an adapter, for example "
                "causalplug.adapters.callable."
            )
        if not mechanism.accepts_confounder:
            check_pull(self.graph, name)
        parents = pick(self.variables, self.graph.parents(name))
        variable = self.variables[name]
        mechanism = mechanism.for_variable(name, variable, parents)
        if mechanism.variable != variable or set(mechanism.parents) != set(parents):
            raise MechanismError(
                f"The mechanism given for {name!r} cannot be used: it generates "
                f"{mechanism.variable} from {list(mechanism.parents)}, but {name!r} is {variable} "
                f"with parents {list(parents)}. Build it for these parents, or change the graph."
            )
        self._check_confounder_numbers(name, mechanism)
        return mechanism

    def _check_recovers(self, name: str, mechanism: Mechanism) -> None:
        """Refuse a mechanism that cannot keep what ``counterfactuals=`` promises of a variable."""
        if name not in self.counterfactuals or mechanism.abduction is not None:
            return
        raise MechanismError(
            f"The mechanism given for {name!r} cannot be used: counterfactuals= asks for those of "
            f"{name!r}, and {type(mechanism).__name__} does not recover its noise. Leave it out of "
            f"mechanisms= to have one trained that does, or leave {name!r} out of "
            "counterfactuals=, which may be a list of images."
        )

    def _check_confounder_numbers(self, name: str, mechanism: Mechanism) -> None:
        keys = mechanism.reads_confounders or self.confounders.at(name)
        expected, read = self.confounder_size * len(keys), mechanism.confounder_numbers
        if read is not None and read != expected:
            raise MechanismError(
                f"The mechanism given for {name!r} cannot be used: it reads {read} numbers of "
                f"confounder noise, and the model has {expected} there ({len(keys)} noises of "
                f"{self.confounder_size}: {listed(keys)}). Build it with "
                f"confounder_size={expected}, or the model with other confounders=."
            )

    def _add_encoders(
        self, given: Mapping[str, Mechanism], encoders: dict[str, Encoder], seed: int
    ) -> None:
        from causalplug.encoders.encoders import ENCODERS

        for name, variable in self.variables.items():
            if not variable.needs_encoder:
                continue
            readers = []
            for child in self.graph.children(name):
                if child not in given or given[child].reads_projections:
                    readers.append(child)
            in_module = any(self.graph.siblings(name)) or any(
                name in self.graph.ancestors([member])
                for member in self.variables
                if self.graph.siblings(member)
            )
            if name not in encoders and (readers or in_module):
                cls = ENCODERS.resolve(str(variable.default_encoder))
                encoders[name] = initialised(partial(cls, variable), seed)
        for name, encoder in encoders.items():
            self._encoders[module_key(name)] = encoder

    def _default(self, name: str, hidden: Sequence[int], code: Any = None) -> Mechanism:
        """The trainable mechanism of the variable's kind, or the renderer that was given without
        its code."""
        variable = self.variables[name]
        parents = by_name(self.parent_spec, self.graph.parents(name))
        confounder_size = self.confounder_size * len(self.confounders.at(name))
        if code is not None:
            return code.completed(variable, parents, confounder_size)
        if variable.default_mechanism is None:
            raise MechanismError(
                f"{name!r} has no mechanism: a {variable.kind} cannot be trained here. Give a "
                f"pretrained one: mechanisms={{{name!r}: …}}."
            )
        kind = variable.default_mechanism
        if name in self.counterfactuals:
            kind = variable.counterfactual_mechanism or kind
        cls = MECHANISMS.resolve(kind)
        return cls.default_for(variable, parents, confounder_size, hidden)

    def parent_spec(self, name: str) -> ParentSpec:
        """What a trainable mechanism reads of ``name`` as a parent: the variable, or its
        encoder's projection size."""
        if module_key(name) not in self._encoders:
            return self.variables[name]
        return cast("Encoder", self._encoders[module_key(name)]).size

    def confounder_keys(self, name: str) -> tuple[str, ...]:
        """Names of the confounder noises at a variable, in the order in which its mechanism
        reads them."""
        own = self.mechanism(name).reads_confounders
        if own is None:
            return self.confounders.at(name)
        return own

    # -- the forward pass

    def confounder(self, name: str, noise: Noise) -> Tensor | None:
        """``(n, e)`` confounder noise that the mechanism of ``name`` reads, None without any."""
        spec = NoiseSpec((self.confounder_size,))
        parts = [noise.draw(key, spec) for key in self.confounder_keys(name)]
        if parts:
            return torch.cat(parts, -1)
        return None

    def own_noise(self, name: str, noise: Noise) -> dict[str, Tensor]:
        """Own noise of the mechanism of ``name``, each ``(n, *shape)``."""
        found = {}
        for key, spec in self.mechanism(name).noise.items():
            found[key] = noise.draw(f"{name}/{key}", spec)
        return found

    def forward(
        self,
        noise: Noise,
        do: Mapping[str, Tensor] | None = None,
        variables: Iterable[str] | None = None,
    ) -> dict[str, Tensor]:
        """The values of :meth:`generate`."""
        return self.generate(noise, do, variables)

    def generate(
        self,
        noise: Noise,
        do: Mapping[str, Tensor] | None = None,
        variables: Iterable[str] | None = None,
        banks: Mapping[str, Callable[[Mapping[str, Tensor], Noise], Tensor]] | None = None,
    ) -> dict[str, Tensor]:
        """Values of ``variables`` from noise, under interventions; only their ancestors are run.

        Args:
            noise: Noise of n rows; the same noise under another ``do`` gives the counterfactual of
                the same rows.
            do: Encoded values ``(n, *event_shape)`` of the intervened variables; their mechanisms
                do not run.
            variables: What is asked for; all by default.
            banks: By image variable that is not asked for, what gives its projections from the
                values of its parents and the noise.

        Returns:
            Encoded values ``(n, *event_shape)`` by variable, in the graph's order.

        Raises:
            UnknownVariableError: A name that is not a variable.
            DataError: Another number of values than rows of noise.
        """
        do, banks = dict(do or {}), dict(banks or {})
        if variables is None:
            asked = list(self.graph.variables)
        else:
            asked = list(variables)
        for name in (*asked, *do):
            self._known(name, "value")
        if short := [name for name, value in do.items() if len(value) != len(noise)]:
            raise DataError(
                f"do({short[0]}) has {len(do[short[0]])} values for {len(noise)} rows of noise: "
                "give one for each row."
            )
        values: dict[str, Tensor] = {}
        projections: dict[str, Tensor] = {}
        needed = self.graph.do(do).ancestors(asked)
        for name in self._order:
            if name not in needed:
                continue
            if name in do:
                values[name] = do[name]
                continue
            mechanism = self.mechanism(name)
            inputs = {}
            for p in mechanism.parents:
                inputs[p] = self._read(p, mechanism, values, projections)
            if name in banks:
                projections[name] = banks[name](inputs, noise)
                continue
            values[name] = mechanism(
                inputs, self.own_noise(name, noise), self.confounder(name, noise)
            )
        return {name: values[name] for name in self.graph.variables if name in asked}

    def _read(
        self,
        parent: str,
        mechanism: Mechanism,
        values: Mapping[str, Tensor],
        projections: dict[str, Tensor],
    ) -> Tensor:
        """A parent's value as this mechanism reads it; an image is projected once for all its
        readers."""
        if not (mechanism.reads_projections and module_key(parent) in self._encoders):
            return self.variables[parent].scale(values[parent])
        if parent not in projections:
            projections[parent] = self.project(parent, values[parent])
        return projections[parent]

    def project(self, name: str, images: Tensor) -> Tensor:
        """Projections ``(n, size)`` of encoded images of an image variable."""
        return self.encoder(name)(self.variables[name].scale(images))

    # -- what it is, in words

    @property
    def basis(self) -> str:
        """One sentence: what the answers of the model rest on."""
        if self.sources is None:
            return "Not trained: which questions it can answer depends on the data to come."
        names = ", ".join(str(source.name) for source in self.sources)
        return f"It answers every question that is identifiable from {names}."

    def summary(self) -> list[tuple[str, ...]]:
        """A table of the variables with their mechanisms; the first row is its head."""
        head = ("variable", "kind", "parents", "confounded with", "mechanism", "state")
        return [head, *map(self._summary_row, self.graph.variables)]

    def _summary_row(self, name: str) -> tuple[str, ...]:
        mechanism = self.mechanisms.unopened()[name]
        kind = _described(mechanism)
        if mechanism.origin is not None:
            kind = f"{kind}, {mechanism.origin}"
        state = "trained"
        if self.sources is None:
            state = "not trained yet"
        return (
            name,
            str(self.variables[name]),
            ", ".join(self.graph.parents(name)),
            ", ".join(self.graph.siblings(name)),
            kind,
            "frozen" if mechanism.frozen else state,
        )


def _described(mechanism: Mechanism) -> str:
    """The class of a mechanism and its size; one that was not fetched yet stays unfetched."""
    if isinstance(mechanism, DeferredMechanism):
        return "not fetched yet"
    name = type(mechanism).__name__
    size = sum(parameter.numel() for parameter in mechanism.parameters())
    if not size:  # an exported network's are no parameters
        return name
    return f"{name}, {size:,} weights"


def _checked_size(confounder_size: int, graph: CausalGraph) -> int:
    if confounder_size < 1 and graph.bidirected:
        raise MechanismError(
            f"The model cannot be built with confounder_size={confounder_size}: it has "
            "bidirected edges, and their noise needs at least one number."
        )
    return confounder_size


def _checked_variables(
    graph: CausalGraph, variables: Mapping[str, Variable]
) -> dict[str, Variable]:
    read_argument("variables", variables, MAPPING, VariableError, "DCM")
    missing = without(graph.variables, variables)
    unknown = without(variables, graph.variables)
    if missing or unknown:
        parts = ([f"no declaration for {', '.join(missing)}"] if missing else []) + (
            [f"{', '.join(unknown)} not in the graph"] if unknown else []
        )
        raise VariableError(
            f"The model cannot be built: {'; '.join(parts)}. Declare every variable of the graph "
            f"({', '.join(graph.variables)}) as Discrete, Continuous or Image, and no other."
        )
    wrong: list[str] = []
    for name, variable in variables.items():
        if not isinstance(variable, Variable):
            wrong.append(name)
    if wrong:
        raise VariableError(
            f"{', '.join(wrong)} must be declared as Discrete, Continuous or Image."
        )
    return pick(variables, graph.variables)
