"""Several processes at one training: what they average, share and tell each other.

Networks are not wrapped in DDP: gradients are averaged by hand, once per update, after the one backward pass of the
whole loss. So the second derivatives of a gradient penalty are averaged like any other gradient, and every process
makes the same update to the same weights.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast, broadcast_object_list, gather_object
from torch import Tensor

from causalplug.errors import TrainingError

__all__ = ["Processes", "known_accelerator"]


def known_accelerator(given: Accelerator | None, **options: Any) -> Accelerator:
    """The caller's accelerator, or one that knows all processes that were started.

    accelerate takes itself for the only process where there is no GPU and nobody says ``cpu=True``; each process would
    then train by itself and write over the others' files.

    Raises:
        TrainingError: the caller's accelerator does not know the other processes.
    """
    started = int(os.environ.get("WORLD_SIZE", "1"))
    if given is None:
        options |= {"cpu": True} if started > 1 and not torch.accelerator.is_available() else {}
        given = Accelerator(**options)
    if started != given.num_processes:
        raise TrainingError(
            f"Training cannot start: {started} processes were started, the accelerator knows {given.num_processes}. "
            "Without a GPU write Accelerator(cpu=True), before anything else makes an Accelerator."
        )
    return given


class Processes:
    """The processes that work on one thing together.

    Args:
        accelerator: knows them.
        alone: this process works by itself, on a module of its own.
    """

    def __init__(self, accelerator: Accelerator, *, alone: bool = False):
        self.accelerator = accelerator
        self.count = 1 if alone else accelerator.num_processes
        self.index = 0 if alone else accelerator.process_index

    def average_gradients(self, parameters: Sequence[Tensor], loss: Tensor) -> Tensor:
        """Replace the gradients by their mean over the processes, in one exchange; returns the mean loss.

        A loss that is no number in one process is none in all of them, so that all stop together.
        """
        if self.count == 1:
            return loss
        gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
        flat = torch.cat([*[g.flatten() for g in gradients], loss.to(gradients[0].dtype).view(1)])
        *means, loss = self.accelerator.reduce(flat, reduction="mean").split([*[p.numel() for p in parameters], 1])  # type: ignore[union-attr]
        for p, mean in zip(parameters, means, strict=True):
            p.grad = mean.view_as(p)
        return loss.squeeze(0)

    def share(self, tensors: Iterable[Tensor], *, source: int = 0) -> None:
        """Give all processes the values that one of them has, in place."""
        if self.count > 1:
            with torch.no_grad():
                for tensor in tensors:
                    tensor.copy_(broadcast(tensor.detach().clone(), from_process=source))

    def told(self, value: Any) -> Any:
        """What the first process says: anything small that JSON could hold."""
        return broadcast_object_list([value])[0] if self.count > 1 else value

    def all_told(self, value: Any) -> list[Any]:
        """What every process says, in their order."""
        return gather_object([value]) if self.count > 1 else [value]

    def states(self, generator: torch.Generator) -> list[Tensor]:
        """The state of every process's generator."""
        state = generator.get_state()
        if self.count == 1:
            return [state]
        gathered = self.accelerator.gather(state.to(self.accelerator.device))
        return [part.cpu() for part in gathered.split(len(state))]  # type: ignore[union-attr]
