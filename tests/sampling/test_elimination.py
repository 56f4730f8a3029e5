"""Exact sums over discrete variables, beside sums over every combination."""

from __future__ import annotations

import math

import pytest
import torch

from causalplug.sampling.elimination import Elimination, Factor, Order

SIZES = {"A": 2, "B": 3, "C": 2, "D": 3}
SCOPES = [("A",), ("B", "A"), ("C", "B"), ("D", "A", "C"), ("B", "D")]
ROWS = 5


def factors(varying: list[bool]) -> list[Factor]:
    generator = torch.Generator().manual_seed(0)
    found = []
    for scope, differs in zip(SCOPES, varying, strict=True):
        shape = [*(SIZES[name] for name in scope), ROWS if differs else 1]
        log = 5 * torch.randn(shape, generator=generator, dtype=torch.float64)
        found.append(Factor.of_logs(scope, log))
    return found


def joint(tables: list[Factor]) -> torch.Tensor:
    """Log weights of every combination, ``(2, 3, 2, 3, rows)``."""
    total = torch.zeros(1, dtype=torch.float64)
    for table in tables:
        total = total + table.over(tuple(SIZES)).log() + table.log_scale
    return total


@pytest.mark.parametrize(
    "varying",
    [[True] * 5, [False] * 5, [False, True, False, False, True], [True, False, False, True, False]],
)
def test_the_sums_are_those_over_every_combination(varying: list[bool]) -> None:
    tables = factors(varying)
    order = Order.greedy(SCOPES, SIZES, varying)
    found = Elimination(tables, order).total
    right = joint(tables).flatten(0, -2).logsumexp(0)
    torch.testing.assert_close(found, right, rtol=1e-12, atol=1e-12)


def test_draws_have_the_joint_distribution_also_of_rows_at_places() -> None:
    tables, n = factors([False, True, False, False, True]), 60_000
    order = Order.greedy(SCOPES, SIZES, [False, True, False, False, True])
    place = torch.arange(n) % ROWS
    generator = torch.Generator().manual_seed(1)
    noise = {
        name: -torch.empty(n, size).exponential_(generator=generator).log()
        for name, size in SIZES.items()
    }
    drawn = Elimination(tables, order).draw(noise, place)
    right = joint(tables).flatten(0, -2).softmax(0)
    codes = ((drawn["A"] * 3 + drawn["B"]) * 2 + drawn["C"]) * 3 + drawn["D"]
    for row in range(ROWS):
        share = torch.bincount(codes[place == row], minlength=36).double() * ROWS / n
        assert 0.5 * float((share - right[:, row]).abs().sum()) < 0.02


def test_two_hundred_tables_that_contradict_each_other_leave_a_sum() -> None:
    doubt = torch.tensor([[0.0], [-30.0]], dtype=torch.float64)
    tables = [Factor.of_logs(("A",), doubt if i % 2 else doubt.flip(0)) for i in range(200)]
    order = Order.greedy([("A",)] * 200, {"A": 2}, [True] * 200)
    found = float(Elimination(tables, order).total)
    assert found == pytest.approx(-3000 + math.log(2), rel=1e-12)


def test_what_cannot_be_weighs_nothing() -> None:
    tables = factors([True] * 5)
    never = torch.full((2, ROWS), -math.inf, dtype=torch.float64)
    never[:, 0] = 0.0
    found = Elimination(
        [*tables, Factor.of_logs(("A",), never)], Order.greedy(SCOPES, SIZES, [True] * 5)
    )
    assert found.total.isfinite().tolist() == [True, False, False, False, False]
