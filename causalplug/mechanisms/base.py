"""The contract of a mechanism, V = f(parents, own noise, confounder noise), and the registry of
its kinds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor

from causalplug.errors import MechanismError
from causalplug.hub.contract import declare
from causalplug.hub.formats import MECHANISM_FORMAT
from causalplug.hub.loading import Loader, load_own
from causalplug.hub.part import Part
from causalplug.hub.parts import load_part
from causalplug.networks import freeze
from causalplug.noise import NoiseSpec
from causalplug.planning.generator_facts import GeneratorFacts
from causalplug.registry import SHIPPED_ADAPTERS, Registry
from causalplug.values import Json, Named
from causalplug.variables import Variable

if TYPE_CHECKING:
    from causalplug.hub.snapshot import Snapshot

__all__ = ["MECHANISMS", "Mechanism", "load_mechanism", "register_mechanism"]

_M = TypeVar("_M", bound=type["Mechanism"])


class Mechanism(Part):
    """One mechanism: it turns values of the parents, own noise and confounder noise into values of
    its variable.

    A subclass declares what it is by the attributes below and implements :meth:`forward`,
    :meth:`config` and, where the default does not do, :meth:`from_config`. The other methods are
    hooks of training, saving and binding; each has a default that suits a mechanism of one's own.
    Names that are not declared here are free for parameters and layers.

    Attributes:
        variable: What it generates.
        parents: Names of the parents that it reads, in its own order.
        noise: Own exogenous noise, name to :class:`NoiseSpec`; it alone makes two rows with equal
            parents differ.
        frozen: Its parameters are never updated.
        frozen_generator: The pretrained generator inside a trained mechanism, if it has one.
        reads_confounders: Names of the confounder noises that it reads, in its order; None for
            those that the model has at its variable.
        confounded_by_edge: It reads one noise for every bidirected edge at its variable, in the
            order of the graph, and the model has to have them.
        confounder_numbers: Numbers of confounder noise that it reads; None where it takes any.
        module, part_of: The module of another model that it was taken with, and its name
            (``"C+N"``), if it was.
        accepts_confounder: It reads confounder noise, so its variable may have bidirected edges.
        differentiable: Gradients reach continuous or relaxed parents through it.
        explicit: It has :meth:`log_prob`, a log density or a lower bound of it.
        abduction: How the own noise can be recovered from a value: ``None``, ``"approximate"`` or
            ``"exact"``.
        monotone: The value of a continuous variable grows with the own noise ``"normal"``, one
            standard normal number, and :meth:`abduct` gives it: intervals are then met exactly.
        reads_projections: Image parents are handed in as their encoder's projection. Otherwise, and
            where an image has no encoder, they are pixels in the range of the variable.
        batch_cost: Rough seconds of CPU for 64 rows, where that matters for planning; 0 means
            negligible.
        learning_rate: The largest first step size that its training by likelihood bears; None where
            the usual one does.
        saved_with_model: A model that holds it saves its weights beside what was trained, where it
            has no repository of its own.
        license, source: Licence and origin of pretrained weights.
        weights_license: Licence of all weights of its kind, for a class that serves one family.
        needs: Packages that it imports when it is used, beyond those that causalplug needs itself.
    """

    card_kind = "adapter"
    frozen_generator: Mechanism | None = None
    reads_confounders: tuple[str, ...] | None = None
    confounded_by_edge: bool = False
    module: Any = None
    accepts_confounder: bool = True
    differentiable: bool = True
    explicit: bool = False
    abduction: str | None = None
    monotone: bool = False
    reads_projections: bool = True
    batch_cost: float = 0.0
    learning_rate: float | None = None
    saved_with_model: bool = False

    variable: Variable
    parents: tuple[str, ...]
    noise: Mapping[str, NoiseSpec]

    def forward(
        self,
        parents: Mapping[str, Tensor],
        noise: Mapping[str, Tensor],
        confounder: Tensor | None = None,
    ) -> Tensor:
        """Values of the variable.

        Args:
            parents: Encoded value ``(n, *event_shape)`` of each parent; an image parent comes as
                ``(n, size)`` projection where ``reads_projections`` is set, else as pixels in its
                range; a discrete parent may be a relaxed one-hot ``(n, k)``.
            noise: A tensor ``(n, *spec.shape)`` for each entry of ``self.noise``.
            confounder: ``(n, e)``, all confounder noise at the variable, or None without any.

        Returns:
            ``(n, *variable.event_shape)``: integer codes, floats or images.
        """
        raise NotImplementedError

    # -- hooks of the likelihood

    def log_prob(
        self, value: Tensor, parents: Mapping[str, Tensor], confounder: Tensor | None = None
    ) -> Tensor:
        """Log probability (density) of ``value`` given parents and confounder noise, or a lower
        bound of it; only where ``explicit``.

        Args:
            value: Values ``(n, *event_shape)``: codes, floats, or pixels in the range of the
                variable.
            parents: As in :meth:`forward`.
            confounder: ``(s, 1, e)``: s draws for every row; None without bidirected edges.

        Returns:
            ``(n,)``, or ``(s, n)`` where there is confounder noise.

        Raises:
            MechanismError: The mechanism has no explicit density.
        """
        raise MechanismError(
            f"{type(self).__name__} has no explicit density: train its module with "
            "objective='adversarial'."
        )

    def logits(
        self, parents: Mapping[str, Tensor] | Tensor, confounder: Tensor | None = None
    ) -> Tensor:
        """Log probabilities of all values of a discrete variable; only where ``explicit``.

        By default :meth:`log_prob` of every value in turn.

        Args:
            parents: As in :meth:`forward`, or what :meth:`parent_features` gave.
            confounder: As in :meth:`log_prob`.

        Returns:
            ``(n, k)``, or ``(s, n, k)``, up to a constant of the row.

        Raises:
            MechanismError: The mechanism has no explicit density, or no finite list of values.
        """
        size = self.variable.cardinality
        if size is None or isinstance(parents, Tensor):
            raise MechanismError(
                f"{type(self).__name__} has no logits: {self.variable} has no finite list of "
                "values."
            )
        n = max(map(len, parents.values()), default=1)
        codes = torch.arange(size).unsqueeze(-1).expand(-1, n)
        device = next((value.device for value in parents.values()), codes.device)
        each = [self.log_prob(code, parents, confounder) for code in codes.to(device)]
        return torch.stack(each, -1)

    def parent_features(self, parents: Mapping[str, Tensor]) -> Mapping[str, Tensor] | Tensor:
        """What :meth:`logits` can read in place of parents that it is asked for again and again.

        By default the parents themselves.
        """
        return parents

    def relaxed(
        self,
        parents: Mapping[str, Tensor],
        noise: Mapping[str, Tensor],
        confounder: Tensor | None = None,
        *,
        temperature: float = 1.0,
    ) -> Tensor:
        """Values with gradients: straight-through one-hot rows ``(n, k)`` of a discrete variable.

        By default the values of :meth:`forward`.
        """
        return self(parents, noise, confounder)

    def abduct(
        self,
        value: Tensor,
        parents: Mapping[str, Tensor],
        confounder: Tensor | None = None,
        *,
        prior: Mapping[str, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """Own noise that gives ``value``; only where ``abduction`` is declared.

        Args:
            value, parents, confounder: As in :meth:`forward`.
            prior: Own noise as it was drawn before the value was seen; what the value leaves open
                is made from it.

        Raises:
            MechanismError: The mechanism declares no abduction.
        """
        raise MechanismError(
            f"{type(self).__name__} declares no abduction: its noise cannot be recovered from a "
            "value."
        )

    @property
    def confounder_numbers(self) -> int | None:
        """Numbers of confounder noise of one row that it reads; None where it takes any."""
        return None

    @classmethod
    def loaders(cls) -> dict[str, Loader]:
        return {"mechanism": MECHANISM_LOADER}

    # -- hooks of training

    @property
    def chooses(self) -> bool:
        """Whether :meth:`forward` makes choices that pass no gradient to what is trained, and
        :meth:`choice_log_prob` weighs them: False by default."""
        return False

    def choice_log_prob(
        self,
        parents: Mapping[str, Tensor],
        noise: Mapping[str, Tensor],
        confounder: Tensor | None = None,
    ) -> Tensor:
        """Log probability (density) ``(n,)`` of the choices that :meth:`forward` makes with this
        noise; only where :attr:`chooses`. Its gradient is that of the score function.

        Args:
            parents, noise, confounder: As in :meth:`forward`.

        Raises:
            MechanismError: The mechanism chooses nothing.
        """
        raise MechanismError(f"{type(self).__name__} makes no choices of its own.")

    def passes_gradient(self, parent: str) -> bool:
        """Whether the gradient of continuous values of a parent reaches it through the mechanism,
        whole: where it does not, training uses the score function of what is above.

        By default ``differentiable``.
        """
        return self.differentiable

    def standardise_parents(self, rows: Mapping[str, Tensor]) -> None:
        """Set the scaling of what is read of the parents, before training; nothing by default.

        Args:
            rows: Encoded columns ``(n, …)`` of the parents; images with an encoder as projections.
        """

    def standardise(self, values: Tensor) -> None:
        """Set the scaling of the variable from values ``(n, …)`` of it, before training; nothing
        by default."""

    def start_at(self, values: Tensor) -> None:
        """Start from the marginal distribution of values ``(n, …)`` of the variable, before the
        first training; nothing by default."""

    @property
    def awaits_rows(self) -> bool:
        """Whether something about it is still to be estimated from data: False by default."""
        return False

    def take_rows(self, rows: Mapping[str, Tensor]) -> Mechanism:
        """The mechanism once what :attr:`awaits_rows` has been estimated from encoded columns of
        its parents and perhaps its variable."""
        return self

    # -- hooks of binding

    @property
    def awaits_model(self) -> bool:
        """Whether it can only be built by :meth:`completed`: False by default."""
        return False

    def completed(self, variable: Variable, parents: Named, confounder_size: int) -> Mechanism:
        """The mechanism for one variable of a graph; only called where :attr:`awaits_model`.

        Args:
            variable: Declaration of the variable.
            parents: What is read of each parent: its declaration, or the size of its projection.
            confounder_size: Numbers of confounder noise of one row.
        """
        return self

    @classmethod
    def default_for(
        cls,
        variable: Variable,
        parents: Named,
        confounder_size: int,
        hidden: Sequence[int],
    ) -> Mechanism:
        """A fresh mechanism for a variable whose kind names this one as its default.

        Args:
            variable: Declaration of the variable.
            parents: What is read of each parent: its declaration, or the size of its projection.
            confounder_size: Numbers of confounder noise of one row.
            hidden: Widths of hidden layers, where it has any.
        """
        made: Any = cls
        return made(variable, parents, confounder_size=confounder_size, hidden=hidden)

    def for_variable(
        self, name: str, variable: Variable, parents: Mapping[str, Variable]
    ) -> Mechanism:
        """The mechanism as that of one variable of a graph: itself by default.

        Args:
            name: The variable.
            variable: Its declaration.
            parents: Declarations of its parents, in the graph's order.

        Raises:
            MechanismError: It cannot be that.
        """
        return self

    def binding(self) -> Json | None:
        """How it is bound to its variable, as JSON values that :meth:`bind_as` takes; None where
        there is nothing to say."""
        return None

    def bind_as(self, name: str, binding: Named) -> Mechanism:
        """The mechanism bound to the variable ``name`` as :meth:`binding` says."""
        return self

    def bound_to(self) -> Json:
        """What a model's configuration says of a frozen mechanism beside where it is."""
        binding = self.binding()
        if binding is None:
            return {}
        return {"binding": binding}

    # -- what it says of itself

    def generator_facts(self) -> GeneratorFacts:
        """What the planner is told where it is offered as a pretrained generator."""
        return GeneratorFacts(self.source or type(self).__name__, parents=tuple(self.parents))

    def declared_output(self) -> Variable:
        """What it generates before it is bound: the variable by default."""
        return self.variable

    def declared_inputs(self) -> Mapping[str, Variable | None]:
        """What it reads before it is bound, by name; None where it is not known."""
        return dict.fromkeys(self.parents)

    def fingerprint(self) -> list[object]:
        """JSON values that differ whenever its samples may.

        Raises:
            MechanismError: It does not say which version it is.
        """
        return [self.kind]


_FLAG = (bool, property)
declare(
    Mechanism,
    {
        "variable": Variable,
        "parents": (tuple, list),
        "noise": Mapping,
        "reads_confounders": (tuple, type(None)),
        "abduction": (str, type(None)),
        "batch_cost": (float, int),
        "learning_rate": (float, type(None)),
        "accepts_confounder": _FLAG,
        "differentiable": _FLAG,
        "explicit": _FLAG,
        "reads_projections": _FLAG,
        "saved_with_model": _FLAG,
    },
)

MECHANISMS: Registry[Mechanism] = Registry(
    "mechanism",
    {
        "discrete-mlp": "causalplug.mechanisms.trainable.discrete",
        "discrete-table": "causalplug.mechanisms.trainable.table",
        "continuous-spline": "causalplug.mechanisms.trainable.continuous",
        "continuous-mixed": "causalplug.mechanisms.trainable.mixed",
        "vector-flow": "causalplug.mechanisms.trainable.vector",
        "wrapped-module": "causalplug.mechanisms.frozen.wrapped",
        "wrapped-generator": "causalplug.mechanisms.frozen.wrapped_generator",
        "tabular-predictor": "causalplug.mechanisms.frozen.tabular",
        "count-spline": "causalplug.mechanisms.trainable.count",
        "conv-generator": "causalplug.mechanisms.trainable.image",
        "residual-vae": "causalplug.mechanisms.trainable.residual_vae",
        "renderer": "causalplug.mechanisms.frozen.renderer",
        **SHIPPED_ADAPTERS,
    },
)
"""Every mechanism that a repository may name: built in, shipped adapters, registered ones and
entry points."""


def register_mechanism(kind: str) -> Callable[[_M], _M]:
    """Class decorator: register a mechanism under ``kind``, the name that a repository's
    ``config.json`` gives.

    Raises:
        MechanismError: The name is taken by another class.
    """
    return MECHANISMS.register(kind)


def load_mechanism(snapshot: Snapshot, *, trust_remote_code: bool = False) -> Mechanism:
    """Load a mechanism from a repository; a frozen one has its gradients off.

    Args:
        snapshot: The repository.
        trust_remote_code: Whether code of the repository may run.

    Raises:
        RepositoryError: As for :func:`causalplug.hub.parts.load_part`.
    """
    mechanism: Mechanism = load_part(
        snapshot, MECHANISM_FORMAT, MECHANISMS, trust_remote_code=trust_remote_code
    )
    if mechanism.frozen:
        return freeze(mechanism)
    return mechanism


MECHANISM_LOADER = Loader(
    partial(load_own, load_mechanism),
    ("device", "dtype", "label_map", "transform", "trust_remote_code"),
    "a mechanism",
)
"""How :func:`causalplug.from_pretrained` loads a mechanism."""
