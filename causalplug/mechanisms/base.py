"""The contract of a mechanism, V = f(parents, own noise, confounder noise), and the registry of
its kinds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from torch import Tensor, nn

from causalplug.errors import MechanismError
from causalplug.hub.formats import MECHANISM_FORMAT
from causalplug.hub.parts import load_part
from causalplug.hub.shareable import SharedPart
from causalplug.networks import freeze
from causalplug.noise import NoiseSpec
from causalplug.registry import SHIPPED_ADAPTERS, Registry
from causalplug.variables import Variable

if TYPE_CHECKING:
    from causalplug.hub.snapshot import Snapshot

__all__ = ["MECHANISMS", "Mechanism", "load_mechanism", "register_mechanism"]

_M = TypeVar("_M", bound=type["Mechanism"])


class Mechanism(SharedPart, nn.Module):
    """One mechanism: it turns values of the parents, own noise and confounder noise into values of
    its variable.

    A subclass declares what it is by the attributes below and implements :meth:`forward`,
    :meth:`config` and, where the default does not do, :meth:`from_config`.

    Attributes:
        variable: what it generates.
        parents: names of the parents that it reads, in its own order.
        noise: own exogenous noise, name to :class:`NoiseSpec`; it alone makes two rows with equal
            parents differ.
        frozen: its parameters are never updated.
        frozen_generator: the pretrained generator inside a trained mechanism, if it has one.
        reads_confounders: names of the confounder noises that it reads, in its order; None for
            those that the model has at its variable.
        confounded_by_edge: it reads one noise for every bidirected edge at its variable, in the
            order of the graph, and the model has to have them.
        confounder_numbers: numbers of confounder noise that it reads; None where it takes any.
        module, part_of: the module of another model that it was taken with, and its name
            (``"C+N"``), if it was.
        accepts_confounder: it reads confounder noise, so its variable may have bidirected edges.
        differentiable: gradients reach continuous or relaxed parents through it.
        explicit: it has :meth:`log_prob`, and for a discrete variable :meth:`logits`.
        abduction: how the own noise can be recovered from a value: ``None``, ``"approximate"`` or
            ``"exact"``.
        monotone: the value of a continuous variable grows with the own noise ``"normal"``, one
            standard normal number, and :meth:`abduct` gives it: intervals are then met exactly.
        reads_projections: image parents are handed in as their encoder's projection, not as pixels.
        batch_cost: rough seconds of CPU for 64 rows, where that matters for planning; 0 means
            negligible.
        license, source: licence and origin of pretrained weights.
        weights_license: of all weights of its kind, for a class that serves one family alone.
        needs: packages that it imports when it is used, beyond those that causalplug needs itself.
    """

    card_kind = "adapter"
    kind: ClassVar[str] = ""
    frozen: bool = False
    frozen_generator: Mechanism | None = None
    reads_confounders: tuple[str, ...] | None = None
    confounded_by_edge: bool = False
    module: Any = None
    part_of: str | None = None
    accepts_confounder: bool = True
    weights_license: ClassVar[str | None] = None
    needs: ClassVar[tuple[str, ...]] = ()
    differentiable: bool = True
    explicit: bool = False
    abduction: str | None = None
    monotone: bool = False
    reads_projections: bool = True
    batch_cost: float = 0.0
    license: str | None = None
    source: str | None = None

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
            parents: encoded value ``(n, *event_shape)`` of each parent; an image parent comes as
                ``(n, size)`` projection where ``reads_projections`` is set; a discrete parent may
                be a relaxed one-hot ``(n, k)``.
            noise: a tensor ``(n, *spec.shape)`` for each entry of ``self.noise``.
            confounder: ``(n, e)``, all confounder noise at the variable, or None without any.

        Returns:
            ``(n, *variable.event_shape)``: integer codes, floats or images.
        """
        raise NotImplementedError

    def log_prob(
        self, value: Tensor, parents: Mapping[str, Tensor], confounder: Tensor | None = None
    ) -> Tensor:
        """Log probability (density) of ``value`` given parents and confounder noise; only where
        ``explicit``.

        Raises:
            MechanismError: the mechanism has no explicit density.
        """
        raise MechanismError(
            f"{type(self).__name__} has no explicit density: train its module with objective='adversarial'."
        )

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
            value, parents, confounder: as in :meth:`forward`.
            prior: own noise as it was drawn before the value was seen; what the value leaves open
                is made from it.

        Raises:
            MechanismError: the mechanism declares no abduction.
        """
        raise MechanismError(
            f"{type(self).__name__} declares no abduction: its noise cannot be recovered from a value."
        )

    @property
    def confounder_numbers(self) -> int | None:
        """Numbers of confounder noise of one row that it reads; None where it takes any."""
        return None

    @classmethod
    def loaders(cls) -> dict[str, Callable[..., Any]]:
        return {"mechanism": load_mechanism}

    def bound_to(self) -> dict[str, Any]:
        """What a model's configuration says of a frozen mechanism beside where it is."""
        return {}

    def config(self) -> dict[str, Any]:
        """JSON values from which :meth:`from_config` rebuilds the mechanism without its weights."""
        raise NotImplementedError

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Mechanism:
        """The mechanism that :meth:`config` describes, with fresh weights."""
        return cls(**config)


MECHANISMS: Registry[Mechanism] = Registry(
    "mechanism",
    {
        "discrete-mlp": "causalplug.mechanisms.trainable.discrete",
        "discrete-table": "causalplug.mechanisms.trainable.table",
        "continuous-spline": "causalplug.mechanisms.trainable.continuous",
        "conv-generator": "causalplug.mechanisms.trainable.image",
        "renderer": "causalplug.mechanisms.frozen.renderer",
        **SHIPPED_ADAPTERS,
    },
)
"""Every mechanism that a repository may name: built in, shipped adapters, registered ones and entry points."""


def register_mechanism(kind: str) -> Callable[[_M], _M]:
    """Class decorator: register a mechanism under ``kind``, the name that a repository's
    ``config.json`` gives.

    Raises:
        MechanismError: the name is taken by another class.
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
    return freeze(mechanism) if mechanism.frozen else mechanism
