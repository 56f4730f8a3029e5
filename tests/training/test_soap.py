"""Adam in the eigenbasis of the gradients: fewer updates, vectors as with Adam, resumable."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor

from causalplug.training.soap import Soap

STEPS = 150


def curved(seed: int = 0) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """A start, and a quadratic loss whose axes mix the rows and the columns of a matrix."""
    draw = torch.Generator().manual_seed(seed)
    left, right = (
        torch.linalg.qr(torch.randn(12, 12, generator=draw, dtype=torch.float64)).Q
        for _ in range(2)
    )
    weights = torch.logspace(0, -2, 12, dtype=torch.float64)
    start = torch.randn(12, 12, generator=draw, dtype=torch.float64)

    def loss(matrix: Tensor) -> Tensor:
        inside = left.T @ matrix @ right
        return (inside.square() * weights[:, None] * weights).sum(dim=(-2, -1)).sum()

    return start, loss


def reached(make: Callable[[list[Tensor]], torch.optim.Optimizer]) -> float:
    start, loss = curved()
    matrix = start.clone().requires_grad_()
    optimizer = make([matrix])
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = 0.1 * (1 - step / STEPS)
        optimizer.zero_grad()
        loss(matrix).backward()
        optimizer.step()
    return loss(matrix).item()


def test_a_curved_loss_falls_much_faster_than_with_adam() -> None:
    betas = (0.9, 0.95)
    turned = reached(lambda p: Soap(p, lr=0.1, betas=betas))
    usual = reached(lambda p: torch.optim.Adam(p, lr=0.1, betas=betas))
    assert turned < usual / 100


def test_no_number_moves_further_than_adam_could_move_it() -> None:
    """Rare large gradients turn the bases away from the second moments of the others."""
    matrix = torch.zeros(16, 16, requires_grad=True)
    optimizer = Soap([matrix], lr=1.0, betas=(0.9, 0.95))
    draw = torch.Generator().manual_seed(3)
    for step in range(200):
        before = matrix.detach().clone()
        size = 1e-3 if step % 15 else 1.0
        sides = torch.randn(16, 2, generator=draw), torch.randn(2, 16, generator=draw)
        matrix.grad = size * (sides[0] @ sides[1])
        optimizer.step()
        root_mean_square = (matrix.detach() - before).square().mean().sqrt()
        assert root_mean_square <= 1.2001


def test_vectors_move_as_with_adam() -> None:
    draw = torch.Generator().manual_seed(1)
    gradients = torch.randn(20, 5, generator=draw)
    start = torch.randn(5, generator=draw)
    found = []
    for kind in (Soap, torch.optim.Adam):
        vector = start.clone().requires_grad_()
        optimizer = kind([vector], lr=0.02, betas=(0.9, 0.95))
        for gradient in gradients:
            vector.grad = gradient.clone()
            optimizer.step()
        found.append(vector.detach())
    torch.testing.assert_close(*found)


def test_a_batch_of_matrices_moves_as_each_alone() -> None:
    draw = torch.Generator().manual_seed(2)
    gradients = torch.randn(12, 3, 5, 5, generator=draw, dtype=torch.float64)
    together = torch.zeros(3, 5, 5, dtype=torch.float64, requires_grad=True)
    alone = [torch.zeros(5, 5, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    batch, single = (Soap(p, lr=0.1, betas=(0.9, 0.95)) for p in ([together], alone))
    for gradient in gradients:
        together.grad = gradient.clone()
        for matrix, own in zip(alone, gradient, strict=True):
            matrix.grad = own.clone()
        batch.step()
        single.step()
    torch.testing.assert_close(together.detach(), torch.stack([m.detach() for m in alone]))


def test_it_goes_on_from_its_state_as_if_it_had_not_stopped() -> None:
    start, loss = curved()
    whole = start.clone().requires_grad_()
    first = Soap([whole], lr=0.05, betas=(0.9, 0.95))
    move(first, whole, loss, 12)
    resumed = whole.detach().clone().requires_grad_()
    second = Soap([resumed], lr=0.05, betas=(0.9, 0.95))
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    move(first, whole, loss, 8)
    move(second, resumed, loss, 8)
    assert torch.equal(whole, resumed)


def move(optimizer: Soap, matrix: Tensor, loss: Callable[[Tensor], Tensor], steps: int) -> None:
    for _ in range(steps):
        optimizer.zero_grad()
        loss(matrix).backward()
        optimizer.step()


def test_gradients_that_are_no_numbers_are_left_to_the_trainer() -> None:
    matrix = torch.zeros(3, 3, requires_grad=True)
    optimizer = Soap([matrix], lr=0.1, betas=(0.9, 0.95))
    for _ in range(6):
        matrix.grad = torch.full((3, 3), torch.nan)
        optimizer.step()
    assert matrix.isnan().any()
