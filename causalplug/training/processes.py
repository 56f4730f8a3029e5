"""Several processes at one training: what they average, share and tell each other.

Networks are not wrapped in DDP: gradients are averaged by hand, once per update, after the one
backward pass of the whole loss. So the second derivatives of a gradient penalty are averaged like
any other gradient, and every process makes the same update to the same weights.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import (
    broadcast,
    broadcast_object_list,
    gather_object,
    get_cpu_distributed_information,
)
from torch import Tensor

from causalplug.errors import TrainingError

__all__ = ["Processes", "Unanswered", "known_accelerator", "out_of_memory"]


def _has_accelerator() -> bool:
    """Whether there is a GPU or the like; torch before 2.6 is asked kind by kind."""
    if "accelerator" in vars(torch):
        return bool(torch.accelerator.is_available())
    return torch.cuda.is_available() or torch.backends.mps.is_available()


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory is exhausted: torch's CPU allocator has no class for it."""
    return isinstance(
        error, MemoryError | torch.OutOfMemoryError
    ) or "can't allocate memory" in str(error)


class Unanswered(RuntimeError):
    """An exchange that another process did not take part in: it ended, hangs, or cannot be
    reached."""


@contextmanager
def _exchange() -> Iterator[None]:
    """Tell a failed exchange from every other fault: gloo and NCCL only say which socket was
    closed."""
    try:
        yield
    except RuntimeError as error:
        if out_of_memory(error):
            raise
        raise Unanswered(str(error)) from error


def known_accelerator(
    given: Accelerator | None,
    *,
    log_with: str | None = None,
    project_dir: str | os.PathLike[str] | None = None,
) -> Accelerator:
    """The caller's accelerator, or one that knows all processes that were started.

    accelerate takes itself for the only process where there is no GPU and nobody says ``cpu=True``;
    each process would then train by itself and write over the others' files.

    Raises:
        TrainingError: The caller's accelerator does not know the other processes.
    """
    started = get_cpu_distributed_information().world_size  # as torchrun, accelerate or mpirun say
    if given is None:
        cpu = started > 1 and not _has_accelerator()
        given = Accelerator(cpu=cpu, log_with=log_with, project_dir=project_dir)
    if started != given.num_processes:
        raise TrainingError(
            f"Training cannot start: {started} processes were started, the accelerator knows "
            f"{given.num_processes}. Without a GPU write Accelerator(cpu=True), before anything "
            "else makes an Accelerator."
        )
    return given


class Processes:
    """The processes that work on one thing together.

    Args:
        accelerator: Knows them.
        alone: This process works by itself, on a module of its own.
    """

    def __init__(self, accelerator: Accelerator, *, alone: bool = False):
        self.accelerator = accelerator
        if alone:
            self.count = 1
        else:
            self.count = accelerator.num_processes
        if alone:
            self.index = 0
        else:
            self.index = accelerator.process_index

    def average_gradients(self, parameters: Sequence[Tensor], loss: Tensor) -> Tensor:
        """Replace the gradients by their mean over the processes, in one exchange; returns the mean
        loss.

        A loss that is no number in one process is none in all of them, so that all stop together.
        """
        if self.count == 1:
            return loss
        gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
        flat = torch.cat([*[g.flatten() for g in gradients], loss.to(gradients[0].dtype).view(1)])
        with _exchange():
            flat = self.accelerator.reduce(flat, reduction="mean")
        *means, loss = flat.split([*[p.numel() for p in parameters], 1])
        for p, mean in zip(parameters, means, strict=True):
            p.grad = mean.view_as(p)
        return loss.squeeze(0)

    def share(self, tensors: Iterable[Tensor], *, source: int = 0) -> None:
        """Give all processes the values that one of them has, in place."""
        if self.count > 1:
            with torch.no_grad(), _exchange():
                for tensor in tensors:
                    tensor.copy_(broadcast(tensor.detach().clone(), from_process=source))

    def told(self, value: object) -> Any:
        """What the first process says: anything small that JSON could hold."""
        if self.count == 1:
            return value
        with _exchange():
            return broadcast_object_list([value])[0]

    def all_told(self, value: object) -> list[Any]:
        """What every process says, in their order."""
        if self.count == 1:
            return [value]
        with _exchange():
            return gather_object([value])

    def states(self, generator: torch.Generator) -> list[Tensor]:
        """The state of every process's generator."""
        state = generator.get_state()
        if self.count == 1:
            return [state]
        with _exchange():
            gathered = self.accelerator.gather(state.to(self.accelerator.device))
        return [part.cpu() for part in gathered.split(len(state))]
