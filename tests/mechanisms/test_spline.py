"""The spline that mechanisms use, against zuko's."""

import pytest
import torch
from zuko.transforms import MonotonicRQSTransform

from causalplug.mechanisms.trainable.spline import RationalQuadraticSpline

BINS = 8


def both(numbers):
    parts = numbers.split([BINS, BINS, BINS - 1], -1)
    return RationalQuadraticSpline(numbers, BINS), MonotonicRQSTransform(*parts)


def drawn(spread, dtype=torch.float64):
    draw = torch.Generator().manual_seed(0)
    numbers = spread * torch.randn(5000, 3 * BINS - 1, generator=draw, dtype=dtype)
    return numbers, 3 * torch.randn(5000, generator=draw, dtype=dtype)


@pytest.mark.parametrize("spread", [0.1, 1.0, 3.0])
def test_values_slopes_and_inverse_are_those_of_zuko(spread):
    numbers, x = drawn(spread)
    own, reference = both(numbers)
    y = reference(x)
    torch.testing.assert_close(own(x), y, atol=1e-6, rtol=0)
    value, log_slope = own.inverse_and_log_slope(y)
    expected, ladj = reference.inv.call_and_ladj(y)
    torch.testing.assert_close(value, expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(log_slope, ladj, atol=1e-6, rtol=0)
    torch.testing.assert_close(own.inverse(y), value, atol=0, rtol=0)


def test_a_spline_is_read_at_several_places_at_once():
    numbers, x = drawn(1.0)
    spline = both(numbers)[0]
    many = torch.stack([x, 0.5 * x, -x])
    torch.testing.assert_close(spline(many), torch.stack(list(map(spline, many))), atol=0, rtol=0)
    together = spline.inverse_and_log_slope(many)
    apart = zip(*map(spline.inverse_and_log_slope, many), strict=True)
    for found, wanted in zip(together, apart, strict=True):
        torch.testing.assert_close(found, torch.stack(wanted), atol=0, rtol=0)


def test_gradients_are_those_of_zuko():
    numbers, x = drawn(1.0)
    found = []
    for spline in both(numbers.requires_grad_()):
        numbers.grad = None
        if isinstance(spline, RationalQuadraticSpline):
            value, log_slope = spline.inverse_and_log_slope(x)
        else:
            value, log_slope = spline.inv.call_and_ladj(x)
        (value.square().sum() + log_slope.sum() + spline(x).square().sum()).backward()
        found.append(numbers.grad)
    torch.testing.assert_close(*found, atol=1e-6, rtol=1e-6)


def test_single_precision_is_no_worse_than_that_of_zuko():
    numbers, x = drawn(3.0)
    y = both(numbers)[1](x)
    own, reference = both(numbers.float())
    mine = (own.inverse(y.float()) - x).abs()
    theirs = (reference.inv(y.float()) - x).abs()
    assert mine.quantile(0.99) <= 2 * theirs.quantile(0.99) + 1e-6


def test_outside_its_bounds_it_is_the_identity():
    numbers, _ = drawn(1.0)
    x = torch.tensor([-7.0, -5.0, 5.0, 9.0], dtype=torch.float64)
    spline = RationalQuadraticSpline(numbers[:4], BINS)
    value, log_slope = spline.inverse_and_log_slope(x)
    torch.testing.assert_close(spline(x), x)
    torch.testing.assert_close(value, x)
    assert log_slope.abs().max() == 0
