"""A network of one's own, made ready to be wrapped: frozen, on the CPU, in torch's precision."""

from __future__ import annotations

import copy
from itertools import chain

import torch
from torch import nn

from causalplug.errors import MechanismError
from causalplug.networks import freeze

__all__ = ["ready_network"]


def ready_network(module: nn.Module) -> nn.Module:
    """The network with its gradients off, in evaluation mode.

    One in another precision, or on another device, is copied into torch's default precision on
    the CPU; from half precision that changes no weight.

    Raises:
        MechanismError: It is a program, or has no weights yet.
    """
    name = type(module).__name__
    if isinstance(module, torch.jit.ScriptModule):
        raise MechanismError(
            f"{name} cannot be wrapped: it is a TorchScript program, and would be saved as one "
            "that runs when it is loaded. Wrap the network that it was made from."
        )
    tensors = list(chain(module.parameters(), module.buffers()))
    if any(map(nn.parameter.is_lazy, tensors)):
        raise MechanismError(
            f"{name} cannot be wrapped: some of its layers are lazy and have no weights yet. Run "
            "it once on an input."
        )
    if any(one.is_meta for one in tensors):
        raise MechanismError(
            f"{name} cannot be wrapped: its weights are on the device 'meta', where tensors have "
            "no values. Load its weights first."
        )
    usual = torch.get_default_dtype()
    moved = any(one.device.type != "cpu" for one in tensors)
    if moved or any(one.is_floating_point() and one.dtype != usual for one in tensors):
        module = copy.deepcopy(module).to("cpu", usual)
    return freeze(module)
