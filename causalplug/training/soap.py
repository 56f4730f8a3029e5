"""SOAP: Adam in the eigenbasis of the gradients' second moments."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

__all__ = ["Soap"]

State = dict[str, Tensor]

_ROWS, _COLUMNS = _SIDES = ("rows", "columns")
_MEMORY = 0.95  # of the second moments of rows and columns
_EVERY = 5  # steps between two bases
_EPSILON = 1e-8
_TOO_LARGE = 1.2  # beyond any update of Adam of rate one, with betas of .9 and .95


class Soap(torch.optim.Optimizer):
    """Adam in a basis where the gradients of a matrix are nearly uncorrelated.

    Networks of a few thousand numbers need half as many updates or less than with Adam, each at
    half more of its cost. Vectors stay in their own basis.

    When a basis turns, second moments stay where they are, so that a gradient can meet one that is
    far too small for it. No number therefore moves further than Adam could move it.

    Args:
        parameters: Batches ``(…, rows, columns)`` of matrices, or vectors.
        lr: Learning rate.
        betas: Decays of the first and second moments.

    Source: Vyas et al. 2024, "SOAP: Improving and stabilizing Shampoo using Adam".
    """

    # torch guards these methods against its compiler, whose import takes a second
    add_param_group = torch.optim.Optimizer.add_param_group.__wrapped__  # type: ignore[attr-defined]
    zero_grad = torch.optim.Optimizer.zero_grad.__wrapped__  # type: ignore[attr-defined]

    def __init__(self, parameters: Iterable[Tensor], *, lr: float, betas: tuple[float, float]):
        super().__init__(parameters, {"lr": lr, "betas": betas})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update of all parameters that have a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    _begin(state, parameter)
                update = _update(state, parameter.grad, *group["betas"])
                parameter.add_(update, alpha=-group["lr"])


def _begin(state: State, parameter: Tensor) -> None:
    """No steps yet; the moments of a matrix are kept in the bases of its two sides."""
    state["step"] = torch.zeros(())
    state["first"] = torch.zeros_like(parameter)
    state["second"] = torch.zeros_like(parameter)
    if parameter.ndim < 2 or min(parameter.shape[-2:]) == 1:
        return
    for side, size in zip(_SIDES, parameter.shape[-2:], strict=True):
        state[side] = parameter.new_zeros(*parameter.shape[:-2], size, size)
        state[f"{side} basis"] = torch.eye(size).to(parameter).expand_as(state[side])


def _update(state: State, gradient: Tensor, fast: float, slow: float) -> Tensor:
    """The direction of a step, of rate one."""
    state["step"] += 1
    step = int(state["step"])
    _see(state, gradient, step)
    turned = _between(state, gradient)
    state["first"].lerp_(turned, 1 - fast)
    state["second"].mul_(slow).addcmul_(turned, turned, value=1 - slow)
    unbiased = math.sqrt(1 - slow**step) / (1 - fast**step)
    root = state["second"].sqrt().add_(_EPSILON)
    update = (state["first"] / root).mul_(unbiased).clamp_(-_TOO_LARGE, _TOO_LARGE)
    return _between(state, update, back=True)


def _see(state: State, gradient: Tensor, step: int) -> None:
    """Take in a gradient, and turn the bases now and then."""
    for side in _SIDES:
        if side not in state:
            continue
        lines = gradient if side == _ROWS else gradient.mT
        state[side].lerp_(lines @ lines.mT, 1 - _MEMORY)
        if step == 1 and bool(state[side].isfinite().all()):
            state[f"{side} basis"] = torch.linalg.eigh(state[side]).eigenvectors.flip(-1)
        elif step % _EVERY == 0:
            _turn(state, side)


def _turn(state: State, side: str) -> None:
    """Improve a basis by one power iteration, and turn the first moments with it."""
    old = state[f"{side} basis"]
    new = state[f"{side} basis"] = torch.linalg.qr(state[side] @ old).Q
    if side == _ROWS:
        state["first"] = new.mT @ old @ state["first"]
    else:
        state["first"] = state["first"] @ (old.mT @ new)


def _between(state: State, value: Tensor, *, back: bool = False) -> Tensor:
    """A matrix in the bases of its sides, or out of them."""
    if _ROWS in state:
        basis = state[f"{_ROWS} basis"]
        value = (basis if back else basis.mT) @ value
    if _COLUMNS in state:
        basis = state[f"{_COLUMNS} basis"]
        value = value @ (basis.mT if back else basis)
    return value
