"""The critic's gradient, written out, against differentiating twice."""

import pytest
import torch

import causalplug as cp
from causalplug.training.critics import Critic, CriticInput, between


def differentiated_twice(critic, rows, weight, lines, penalty):
    """The loss of Gulrajani et al. (2017) by automatic differentiation; returns it and the
    gradients."""
    lines = lines.clone().requires_grad_()
    (slope,) = torch.autograd.grad(critic([lines]).sum(), lines, create_graph=True)
    loss = (weight * critic([rows])).sum() + penalty * (slope.norm(dim=1) - 1).square().mean()
    found = torch.autograd.grad(loss, list(critic.parameters()), allow_unused=True)
    return loss.detach(), [
        torch.zeros_like(p) if g is None else g
        for p, g in zip(critic.parameters(), found, strict=True)
    ]


@pytest.mark.parametrize("hidden", [(7,), (16, 5), (8, 8, 8)])
def test_the_gradient_is_that_of_differentiating_twice(hidden):
    generator = torch.Generator().manual_seed(0)
    reads = CriticInput({"A": cp.Discrete(3), "B": cp.Continuous()}, {})
    torch.manual_seed(1)
    critic = Critic(reads, hidden=hidden).double()
    rows, lines = (torch.randn(n, 4, generator=generator).double() for n in (9, 33))
    weight = torch.randn(9, generator=generator).double()
    expected, gradients = differentiated_twice(critic, rows, weight, lines, 10.0)
    kept = rows.clone(), lines.clone()
    for times in (1, 2):  # gradients add up, as backward's do
        loss = critic.backward([rows], weight, [lines], 10.0, lambda x: 0.5 * x)
        torch.testing.assert_close(loss, expected)
        for parameter, gradient in zip(critic.parameters(), gradients, strict=True):
            torch.testing.assert_close(
                parameter.grad, 0.5 * times * gradient, rtol=1e-9, atol=1e-12
            )
    assert torch.equal(rows, kept[0])
    assert torch.equal(lines, kept[1])


def test_a_critic_of_pixels_has_the_gradient_of_the_same_loss():
    torch.manual_seed(0)
    critic = Critic(CriticInput({"A": cp.Discrete(2), "I": cp.Image(1, 8, 8)}, {}))
    rows = [torch.randn(4, 2), torch.randn(4, 1, 8, 8)]
    lines = [torch.randn(3, 2), torch.randn(3, 1, 8, 8)]
    weight = torch.tensor([0.5, 0.5, -0.5, -0.5])
    loss = critic.backward(rows, weight, lines, 10.0, None)
    points = [line.clone().requires_grad_() for line in lines]
    slopes = torch.autograd.grad(critic(points).sum(), points)
    norms = torch.cat([s.flatten(1) for s in slopes], 1).norm(dim=1)
    expected = (weight * critic(rows)).sum() + 10.0 * (norms - 1).square().mean()
    torch.testing.assert_close(loss, expected.detach())
    assert all(
        p.grad is not None and torch.isfinite(p.grad).all()
        for p in critic.parameters()
        if p.ndim > 1
    )


def test_points_lie_between_their_rows():
    real, fake = torch.zeros(50, 3), torch.ones(50, 3)
    (points,) = between([real], [fake], torch.Generator().manual_seed(0))
    assert points.shape == (50, 3)
    assert (points.std(1) == 0).all()
    assert 0.3 < points.mean() < 0.7
    assert points.min() >= 0
    assert points.max() <= 1
