"""A GAN's network as the operators that ``torch.export`` traced, and how it is called."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.spectral_norm import SpectralNorm, remove_spectral_norm
from torch.nn.utils.weight_norm import WeightNorm, remove_weight_norm

from causalplug.errors import MechanismError
from causalplug.mechanisms.frozen.condition import Condition
from causalplug.mechanisms.frozen.exported import ExportedNetwork
from causalplug.mechanisms.frozen.label import Label
from causalplug.mechanisms.frozen.network_call import shaped
from causalplug.mechanisms.frozen.wrap import wrap
from causalplug.mechanisms.frozen.wrapped import WrappedModule
from causalplug.selection import by_name, map_values, names_of, values_at, without
from causalplug.values import Json, Named
from causalplug.variables import Continuous, Image

__all__ = ["Program", "numbers_of", "program_of"]


@dataclass(frozen=True)
class Program:
    """A network as data.

    Attributes:
        network: The steps, see :class:`~causalplug.mechanisms.frozen.exported.ExportedNetwork`.
        shapes, types: Of its tensors, by name.
        order: Its inputs: ``"latent"`` and names of labels.
        forms: Of each label ``"codes"``, ``"one-hot"``, or for a number ``"flat"`` or
            ``"column"``.
        latent: Shape of the latent of one row.
        numbers: Labels that are read as numbers, their values.
    """

    network: Json
    shapes: Mapping[str, Sequence[int]]
    types: Mapping[str, str]
    order: Sequence[str]
    forms: Mapping[str, str]
    latent: Sequence[int]
    numbers: Sequence[str] = ()

    def to_dict(self) -> Json:
        """JSON values."""
        return asdict(self)

    def built(self) -> ExportedNetwork:
        """The network, with weights of zero."""
        tensors = {}
        for name, shape in self.shapes.items():
            kind = getattr(torch, self.types[name].removeprefix("torch."))
            tensors[name] = torch.zeros(tuple(shape), dtype=kind)
        return ExportedNetwork(self.network, tensors)

    @property
    def differentiable(self) -> bool:
        """Whether gradients reach the labels: no label enters by its code."""
        return all(form != "codes" for form in self.forms.values())

    def run(
        self, network: nn.Module, latent: Tensor, labels: Sequence[Label], codes: Named
    ) -> Tensor:
        """Images for latents ``(n, size)`` and codes or relaxed one-hot rows by label."""
        given = {"latent": latent.view(-1, *self.latent)}
        for label in labels:
            given[label.name] = self._read(label, codes[label.name])
        painted: Tensor = network(*values_at(given, self.order))
        return painted

    def _read(self, label: Label, codes: Tensor) -> Tensor:
        if label.name in self.numbers:
            values = numbers_of(label).to(codes.device)
            if codes.is_floating_point():
                values = codes @ values
            else:
                values = values[codes]
            return shaped(Condition(label.name, Continuous()), self.forms, values)
        return shaped(Condition(label.name, label.values), self.forms, codes)


def numbers_of(label: Label) -> Tensor:
    """The values ``(k,)`` of a label whose categories are numbers.

    Raises:
        MechanismError: A category that is no number.
    """
    wrong = [value for value in label.categories if not isinstance(value, int | float)]
    if wrong:
        raise MechanismError(
            f"The label {label.name!r} cannot be read as a number: it has the category "
            f"{wrong[0]!r}. Declare numbers, as in cp.Label({label.name!r}, [0.5, 1.0])."
        )
    return torch.tensor(list(map(float, label.categories)))  # type: ignore[arg-type]


def program_of(
    network: nn.Module,
    image: Image,
    labels: Sequence[Label],
    latent: int,
    numbers: Sequence[str],
) -> tuple[Program, dict[str, Tensor]]:
    """A network as data, with spectral and weight normalisation folded into its weights.

    Args:
        network: The network, called with the latent and each label: by name where an argument of
            its ``forward`` has the name, in this order otherwise. The latent comes as ``(n,
            size)``, or as ``(n, size, 1, 1)`` where the network takes that only.
        image: What it paints, in its own range.
        labels: Its labels in order.
        latent: Size of its latent.
        numbers: Names of the labels that it reads as numbers.

    Returns:
        The program and its tensors by name.

    Raises:
        MechanismError: The network does not run, mixes rows, draws noise of its own or cannot be
            traced.
    """
    unknown = without(numbers, names_of(labels))
    if unknown:
        raise MechanismError(
            f"numbers={list(numbers)!r} names {unknown[0]!r}, which is not a label: the labels are "
            f"{', '.join(names_of(labels)) or 'none'}."
        )
    conditions = []
    for label in labels:
        if label.name in numbers:
            numbers_of(label)
            conditions.append(Condition(label.name, Continuous()))
        else:
            conditions.append(Condition(label.name, label.values))
    made = _wrapped(folded(network), image, conditions, latent)
    tensors = map_values(made.network.get_buffer, made.network._names)
    program = Program(
        made.network.steps,
        {name: list(tensor.shape) for name, tensor in tensors.items()},
        {name: str(tensor.dtype) for name, tensor in tensors.items()},
        list(made.order),
        dict(made.forms),
        list(made.latent or ()),
        list(numbers),
    )
    return program, by_name(made.network.get_buffer, made.network._names.values())


def _wrapped(
    network: nn.Module, image: Image, conditions: Sequence[Condition], latent: int
) -> WrappedModule:
    """The network for a latent that is a row, or a map of one pixel where only that runs."""
    try:
        return wrap(network, image, conditions=conditions, latent=latent)
    except MechanismError as refused:
        try:
            return wrap(network, image, conditions=conditions, latent=(latent, 1, 1))
        except MechanismError:
            raise refused from None


def folded(network: nn.Module) -> nn.Module:
    """A copy in evaluation mode, whose normalised weights are plain weights."""
    for module in network.modules():
        for hook in _norm_hooks(module):
            computed = getattr(module, hook.name)
            setattr(module, hook.name, computed.detach())  # what is computed cannot be copied
    plain = copy.deepcopy(network).eval()
    for module in plain.modules():
        for hook in _norm_hooks(module):
            if isinstance(hook, SpectralNorm):
                remove_spectral_norm(module, hook.name)
            else:
                remove_weight_norm(module, hook.name)
        if parametrize.is_parametrized(module):
            own = type(module)  # removal changes the class, which the original shares
            module.__class__ = type(own.__name__, own.__bases__, dict(vars(own)))
            for name in list(module.parametrizations):  # type: ignore[arg-type]
                parametrize.remove_parametrizations(module, name, leave_parametrized=True)
    return plain


def _norm_hooks(module: nn.Module) -> list[SpectralNorm | WeightNorm]:
    hooks = module._forward_pre_hooks.values()
    return [hook for hook in hooks if isinstance(hook, SpectralNorm | WeightNorm)]
