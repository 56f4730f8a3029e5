"""Adam as torch has it, without the second that its first step takes to import the compiler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

__all__ = ["Adam"]


class Adam(torch.optim.Adam):
    """``torch.optim.Adam(…, fused=True)`` with the same state and the same arithmetic.

    torch guards these methods against its compiler, and the guard imports the compiler at the first
    call. No model here is compiled, so they are called without it.
    """

    add_param_group = torch.optim.Optimizer.add_param_group.__wrapped__  # type: ignore[attr-defined]
    zero_grad = torch.optim.Optimizer.zero_grad.__wrapped__  # type: ignore[attr-defined]

    def __init__(self, parameters: Any, *, lr: float, betas: tuple[float, float]):
        super().__init__(parameters, lr=lr, betas=betas, fused=True)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One update of all parameters that have a gradient."""
        if closure is None:
            loss = None
        else:
            loss = closure()
        for group in self.param_groups:
            updated: list[Tensor] = []
            gradients: list[Tensor] = []
            states: tuple[list[Tensor], list[Tensor], list[Tensor]] = ([], [], [])
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                updated.append(parameter)
                gradients.append(parameter.grad)
                for kept, value in zip(states, self._state_of(parameter), strict=True):
                    kept.append(value)
            if not updated:
                continue
            steps, first, second = states
            torch._foreach_add_(steps, 1.0)
            torch._fused_adam_(
                updated,
                gradients,
                first,
                second,
                [],
                steps,
                lr=group["lr"],
                beta1=group["betas"][0],
                beta2=group["betas"][1],
                weight_decay=0.0,
                eps=group["eps"],
                amsgrad=False,
                maximize=False,
            )
        return loss

    def _state_of(self, parameter: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        state = self.state[parameter]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.float32, device=parameter.device)
            state["exp_avg"] = torch.zeros_like(parameter)
            state["exp_avg_sq"] = torch.zeros_like(parameter)
        return state["step"], state["exp_avg"], state["exp_avg_sq"]
